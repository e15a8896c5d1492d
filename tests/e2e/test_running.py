"""Starting, stopping, reloading, and saying what is wrong in one sentence."""
import os
import re
import socket
import subprocess
import threading
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.wire import Closed, Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize("line, expected", [
    ('hostnam = "x.example"', "hostname"),
    ('limits { message_siz = "1M" }', "message_size"),
    ('limits { message_size = "many" }', "message_size"),
    ('queue { retry_first = "5 parsecs" }', "retry_first"),
    ('listen smtp { address = "*:25" }', "submission"),
    ("delivery {", ""),
], ids=["unknown key", "unknown key in a section", "no size", "no duration", "no such listener", "open section"])
def test_wrong_configuration(tmp_path, command, line, expected):
    """File, line, the nearest valid key; exit 78."""
    path = tmp_path / "postrider.conf"
    path.write_text(f'hostname = "mail.x.example"\ndata = "{tmp_path}/data"\n{line}\n')
    done = subprocess.run([lab_postrider.BINARY, command, "--config", str(path)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=base.PATIENCE_S)
    assert done.returncode == 78, done.stderr
    assert f"{path}:3" in done.stderr or line.endswith("{") and f"{path}:" in done.stderr, done.stderr
    assert expected in done.stderr.replace(line, ""), done.stderr


def test_missing_configuration(tmp_path):
    done = subprocess.run([lab_postrider.BINARY, "serve", "--config", str(tmp_path / "none.conf")], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=base.PATIENCE_S)
    assert done.returncode == 78 and "none.conf" in done.stderr


def _fails_with(server, words):
    done = server.cli("serve", timeout=base.PATIENCE_S)
    assert done.returncode not in (0, None), done.stderr
    assert not lab_postrider.SANITIZER.search(done.stderr), done.stderr
    lines = [l for l in done.stderr.strip().splitlines() if l]
    assert len(lines) <= 3, f"one clear sentence, not\n{done.stderr}"
    for word in words:
        assert word in done.stderr, done.stderr
    return done.returncode


def test_port_in_use(make_postrider):
    server = make_postrider(start=False, accounts={})
    with socket.create_server((server.ip, server.submission_port)):
        _fails_with(server, [f"{server.ip}", str(server.submission_port)])


def test_unreadable_certificate(make_postrider, lab):
    server = make_postrider(start=False, accounts={})
    server.write_config(tls={"certificate": "/nonexistent/cert.pem"})
    _fails_with(server, ["/nonexistent/cert.pem"])
    junk = lab.path("junk.pem")
    with open(junk, "w", encoding="ascii") as f:
        f.write("not a certificate\n")
    server.write_config(tls={"certificate": junk})
    _fails_with(server, [junk])


def test_check_says_fine(make_postrider):
    server = make_postrider(start=False, accounts={})
    done = server.cli("check")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not base.is_root(), reason="dropping privileges needs root")
def test_privileges_are_dropped(make_postrider):
    server = make_postrider(accounts={"joe": "joe"})
    status = base.read_text(f"/proc/{server.pid}/status")
    uids = set(re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split())
    assert uids == {"65534"}, status
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^Groups:\s*(65534)?\s*$", status, re.M), status


def test_reload(make_postrider, lab):
    """SIGHUP applies a new file without dropping a connection; a wrong one is refused and the old one stays."""
    server = make_postrider(accounts={"joe": "joe"}, config={"limits": {"message_size": "1M"}})
    with Wire(server.ip, server.mx_port) as old:
        assert "SIZE 1048576" in old.hello()
        server.write_config(limits={"message_size": "2M"})
        server.reload()

        def new_size():
            with Wire(server.ip, server.mx_port) as wire:
                return "SIZE 2097152" in wire.hello()

        base.wait_for(new_size, "the new size")
        old.envelope("bob@client.example", server.full("joe"))
        assert old.data("Subject: over the reload\r\n\r\nx\r\n.\r\n").startswith("250")
    server.wait_mail("joe", subject="over the reload")
    good = base.read_text(server.config)
    with open(server.config, "a", encoding="utf-8") as f:
        f.write("nonsense = 1\n")
    server.reload()
    server.wait_log(r"nonsense")
    assert new_size()
    with open(server.config, "w", encoding="utf-8") as f:
        f.write(good.replace("2M", "3M"))
    done = server.cli("reload")
    assert done.returncode == 0, done.stderr
    base.wait_for(lambda: "SIZE 3145728" in _hello(server), "the size after postrider reload")


def _hello(server):
    with Wire(server.ip, server.mx_port) as wire:
        return wire.hello()


def test_reload_takes_a_new_certificate(make_postrider, authority):
    import ssl
    server = make_postrider(accounts={})
    certificate, key = authority.issue(["renewed.example"], [server.ip])
    lab_postrider.make_readable(key)
    server.write_config(tls={"certificate": certificate, "key": key})
    server.reload()
    with open(certificate, encoding="ascii") as f:
        wanted = ssl.PEM_cert_to_DER_cert(f.read())
    base.wait_for(lambda: ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((server.ip, server.submissions_port))) == wanted,
                  "the new certificate")


def test_sigterm_under_load(make_postrider, make_peer, make_domain):
    """What was answered 250 is there after the restart; the others know that they were not taken."""
    server = make_postrider(accounts={"joe": "joe"}, config=TRUSTED)
    peer = make_peer()
    domain = make_domain("load", peer)
    accepted = []
    stop = threading.Event()

    def load():
        while not stop.is_set():
            try:
                with Wire(server.ip, server.mx_port) as wire:
                    wire.hello()
                    while not stop.is_set():
                        about = uuid.uuid4().hex
                        wire.envelope(server.full("joe"), f"x@{domain}")
                        if wire.data(f"Subject: {about}\r\n\r\n{'body ' * 200}\r\n.\r\n").startswith("250"):
                            accepted.append(about)
            except (Closed, OSError, AssertionError):
                if not stop.wait(0.05):
                    continue

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    base.wait_for(lambda: len(accepted) > 100, lambda: f"load; log {server.log_text()[-2000:]}")
    server.stop()
    stop.set()
    for thread in threads:
        thread.join(base.PATIENCE_S)
    server.start()
    base.wait_for(lambda: _arrived(peer) >= set(accepted), lambda: f"{len(set(accepted) - _arrived(peer))} of {len(accepted)} are missing")
    server.wait_queue_empty()


def _arrived(peer):
    return {re.search(rb"^Subject: (\w+)", m.data, re.M).group(1).decode() for m in list(peer.messages)}


def test_sigterm_with_stalled_connections(make_postrider, make_peer, make_domain):
    """Clients and servers that say nothing don't keep it from ending."""
    from lab.scripted_peer import STALL
    server = make_postrider(accounts={"joe": "joe"}, config=dict(TRUSTED, stop_timeout="2s"))
    peer = make_peer(script={"MAIL": STALL})
    with Wire(server.ip, server.mx_port) as idle, Wire(server.ip, server.mx_port) as busy:
        idle.hello()
        busy.hello()
        busy.envelope(server.full("joe"), f"x@{make_domain('stall', peer)}")
        assert busy.data("Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
        assert peer.stalled.wait(base.PATIENCE_S)
        busy.envelope(server.full("joe"), server.full("joe"))
        busy.expect(354, "DATA")
        server.stop()
        assert idle.answer().startswith("421 4.3.2")
        assert idle.closed()
    server.start()
    assert len(server.queue_list()) == 1


def test_json_log(make_postrider):
    import json
    server = make_postrider(accounts={"joe": "secret-word"}, config=dict(TRUSTED, log={"format": "json"}))
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope("bob@client.example", server.full("joe"))
        answer = wire.data("Subject: x\r\n\r\nthe-body-is-private\r\n.\r\n")
    server.wait_mail("joe")
    server.stop()
    events = [json.loads(line) for line in server.log_text().splitlines()]
    assert {"time", "level", "event"} <= set(events[0])
    ids = {e["id"] for e in events if "id" in e}
    assert any(i in answer for i in ids), f"the id of the log is in the answer: {answer}, {ids}"
    assert "the-body-is-private" not in server.log_text() and "secret-word" not in server.log_text()


def test_init_makes_a_working_server(lab, tmp_path):
    """`postrider init` writes everything that a first start needs."""
    folder = lab.subfolder("init")
    config = os.path.join(folder, "postrider.conf")
    words = subprocess.run([lab_postrider.BINARY, "init", "--help"], capture_output=True, text=True).stdout
    assert "--config" in words
    options = []
    for option, value in (("--hostname", "mail.init.example"), ("--data", os.path.join(folder, "data")), ("--domain", "init.example"),
                          ("--account", "joe@init.example"), ("--user", lab_postrider.RUN_AS if base.is_root() else "")):
        if option in words and value:
            options += [option, value]
    done = subprocess.run([lab_postrider.BINARY, "init", "--config", config, *options], capture_output=True, text=True, input="init-word\n",
                          timeout=base.PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    text = base.read_text(config)
    assert "#" in text and "mail.init.example" in text
    done = subprocess.run([lab_postrider.BINARY, "check", "--config", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = subprocess.run([lab_postrider.BINARY, "init", "--config", config, *options], capture_output=True, text=True, input="init-word\n",
                           timeout=base.PATIENCE_S)
    assert base.read_text(config) == text, "an existing configuration is never overwritten: " + again.stderr
