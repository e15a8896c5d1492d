"""The queue by the command line: list, show, hold, release, retry, remove; the whole life of a message by trace; sendmail's interface."""
import os
import re
import subprocess
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


@pytest.fixture
def here(make_postrider):
    return make_postrider(domain="here.example", accounts={"joe": "joe"}, config=dict(TRUSTED, queue={"retry_first": "1h", "retry_max": "4h"}))


def send(server, *recipients):
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope("joe@here.example", *recipients)
        answer = wire.data(f"From: joe@here.example\r\nSubject: {about}\r\n\r\nx\r\n.\r\n")
        assert answer.startswith("250")
    return about, answer


def deferred(server, count):
    return base.wait_for(lambda: (found := server.queue_list("--deferred")) and len(found) >= count and found, "deferred messages", step=0.2)


def test_list_show_hold_release_retry_remove(here, make_peer, make_domain):
    peer = make_peer(script={"MAIL": "451 4.3.0 the remote side is not ready"})
    domain = make_domain("queue", peer)
    about, answer = send(here, f"a@{domain}", f"b@{domain}")
    send(here, f"c@{domain}")
    first, second = deferred(here, 2)
    assert first["id"] in answer, "the client learns the queue id"

    plain = here.must("queue", "list")
    assert first["id"] in plain and "the remote side is not ready" in plain and f"a@{domain}" in plain
    shown = here.must("queue", "show", first["id"])
    assert about in shown and f"b@{domain}" in shown and "451" in shown
    assert {r["address"] for r in here.queue_show(first["id"])["recipients"]} == {f"a@{domain}", f"b@{domain}"}

    here.must("queue", "hold", first["id"])
    assert [m["id"] for m in here.queue_list("--held")] == [first["id"]]
    peer.script.clear()
    here.must("queue", "retry", "--all")
    base.wait_for(lambda: len(peer.messages) == 1, "the message that is not held")
    assert peer.messages[0].recipients == [f"c@{domain}"]
    assert len(here.queue_list()) == 1
    here.must("queue", "release", first["id"])  # due at once
    base.wait_for(lambda: len(peer.messages) == 2, "the released message")
    here.wait_queue_empty()

    peer.script["MAIL"] = "451 4.3.0 not ready"
    send(here, f"d@{domain}")
    [third] = deferred(here, 1)
    here.must("queue", "remove", third["id"])
    assert here.queue_list() == []
    assert here.cli("queue", "show", third["id"]).returncode != 0
    assert here.cli("queue", "remove", third["id"]).returncode == 67
    assert here.cli("queue", "remove", "nonsense!").returncode not in (0, 67)
    assert here.cli("queue", "remove").returncode == 64
    assert second["id"] != first["id"]


def test_held_survives_restart(here, make_peer, make_domain):
    peer = make_peer(script={"MAIL": "451 4.3.0 not ready"})
    send(here, f"a@{make_domain('held', peer)}")
    [message] = deferred(here, 1)
    here.must("queue", "hold", message["id"])
    here.restart()
    assert [m["id"] for m in here.queue_list("--held")] == [message["id"]]
    peer.script.clear()
    here.must("queue", "release", "--all")
    base.wait_for(lambda: peer.messages, "the released message")


def test_trace_tells_the_whole_life(here, make_peer, make_domain):
    peer = make_peer(script={"MAIL": ["451 4.3.0 come back later"]})
    about, answer = send(here, f"a@{make_domain('trace', peer)}", "joe@here.example")
    [message] = deferred(here, 1)
    here.must("queue", "retry", message["id"])
    base.wait_for(lambda: peer.messages, "the message")
    here.wait_queue_empty()
    trace = base.wait_for(lambda: (t := here.must("trace", message["id"])) and "come back later" in t and t.count("deliver") >= 2 and t,
                          lambda: "the whole life; has\n" + here.must("trace", message["id"]))
    for word in ("a@", "joe@here.example", "451", peer.ip, "joe@here.example"):
        assert word in trace, f"{word} is not in\n{trace}"
    events = [e["event"] for e in here.trace(message["id"])["events"]]
    assert len(events) >= 4, events
    assert here.cli("trace", "AAAAAAAAAAA").returncode != 0
    assert about and message["id"] in answer


def test_domains_accounts_aliases(here):
    assert "here.example" in here.must("domain", "list")
    here.must("domain", "add", "bücher.example")
    assert "xn--bcher-kva.example" in here.must("domain", "list")
    assert here.cli("domain", "add", "here.example").returncode != 0
    assert here.cli("domain", "add", "no domain").returncode == 65 or here.cli("domain", "add", "no domain").returncode == 64
    here.must("account", "add", "zoe@here.example", input="a password\n")
    assert "zoe@here.example" in here.must("account", "list")
    assert here.cli("account", "add", "zoe@elsewhere.example", input="x\n").returncode != 0
    here.must("alias", "add", "info@here.example", "zoe@here.example")
    assert "info@here.example" in here.must("alias", "list")
    with Wire(here.ip, here.mx_port) as wire:  # all of it holds at once, without a reload
        wire.hello()
        wire.envelope("a@b.example", "info@here.example")
        assert wire.data("Subject: to zoe\r\n\r\nx\r\n.\r\n").startswith("250")
    here.wait_mail("zoe", subject="to zoe")
    here.must("alias", "remove", "info@here.example")
    here.must("account", "remove", "zoe@here.example")
    with Wire(here.ip, here.mx_port) as wire:
        wire.hello()
        wire.expect(250, "MAIL FROM:<a@b.example>")
        wire.expect(550, "RCPT TO:<info@here.example>")
        wire.expect(550, "RCPT TO:<zoe@here.example>")


# --- sendmail ---

@pytest.fixture
def sendmail(here, tmp_path):
    link = tmp_path / "sendmail"
    link.symlink_to(lab_postrider.BINARY)

    def run(*arguments, text="", name=link):
        return subprocess.run([str(name), *arguments], input=text, capture_output=True, text=True, timeout=base.PATIENCE_S,
                              env=dict(os.environ, POSTRIDER_CONFIG=here.config))

    return run


def test_sendmail_takes_recipients_from_the_header(here, sendmail):
    done = sendmail("-t", "-i", text="To: joe@here.example\nBcc: joe+secret@here.example\nSubject: by -t\n\nline\n.\nafter the dot\n")
    assert done.returncode == 0, done.stderr
    mails = here.wait_mail("joe", 2, subject="by -t")
    for mail in mails:
        assert mail["Bcc"] is None and "secret" not in str(mail["To"])
        assert "after the dot" in mail.get_payload() and mail["Date"] and mail["Message-ID"] and mail["From"]


def test_sendmail_options(here, sendmail):
    done = sendmail("-oi", "-f", "ann@here.example", "-F", "Ann Ünïque", "joe@here.example", text="Subject: by -f\n\nx\n")
    assert done.returncode == 0, done.stderr
    [mail] = here.wait_mail("joe", subject="by -f")
    assert str(mail["Return-Path"]) == "<ann@here.example>"
    assert mail["From"].addresses[0].display_name == "Ann Ünïque"
    done = sendmail("-f", "<>", "joe@here.example", text="Subject: null\n\nx\n.\nnot sent\n")
    assert done.returncode == 0
    [mail] = here.wait_mail("joe", subject="null")
    assert str(mail["Return-Path"]) == "<>" and "not sent" not in mail.as_string()


def test_sendmail_speaks_smtp(here, sendmail):
    done = sendmail("-bs", text="EHLO x\r\nMAIL FROM:<joe@here.example>\r\nRCPT TO:<joe@here.example>\r\nDATA\r\n"
                                "Subject: by -bs\r\n\r\nx\r\n.\r\nQUIT\r\n")
    assert done.returncode == 0 and done.stdout.startswith("220") and "221" in done.stdout, done.stdout + done.stderr
    here.wait_mail("joe", subject="by -bs")


def test_sendmail_exit_codes(here, sendmail):
    assert sendmail("-t", text="Subject: nobody\n\nx\n").returncode in (64, 65)
    assert sendmail("nobody@here.example", text="Subject: x\n\nx\n").returncode == 67
    here.stop()
    done = sendmail("joe@here.example", text="Subject: x\n\nx\n")
    assert done.returncode in (75, 69), done.stderr
    assert done.stderr.strip(), "and a sentence says why"


def test_sendmail_queue(here, sendmail, make_peer, make_domain, tmp_path):
    peer = make_peer(script={"MAIL": "451 4.3.0 not ready"})
    domain = make_domain("mailq", peer)
    assert sendmail(f"a@{domain}", text="Subject: waits\n\nx\n").returncode == 0
    deferred(here, 1)
    assert f"a@{domain}" in sendmail("-bp").stdout
    mailq = tmp_path / "mailq"
    mailq.symlink_to(lab_postrider.BINARY)
    assert f"a@{domain}" in sendmail(name=mailq).stdout
    peer.script.clear()
    assert sendmail("-q").returncode == 0
    base.wait_for(lambda: peer.messages, "the message after sendmail -q")
    assert re.search(rb"^Subject: waits", peer.messages[0].data, re.M)
