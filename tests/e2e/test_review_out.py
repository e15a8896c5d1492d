"""What an operator changes holds for the next message, also where a connection from before is still open; who is slow holds up nobody else."""
import socket
import uuid

from lab import base
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


def send(server, *recipients):
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope(server.full("joe"), *recipients)
        assert wire.data(f"From: {server.full('joe')}\r\nSubject: {about}\r\n\r\nx\r\n.\r\n").startswith("250")
    return about


def arrived(peer, about):
    return any(about in str(m.data) for m in list(peer.messages))


def wait_arrived(peer, about):
    base.wait_for(lambda: arrived(peer, about), lambda: f"{about} at the peer: {[s.commands for s in peer.sessions]}")


def reload(server, **changes):
    before = server.log_text().count("event=reloaded")
    server.write_config(**changes)
    server.reload()
    base.wait_for(lambda: server.log_text().count("event=reloaded") > before, "the reload")


def test_a_policy_counts_from_the_reload_on(make_postrider, make_peer, make_domain):
    """No TLS there: what the new policy forbids does not go over the connection that the old one allowed."""
    server = make_postrider(config={**TRUSTED, "delivery": {"idle": "60s"}, "queue": {"retry_first": "1s"}})
    peer = make_peer()
    domain = make_domain("policy", peer)
    wait_arrived(peer, send(server, f"a@{domain}"))
    reload(server, **{"destination strict": {"domains": [domain], "tls": "encrypt"}})
    about = send(server, f"b@{domain}")
    base.wait_for(lambda: any("STARTTLS" in str(r) for r in server.queue_list()) or arrived(peer, about), "the deferral")
    assert not arrived(peer, about), "went in clear"
    assert len(server.queue_list()) == 1


def test_a_smart_host_that_moved_gets_the_mail(make_postrider, make_peer):
    old, new = make_peer(), make_peer()
    section = {"host": old.ip, "port": old.port, "tls": "clear", "domains": ["moved.example"]}
    server = make_postrider(config={**TRUSTED, "delivery": {"idle": "60s"}, "smarthost hub": section})
    wait_arrived(old, send(server, "a@moved.example"))
    reload(server, **{"smarthost hub": {**section, "host": new.ip, "port": new.port}})
    wait_arrived(new, send(server, "b@moved.example"))
    assert len(old.messages) == 1


def test_silent_policy_hosts_hold_up_nobody_else(make_postrider, make_peer, make_domain, lab, dns):
    """More domains than are looked up at a time, all with a policy that can't be had: their mail waits for it, that of others does not."""
    https_port = lab.port(8443)
    pit = socket.create_server((lab.address(), https_port), backlog=1024)
    label = "t" + uuid.uuid4().hex[:8]
    there = make_peer()
    dns.add(f"*.{label} MX 10 mx.{label}", f"mx.{label} A {there.ip}", f"*.{label} TXT \"v=STSv1; id=1;\"", f"*.{label} A {pit.getsockname()[0]}")
    server = make_postrider(config={**TRUSTED, "delivery": {"https_port": https_port}})
    for first in range(0, 540, 90):
        send(server, *[f"x@d{n}.{label}.example" for n in range(first, first + 90)])
    good = make_peer()
    wait_arrived(good, send(server, f"a@{make_domain('good', good)}"))
    assert "sts-failed" not in server.log_text() and not there.messages
    pit.close()
