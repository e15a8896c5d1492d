"""The server's side on the wire: what is offered where, who may send what to whom, orders and errors, and what no polite client sends."""
import re
import smtplib
import ssl
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.wire import Closed, Wire

PASSWORD = "joe's pass word"


@pytest.fixture(scope="module")
def here(lab, authority, dns):
    server = lab_postrider.Postrider(lab, authority, dns, accounts={"joe": PASSWORD, "ann": "ann"},
                                     aliases=[("sales", "joe@here.example"), ("team", "joe@here.example"), ("team", "ann@here.example")],
                                     config={"limits": {"errors_per_session": 60, "message_size": "1M"}})
    yield server
    server.stop()


@pytest.fixture
def mx(here):
    with Wire(here.ip, here.mx_port) as wire:
        wire.expect(220)
        yield wire


def subject():
    return "Test " + uuid.uuid4().hex[:12]


def letter(about, body="hello\r\n"):
    return f"From: Bob <bob@client.example>\r\nTo: joe@here.example\r\nSubject: {about}\r\n\r\n{body}.\r\n"


# --- what is offered ---

def test_ehlo_offers_what_holds(here):
    def words(lines):
        return {l.split()[0].upper() for l in lines}

    common = {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "LIMITS"}
    with Wire(here.ip, here.mx_port) as wire:
        offered = wire.hello()
        assert common <= words(offered) and "STARTTLS" in words(offered) and "AUTH" not in words(offered)
        assert "SIZE 1048576" in offered
        assert "STARTTLS" not in words(wire.starttls())
        assert wire.command("STARTTLS").startswith("50")
    with Wire(here.ip, here.submission_port) as wire:
        offered = words(wire.hello())
        assert "STARTTLS" in offered and "AUTH" not in offered
        offered = wire.starttls()
        assert "AUTH PLAIN LOGIN" in [l.upper() for l in offered] or {"AUTH"} <= words(offered)
        wire.login("joe@here.example", PASSWORD)
        assert wire.command("AUTH PLAIN AGpvZQBqb2U=").startswith("503")
    with Wire(here.ip, here.submissions_port, tls=True) as wire:
        offered = words(wire.hello())
        assert "AUTH" in offered and "STARTTLS" not in offered


def test_helo_has_no_extensions(mx):
    got = mx.expect(250, "HELO client.example")
    assert "\n" not in got
    mx.expect(250, "MAIL FROM:<bob@client.example>")


@pytest.mark.parametrize("name, commands", {
    "no greeting": [("MAIL FROM:<a@b.example>", "503")],
    "rcpt first": [("EHLO c.example", "250"), ("RCPT TO:<joe@here.example>", "503")],
    "data first": [("EHLO c.example", "250"), ("DATA", "503")],
    "bdat first": [("EHLO c.example", "250"), ("BDAT 0 LAST", "503")],
    "data without rcpt": [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example>", "250"), ("DATA", "503")],
    "mail twice": [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example>", "250"), ("MAIL FROM:<a@b.example>", "503")],
    "rset forgets": [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example>", "250"), ("RSET", "250"), ("RCPT TO:<joe@here.example>", "503")],
    "ehlo forgets": [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example>", "250"), ("EHLO c.example", "250"),
                     ("RCPT TO:<joe@here.example>", "503")],
    "vrfy, expn, help, noop": [("EHLO c.example", "250"), ("VRFY joe", "252"), ("EXPN team", "502"), ("HELP", "214"), ("NOOP x", "250")],
    "unknown command": [("FROB", "500"), ("EHLO c.example", "250"), ("WHATEVER x", "500")],
    "no name": [("EHLO", "501"), ("HELO", "501")],
    "spaces and case": [("ehlo c.example", "250"), ("mail from: <a@b.example>", "250"), ("rcpt to: <joe@here.example>", "250")],
    "source route": [("EHLO c.example", "250"), ("MAIL FROM:<@x.example,@y.example:a@b.example>", "250"),
                     ("RCPT TO:<@x.example:joe@here.example>", "250")],
    "quoted local part": [("EHLO c.example", "250"), ('MAIL FROM:<"a b"@b.example>', "250"), ('RCPT TO:<"joe"@here.example>', "250")],
    "postmaster": [("EHLO c.example", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<Postmaster>", "250"),
                   ("RCPT TO:<POSTMASTER@here.example>", "250")],
    "syntax": [("EHLO c.example", "250"), ("MAIL FROM:<a@@b>", "501"), ("MAIL FROM:a b", "501"), ("MAIL TO:<a@b.example>", "501"),
               ("MAIL FROM:<a@b.example> FROB=1", "555"), ("MAIL FROM:<a@b.example> BODY=9BIT", "501")],
    "size": [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example> SIZE=99999999", "552"), ("MAIL FROM:<a@b.example> SIZE=x", "501"),
             ("MAIL FROM:<a@b.example> SIZE=1000", "250")],
    "long line": [("EHLO c.example", "250"), ("NOOP " + "x" * 20000, "500"), ("NOOP", "250")],
    "lines with bare LF": [("EHLO c.example\nNOOP", "5")],
}.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_orders_and_errors(mx, name, commands):
    for command, code in commands:
        mx.expect(code, command)


def test_enhanced_codes_on_every_answer(mx):
    mx.expect(250, "EHLO c.example")
    for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<joe@here.example>", "RCPT TO:<nobody@here.example>", "RCPT TO:<x@elsewhere.example>",
                    "RSET", "NOOP", "VRFY joe", "EXPN x", "FROB", "DATA"):
        got = mx.command(command)
        if not got.startswith("3"):
            assert re.match(rf"{got[0]}\d\d {got[0]}\.\d+\.\d+ ", got), got


# --- who may send to whom ---

def test_open_relay_is_refused(here, mx):
    mx.expect(250, "EHLO client.example")
    mx.expect(250, "MAIL FROM:<bob@client.example>")
    for path in ("victim@elsewhere.example", "victim%elsewhere.example@elsewhere2.example", "@here.example:victim@elsewhere.example",
                 '"victim@elsewhere.example"@[127.0.0.1]'):
        got = mx.command(f"RCPT TO:<{path}>")
        assert got.startswith("5"), f"{path}: {got}"
    assert "5.7.1" in mx.command("RCPT TO:<victim@elsewhere.example>")
    # Our own domain as the sender is no key to the door either.
    mx.expect(250, "RSET")
    mx.expect(250, "MAIL FROM:<joe@here.example>")
    mx.expect(550, "RCPT TO:<victim@elsewhere.example>")
    mx.expect(550, "RCPT TO:<victim%elsewhere.example@here.example>")


def test_known_unknown_plus_and_alias(here, mx):
    about = subject()
    mx.expect(250, "EHLO client.example")
    mx.expect(250, "MAIL FROM:<bob@client.example>")
    assert mx.expect(550, "RCPT TO:<nobody@here.example>").startswith("550 5.1.1")
    for to in ("JOE@Here.Example", "joe+lists@here.example", "sales@here.example", "team@here.example", "ann@here.example"):
        mx.expect(250, f"RCPT TO:<{to}>")
    assert mx.data(letter(about)).startswith("250 2.")
    for mail in here.wait_mail("joe", subject=about) + here.wait_mail("ann", subject=about):
        assert mail.raw.startswith(b"Return-Path: <bob@client.example>\r\n") or mail.raw.startswith(b"Return-Path: <bob@client.example>\n")
        received = mail.get_all("Received")[0]
        assert "client.example" in received and here.hostname in received and "ESMTP" in received
        assert mail["Bcc"] is None


def test_submission_needs_a_login_and_owns_addresses(here):
    with Wire(here.ip, here.submission_port) as wire:
        wire.hello()
        assert wire.expect(530, "MAIL FROM:<joe@here.example>").startswith("530 5.7.0")
        wire.starttls()
        wire.expect(530, "MAIL FROM:<joe@here.example>")
        wire.login("joe@here.example", PASSWORD)
        wire.envelope("joe@here.example", "ann@here.example")
        about = subject()
        assert wire.data(letter(about)).startswith("250")
    [mail] = here.wait_mail("ann", subject=about)
    assert mail["Date"] and mail["Message-ID"]


def test_ipv6(lab, authority, dns):
    if not lab_postrider.base.read_text("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    server = lab_postrider.Postrider(lab, authority, dns, domain="six.example", accounts={"joe": "joe"}, config={
        "listen submission": None, "listen submissions": None, "listen mx": {"address": "[::1]:10026"}}, start=False)
    server.start(wait=False)
    base.wait_for_port("::1", 10026, "postrider on IPv6", server.process, b"220")
    about = subject()
    with Wire("::1", 10026) as wire:
        wire.hello("[IPv6:::1]")
        wire.envelope("bob@client.example", "joe@six.example")
        assert wire.data(letter(about)).startswith("250")
    [mail] = server.wait_mail("joe", subject=about)
    assert "[IPv6:::1]" in mail.get_all("Received")[0]
    server.stop()


def test_received_loop(here, mx):
    mx.expect(250, "EHLO client.example")
    mx.envelope("bob@client.example", "joe@here.example")
    mx.expect(354, "DATA")
    mx.send("".join(f"Received: from a{i} by b{i}; Mon, 23 Nov 2026 10:00:00 +0000\r\n" for i in range(101)) + letter("loop"))
    assert mx.answer().startswith("554 5.4.6")
    mx.expect(250, "NOOP")


# --- content ---

@pytest.mark.parametrize("name, parts, expected", [
    ("one chunk", [b"Subject: %s\r\n\r\none\r\n"], b"one\r\n"),
    ("many chunks, cut anywhere", [b"Subj", b"ect: %s\r", b"\n\r\ntwo\r\n.\r\n", b"", b".three\r\n"], b"two\r\n.\r\n.three\r\n"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_chunking(here, mx, name, parts, expected):
    about = subject()
    parts = [part.replace(b"%s", about.encode()) for part in parts]
    mx.expect(250, "EHLO client.example")
    mx.envelope("bob@client.example", "joe@here.example")
    for number, part in enumerate(parts):
        last = " LAST" if number == len(parts) - 1 else ""
        mx.send(b"BDAT %d%s\r\n" % (len(part), last.encode()) + part)
        mx.expect(250)
    [mail] = here.wait_mail("joe", subject=about)
    assert mail.raw.replace(b"\r\n", b"\n").endswith(b"\n\n" + expected.replace(b"\r\n", b"\n"))


def test_pipelining(here, mx):
    about = subject()
    mx.expect(250, "EHLO client.example")
    mx.send("MAIL FROM:<bob@client.example>\r\nRCPT TO:<nobody@here.example>\r\nRCPT TO:<joe@here.example>\r\nDATA\r\n")
    assert [mx.answer()[:3] for _ in range(4)] == ["250", "550", "250", "354"]
    mx.send(letter(about) + "MAIL FROM:<bob@client.example>\r\nRCPT TO:<joe@here.example>\r\nRSET\r\nQUIT\r\n")
    assert [mx.answer()[:3] for _ in range(5)] == ["250", "250", "250", "250", "221"]
    assert mx.closed()
    assert len(here.wait_mail("joe", subject=about)) == 1


def test_8bit_and_utf8(here, mx):
    about = subject()
    mx.expect(250, "EHLO client.example")
    mx.expect(250, "MAIL FROM:<böb@client.example> SMTPUTF8 BODY=8BITMIME")
    mx.expect(250, "RCPT TO:<joe@here.example>")
    assert mx.data(letter(about, "Grüße\r\n").encode()).startswith("250")
    [mail] = here.wait_mail("joe", subject=about)
    assert "Grüße".encode() in mail.raw and "<böb@client.example>".encode() in mail.raw
    mx.expect("5", "MAIL FROM:<böb@client.example>")  # without SMTPUTF8


def test_null_sender(here, mx):
    about = subject()
    mx.expect(250, "EHLO client.example")
    mx.envelope("", "joe@here.example")
    assert mx.data(letter(about)).startswith("250")
    [mail] = here.wait_mail("joe", subject=about)
    assert mail.raw.startswith(b"Return-Path: <>")


# --- what must not pass ---

@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\n\n.\r\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r.\r\n"],
                         ids=lambda v: v.decode("latin-1").encode("unicode_escape").decode())
def test_smuggling(here, ending):
    """Only CRLF . CRLF ends a message; whatever else looks like it is refused, and nothing behind it is taken for a command."""
    about = subject()
    smuggled = subject()
    with Wire(here.ip, here.mx_port) as wire:
        wire.hello()
        wire.envelope("bob@client.example", "joe@here.example")
        wire.expect(354, "DATA")
        wire.send(b"Subject: " + about.encode() + b"\r\n\r\nfirst" + ending + b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<ann@here.example>\r\n"
                  b"DATA\r\nSubject: " + smuggled.encode() + b"\r\n\r\nsmuggled\r\n.\r\n")
        got = wire.answer()
        assert got.startswith("5"), got
        try:
            wire.expect(250, "NOOP")  # exactly one answer came: the rest was data
        except Closed:
            pass
    with Wire(here.ip, here.mx_port) as wire:  # a marker behind it: when it has come, the others would have
        wire.hello()
        wire.envelope("bob@client.example", "ann@here.example")
        marker = subject()
        wire.data(letter(marker))
    here.wait_mail("ann", subject=marker)
    seen = [str(m["Subject"]) for m in here.mailbox("ann") + here.mailbox("joe")]
    assert smuggled not in seen and about not in seen


def test_starttls_injection(here):
    """Bytes behind STARTTLS in the same packet end the session before any of them is obeyed (CVE-2011-0411)."""
    for port in (here.mx_port, here.submission_port):
        with Wire(here.ip, port) as wire:
            wire.hello()
            wire.send("STARTTLS\r\nMAIL FROM:<evil@client.example>\r\nRCPT TO:<joe@here.example>\r\n")
            try:
                first = wire.answer()
                if first.startswith("220"):
                    with pytest.raises((ssl.SSLError, OSError, Closed, AssertionError)):
                        wire.start_tls()
                        wire.expect(250, "EHLO x.example")
                        raise ssl.SSLError("accepted") if "evil" in here.log_text() else AssertionError("the session went on")
                else:
                    assert first.startswith(("5", "4"))
                    assert wire.closed()
            except Closed:
                pass
    with Wire(here.ip, here.mx_port) as wire:
        wire.hello()
        wire.starttls()
        wire.expect(503, "RCPT TO:<joe@here.example>")  # no transaction survives, none was begun


def test_state_does_not_survive_starttls(here):
    with Wire(here.ip, here.mx_port) as wire:
        wire.hello()
        wire.expect(250, "MAIL FROM:<bob@client.example>")
        wire.expect(220, "STARTTLS")
        wire.start_tls()
        wire.expect(503, "RCPT TO:<joe@here.example>")
        wire.expect(250, "EHLO client.example")
        wire.expect(503, "RCPT TO:<joe@here.example>")


def test_bare_line_ends_normalised_for_trusted(make_postrider):
    server = make_postrider(domain="trust.example", accounts={"joe": "joe"},
                            config={"listen mx": {"relay_from": ["127.0.0.0/8"], "normalise_line_ends": True}})
    about = subject()
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope("bob@client.example", "joe@trust.example")
        wire.expect(354, "DATA")
        wire.send(f"Subject: {about}\n\nbare\nlines\n.\nnot the end\r\n.\r\n")
        assert wire.answer().startswith("250")
    [mail] = server.wait_mail("joe", subject=about)
    assert mail.get_payload().replace("\r\n", "\n") == "bare\nlines\n.\nnot the end\n"


def test_postfix_sends_to_us(here, postfix):
    """The remote server in the other direction: Postfix finds us and delivers over opportunistic TLS."""
    about = subject()
    postfix.route("here.example", here.ip, here.mx_port)
    with smtplib.SMTP(postfix.ip, postfix.port) as client:
        client.sendmail("bob@remote.example", ["joe@here.example", "ann@here.example", "nobody@here.example"],
                        f"From: bob@remote.example\r\nSubject: {about}\r\n\r\nfrom Postfix\r\n")
    for user in ("joe", "ann"):
        [mail] = here.wait_mail(user, subject=about)
        assert "ESMTPS" in mail.get_all("Received")[0]
    [bounce] = [m for m in postfix.wait_mail("bob@remote.example") if about in m.as_string()]
    assert "5.1.1" in bounce.as_string()
