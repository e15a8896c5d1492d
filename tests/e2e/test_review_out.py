"""What an operator changes holds for the next message, also where a connection from before is still open; who is slow holds up nobody else."""
import socket
import uuid

from lab import base
from lab.auth_peer import AuthPeer
from lab.postrider import make_readable
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


def test_a_wrong_password_is_said_once(make_postrider, lab, authority, dns):
    """A smart host with several addresses is one: each of them would count the same wrong password, and lock us out the sooner."""
    label = "hub" + uuid.uuid4().hex[:8]
    ips = [lab.address() for _ in range(3)]
    hubs = [AuthPeer(ip, lab.port(587), certificate=authority.issue([f"{label}.example"]), passwords={"me": "right"}) for ip in ips]
    dns.add(*[f"{label} A {ip}" for ip in ips])
    file = lab.path(f"{label}.password")
    with open(file, "w", encoding="utf-8") as f:
        f.write("wrong\n")
    make_readable(file)
    server = make_postrider(config={**TRUSTED, "queue": {"retry_first": "1h", "retry_max": "1h"}, "smarthost hub": {
        "host": f"{label}.example", "port": lab.port(587), "login": "me", "password_file": file, "domains": ["anywhere.example"]}})
    send(server, "a@anywhere.example")
    base.wait_for(lambda: any("refused the login" in str(r) for r in server.queue_list()), "the deferral")
    assert sum(len(hub.sessions) for hub in hubs) == 1
    for hub in hubs:
        hub.close()


def test_a_policy_that_an_address_cannot_satisfy_defers(make_postrider, make_peer):
    """An address literal has no TLSA records: what our policy refuses is no reason to return the mail as if there were no host."""
    server = make_postrider(config={**TRUSTED, "delivery": {"tls": "dane"}, "queue": {"retry_first": "1h", "retry_max": "1h"}})
    peer = make_peer()
    about = send(server, f"a@[{peer.ip}]")
    base.wait_for(lambda: "demands DANE" in str(server.queue_list()), lambda: f"the deferral of {about}: {server.log_text()[-1500:]}")
    assert not peer.messages
