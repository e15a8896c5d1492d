"""What a sender may ask for with MAIL, in and out: REQUIRETLS, MT-PRIORITY, DELIVERBY, FUTURERELEASE; and content that the other side would not take."""
import datetime
import email
import email.utils
import itertools
import re
import smtplib
import ssl
import time

import pytest

from lab import base
from lab.wire import Wire

ALL = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING", "MT-PRIORITY MIXER", "DELIVERBY 5",
       "REQUIRETLS")
counter = itertools.count(1)


@pytest.fixture
def here(make_postrider):
    """Relays for everybody at this machine."""
    return make_postrider(domain="here.example", accounts={"joe": "pass"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}})


@pytest.fixture
def stranger(make_postrider):
    """Knows nobody: no relaying without a login."""
    return make_postrider(domain="here.example", accounts={"joe": "pass"})


def send(server, to, mail=(), rcpt=(), sender="joe@here.example", header="", body="hello\r\n", tls=False):
    about = f"extension {next(counter)}"
    to = [to] if isinstance(to, str) else to
    with smtplib.SMTP(server.ip, server.mx_port) as client:
        client.ehlo("client.example")
        if tls:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo("client.example")
        code, text = client.mail(sender, list(mail))
        assert code == 250, text
        for address, options in zip(to, rcpt or itertools.repeat(())):
            code, text = client.rcpt(address, list(options))
            assert code == 250, text
        code, text = client.data(f"From: {sender}\r\nTo: {to[0]}\r\nSubject: {about}\r\n{header}\r\n{body}".encode())
        assert code == 250, text
    return about


def wait_messages(peer, count=1):
    return base.wait_for(lambda: list(peer.messages) if len(peer.messages) >= count else None,
                         lambda: f"{count} messages; sessions {[s.commands for s in peer.sessions]}")


def logged_in(server):
    client = smtplib.SMTP(server.ip, server.submission_port)
    client.starttls(context=ssl._create_unverified_context())
    client.login(server.full("joe"), "pass")
    return client


def keywords(lines):
    return {line.split(" ")[0] for line in lines}


# --- what is offered ---

def test_what_is_offered_to_whom(stranger):
    wire = Wire(stranger.ip, stranger.mx_port)
    clear = keywords(wire.hello())
    assert {"MT-PRIORITY", "DELIVERBY"} <= clear
    assert not {"REQUIRETLS", "FUTURERELEASE"} & clear
    assert "REQUIRETLS" in keywords(wire.starttls())
    with logged_in(stranger) as client:
        client.ehlo("client.example")
        seconds, until = client.esmtp_features["futurerelease"].split(" ")
        assert seconds == str(30 * 86400)
        assert datetime.datetime.fromisoformat(until.replace("Z", "+00:00")) > datetime.datetime.now(datetime.timezone.utc)


# --- MT-PRIORITY ---

def test_strangers_may_ask_for_less_but_not_for_more(stranger):
    wire = Wire(stranger.ip, stranger.mx_port)
    wire.hello()
    assert wire.command("MAIL FROM:<a@b.example> MT-PRIORITY=6").startswith("250 2.3.6 0 is the new priority")
    wire.expect(250, "RSET")
    assert wire.command("MAIL FROM:<a@b.example> MT-PRIORITY=-6").startswith("250 2.1.0")


@pytest.mark.parametrize("extensions, expected", [(ALL, "MT-PRIORITY=7"), (("PIPELINING", "DSN"), None)])
def test_priority_is_passed_on_where_it_is_known(here, make_peer, make_domain, extensions, expected):
    peer = make_peer(extensions=extensions)
    send(here, f"a@{make_domain('prio', peer)}", ["MT-PRIORITY=7"])
    [message] = wait_messages(peer)
    assert (expected in message.mail_parameters) if expected else "MT-PRIORITY" not in message.mail_parameters


def test_the_usual_priority_is_named_where_it_is_known(here, make_peer, make_domain):
    """RFC 6710 section 4.2."""
    peer = make_peer(extensions=ALL)
    send(here, f"a@{make_domain('prio', peer)}")
    [message] = wait_messages(peer)
    assert "MT-PRIORITY=0" in message.mail_parameters and "BY=" not in message.mail_parameters
    assert b"PRIORITY" not in message.data


def test_priority_is_in_the_trace_field_and_that_of_the_report(here, make_peer, make_domain):
    """RFC 6710 sections 4.1 and 4.6."""
    peer = make_peer(extensions=ALL, script={"RCPT": lambda session, argument: "550 5.1.1 no" if "<nobody" in argument else None})
    domain = make_domain("prio", peer)
    send(here, [f"a@{domain}", f"nobody@{domain}"], ["MT-PRIORITY=-4"], sender=f"reports@{domain}")
    messages = wait_messages(peer, 2)
    [message] = [m for m in messages if m.sender]
    assert re.search(rb"^Received: (.*\r\n[ \t])*.* PRIORITY -4;", message.data), message.data
    [report] = [m for m in messages if not m.sender]
    assert "MT-PRIORITY=-4" in report.mail_parameters


# --- DELIVERBY ---

def test_time_goes_along_with_what_is_left_of_it(here, make_peer, make_domain):
    peer = make_peer(extensions=ALL)
    send(here, f"a@{make_domain('by', peer)}", ["BY=3600;R"])
    [message] = wait_messages(peer)
    left = int(re.search(r"BY=(\d+);R(?!T)", message.mail_parameters).group(1))
    assert 3600 - base.PATIENCE_S * 2 < left <= 3600


def test_to_be_returned_when_late_goes_only_where_that_is_done(here, make_peer, make_domain):
    peer = make_peer()
    send(here, f"a@{make_domain('by', peer)}", ["BY=3600;R"])
    [bounce] = here.wait_mail("joe")
    assert "5.3.3" in bounce.as_string() and "DELIVERBY" in bounce.as_string()
    assert not peer.messages


def test_not_in_the_time_that_the_server_wants(here, make_peer, make_domain):
    peer = make_peer(extensions=("PIPELINING", "DELIVERBY 7200"))
    send(here, f"a@{make_domain('by', peer)}", ["BY=3600;R"])
    [bounce] = here.wait_mail("joe")
    assert "5.4.7" in bounce.as_string() and "7200" in bounce.as_string()


def test_only_told_when_late_goes_anywhere(here, make_peer, make_domain):
    peer = make_peer()
    send(here, f"a@{make_domain('by', peer)}", ["BY=3600;N"])
    [message] = wait_messages(peer)
    assert "BY=" not in message.mail_parameters


def test_who_is_not_told_the_time_tells_of_delays(here, make_peer, make_domain):
    """RFC 2852 section 4.1.4.2: and we report that from there on nobody watches it."""
    peer = make_peer(extensions=("PIPELINING", "DSN"))
    domain = make_domain("by", peer)
    send(here, [f"a@{domain}", f"b@{domain}", f"c@{domain}"], ["BY=3600;N"], rcpt=[(), ("NOTIFY=NEVER",), ("NOTIFY=FAILURE",)])
    [message] = wait_messages(peer)
    assert message.rcpt_parameters == ["NOTIFY=FAILURE,DELAY", "NOTIFY=NEVER", "NOTIFY=FAILURE,DELAY"]
    [report] = here.wait_mail("joe")
    status = report.get_payload(1).as_string()
    assert status.count("Action: relayed") == 2 and f"b@{domain}" not in status, status
    assert "Deliver-By-Date: " in status and "Arrival-Date: " in status


def test_returned_when_the_time_is_over(here, make_peer, make_domain):
    peer = make_peer(extensions=("PIPELINING", "DELIVERBY"), script={"RCPT": lambda session, argument: "451 4.7.1 not yet"})
    about = send(here, f"a@{make_domain('late', peer)}", ["BY=20;R"])
    [bounce] = here.wait_mail("joe")
    text = " ".join(bounce.as_string().split())
    assert "5.4.7" in text and "451 4.7.1 not yet" in text and about in text, text
    here.wait_queue_empty()


def test_told_when_the_time_is_over_and_delivered_later(here, make_peer, make_domain):
    busy = [True]
    peer = make_peer(extensions=ALL, script={"RCPT": lambda session, argument: "451 4.7.1 not yet" if busy else None})
    send(here, f"a@{make_domain('late', peer)}", ["BY=2;N"])
    [report] = here.wait_mail("joe")
    assert "Action: delayed" in report.as_string() and "Status: 4.4.7" in report.as_string()
    busy.clear()
    [message] = wait_messages(peer)
    assert re.search(r"BY=-\d+;N", message.mail_parameters), message.mail_parameters
    here.wait_queue_empty()
    assert len(here.mailbox("joe")) == 1


def test_with_trace_each_server_reports(here, make_peer, make_domain):
    peer = make_peer(extensions=ALL)
    send(here, f"a@{make_domain('by', peer)}", ["BY=3600;NT"])
    [message] = wait_messages(peer)
    assert ";NT" in message.mail_parameters
    [report] = here.wait_mail("joe")
    assert "Action: relayed" in report.as_string()


# --- FUTURERELEASE ---

def test_held_until_it_is_time(here, make_peer, make_domain):
    peer = make_peer()
    to = f"a@{make_domain('future', peer)}"
    sent_ms = time.time() * 1000
    with logged_in(here) as client:
        client.sendmail(here.full("joe"), [to], "Subject: birthday\r\n\r\nx\r\n", mail_options=["HOLDFOR=4"])
    [message] = wait_messages(peer)
    assert time.time() * 1000 >= sent_ms + 4000, "released before its time"
    here.wait_queue_empty()


def test_held_over_a_restart_and_let_go_by_hand(here, make_peer, make_domain):
    peer = make_peer()
    to = f"a@{make_domain('future', peer)}"
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with logged_in(here) as client:
        client.sendmail(here.full("joe"), [to], "Subject: next week\r\n\r\nx\r\n", mail_options=[f"HOLDUNTIL={until}"])
    here.restart()
    [message] = here.queue_list()
    [recipient] = message["recipients"]
    assert recipient["attempts"] == 0 and recipient["due_at_ms"] / 1000 > time.time() + 6 * 86400
    assert not peer.sessions
    here.must("queue", "retry", message["id"])
    wait_messages(peer)
    here.wait_queue_empty()


def test_the_report_tells_when_it_came_and_what_was_asked_for(here, make_peer, make_domain):
    """RFC 4865 section 5.1.2."""
    peer = make_peer(script={"RCPT": lambda session, argument: "550 5.1.1 no"})
    sent_s = int(time.time())
    with logged_in(here) as client:
        client.sendmail(here.full("joe"), [f"a@{make_domain('future', peer)}"], "Subject: x\r\n\r\nx\r\n", mail_options=["HOLDFOR=4"])
    accepted_s = time.time()
    [bounce] = here.wait_mail("joe")
    about = bounce.get_payload(1).get_payload(0)
    assert about["Future-Release-Request"] == "for;4"
    assert sent_s <= email.utils.parsedate_to_datetime(about["Arrival-Date"]).timestamp() <= accepted_s


@pytest.mark.parametrize("option, code", [
    ("HOLDFOR=2592001", 501), ("HOLDFOR=0", 501), ("HOLDUNTIL=2020-01-01T00:00:00Z", 501), ("HOLDUNTIL=soon", 501),
    ("HOLDFOR=60 HOLDUNTIL=2090-01-01T00:00:00Z", 501), ("HOLDFOR=60 BY=30;R", 501), ("HOLDFOR=60 BY=30;N", 501)])
def test_times_that_are_refused(here, option, code):
    with logged_in(here) as client:
        assert client.mail(here.full("joe"), option.split(" "))[0] == code


def test_strangers_hold_nothing(stranger):
    wire = Wire(stranger.ip, stranger.mx_port)
    wire.hello()
    wire.expect(555, "MAIL FROM:<a@b.example> HOLDFOR=60")


# --- REQUIRETLS ---

def through(make_postrider, peer, **more):
    return make_postrider(domain="here.example", accounts={"joe": "pass"}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]},
        "smarthost hub": {"host": peer.ip, "port": peer.port, "domains": ["far.example"], **more}})


def test_requiretls_is_passed_on(make_postrider, make_peer, authority, lab):
    ip = lab.address()
    peer = make_peer(ip=ip, port=lab.port(587), certificate=authority.issue(["hub.example"], [ip]))
    peer.extension_list = list(ALL)
    server = through(make_postrider, peer)
    send(server, "a@far.example", ["REQUIRETLS"], tls=True)
    send(server, "a@far.example")
    messages = wait_messages(peer, 2)
    assert sorted("REQUIRETLS" in m.mail_parameters for m in messages) == [False, True]
    assert all(m.tls for m in messages)


def test_requiretls_is_kept_back_where_nobody_keeps_it(make_postrider, make_peer, authority, lab):
    ip = lab.address()
    peer = make_peer(ip=ip, port=lab.port(587), certificate=authority.issue(["hub.example"], [ip]))
    server = through(make_postrider, peer)
    send(server, "a@far.example", ["REQUIRETLS", "RET=FULL"], tls=True, body="the secret itself\r\n")
    [bounce] = server.wait_mail("joe")
    text = bounce.as_string()
    assert "5.7.30" in text
    assert "the secret itself" not in text, "the body of such a message is not returned (RFC 8689 section 5)"
    assert not peer.messages


def test_requiretls_in_clear_is_unknown(here):
    wire = Wire(here.ip, here.mx_port)
    wire.hello()
    wire.expect(555, "MAIL FROM:<joe@here.example> REQUIRETLS")


# --- content that is changed on its way ---

LONG = "<p>" + "x" * 3000 + "</p>\r\n"


def test_long_lines_are_wrapped_so_that_they_come_out_as_they_were(here, make_peer, make_domain):
    peer = make_peer()
    send(here, f"a@{make_domain('long', peer)}", header="MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n", body=LONG)
    [message] = wait_messages(peer)
    assert max(len(line) for line in message.data.split(b"\r\n")) <= 998
    parsed = email.message_from_bytes(message.data)
    assert parsed["Content-Transfer-Encoding"] == "quoted-printable"
    assert parsed.get_payload(decode=True).decode().rstrip("\r\n") == LONG.rstrip("\r\n")


@pytest.mark.parametrize("extensions, header", [
    (("PIPELINING", "8BITMIME"), "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=; b=\r\n"),
    (("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"), "")])
def test_long_lines_stay_where_they_are_signed_or_allowed(here, make_peer, make_domain, extensions, header):
    peer = make_peer(extensions=extensions)
    send(here, f"a@{make_domain('long', peer)}", header=header, body=LONG)
    [message] = wait_messages(peer)
    assert LONG.encode() in message.data


def test_large_content_is_converted_while_other_mail_goes_on(here, make_peer, make_domain):
    """On a thread of its own: the delivery loop is not held up, and each message comes out as it went in."""
    peer = make_peer(extensions=("PIPELINING",))
    domain = make_domain("seven", peer)
    body = ("grüße " * 20 + "\r\n") * 6000
    for _ in range(3):
        send(here, f"a@{domain}", ["BODY=8BITMIME"], body=body.encode().decode("latin-1").encode("latin-1").decode(),
             header="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
    send(here, f"a@{domain}")
    for message in wait_messages(peer, 4):
        message.data.decode("ascii")
        parsed = email.message_from_bytes(message.data)
        if parsed["Content-Type"]:
            assert parsed.get_payload(decode=True).decode().replace("\r\n", "\n").rstrip("\n") == body.replace("\r\n", "\n").rstrip("\n")


# --- reports ---

def test_who_wants_no_report_gets_none_where_that_is_not_known(here, make_peer, make_domain):
    """RFC 3461 section 5.2.2: in a transaction of their own, from nobody."""
    peer = make_peer(extensions=("PIPELINING", "8BITMIME"))
    domain = make_domain("nodsn", peer)
    send(here, [f"a@{domain}", f"b@{domain}", f"c@{domain}"], rcpt=[("NOTIFY=NEVER",), (), ("NOTIFY=NEVER",)])
    messages = wait_messages(peer, 2)
    assert sorted((m.sender, tuple(sorted(m.recipients))) for m in messages) == [
        ("", (f"a@{domain}", f"c@{domain}")), ("joe@here.example", (f"b@{domain}",))]
    assert all("NOTIFY" not in p for m in messages for p in m.rcpt_parameters)
    here.wait_queue_empty()


def test_who_wants_no_report_says_so_where_it_is_known(here, make_peer, make_domain):
    peer = make_peer()
    domain = make_domain("dsn", peer)
    send(here, [f"a@{domain}", f"b@{domain}"], rcpt=[("NOTIFY=NEVER",), ()])
    [message] = wait_messages(peer)
    assert message.sender == "joe@here.example" and message.rcpt_parameters == ["NOTIFY=NEVER", ""]
