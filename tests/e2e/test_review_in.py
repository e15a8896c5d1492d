"""What was found by reading the receiving side again: bounces to forwarding addresses while strangers are verified, clients that go away at any
moment, odd From fields and forged results, what is sealed against what is sent, streams and whom they sign for."""
import email
import random
import re
import smtplib
import socket
import ssl
import struct
import threading
import time
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.scripted_dns import ScriptedDns
from lab.signed_mail import Client, Key, txt

dkimpy = pytest.importorskip("dkim", reason="python3-dkim is not installed")


def tag():
    return uuid.uuid4().hex[:10]


@pytest.fixture(scope="module")
def key(lab):
    return Key(lab.subfolder("keys"), "review")


class Sender:
    """A domain with SPF, DKIM and a strict DMARC record, at an address of its own."""

    def __init__(self, lab, dns, key, dmarc="v=DMARC1; p=reject"):
        self.key, self.ip = key, lab.address()
        label = f"r{tag()}"
        self.domain = f"{label}.example"
        self.records = {f"s._domainkey.{self.domain}": key.record().encode()}
        dns.add(f"{label} MX 10 {label}", f"{label} A {self.ip}", f'{label} TXT "v=spf1 ip4:{self.ip} -all"',
                f"s._domainkey.{label} TXT {txt(key.record())}", f"_dmarc.{label} TXT {txt(dmarc)}")

    def letter(self, to, about, more="", body="Hello!\r\n"):
        text = (f"{more}From: Bob <bob@{self.domain}>\r\nTo: {to}\r\nSubject: {about}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
                f"Message-ID: <{tag()}@{self.domain}>\r\n\r\n{body}").encode()
        return self.key.sign(text, self.domain)

    def client(self, server):
        return Client(self.ip, server.ip, server.mx_port)

    def lookup(self, name, timeout=5):
        return self.records.get((name.decode() if isinstance(name, bytes) else name).rstrip(".").lower())


@pytest.fixture
def sender(lab, dns, key):
    return Sender(lab, dns, key)


# --- bounces to what was forwarded ---

@pytest.mark.parametrize("from_domain", ["own", "none"])
def test_a_bounce_to_a_forwarding_address_of_ours_is_verified_and_goes_on(make_postrider, make_peer, make_domain, sender, from_domain):
    """With the default settings: who brings the bounce is a stranger, too."""
    far, near = make_peer(), make_peer()
    far_domain, near_domain = make_domain("far", far), make_domain("near", near)
    domain = f"srs-{tag()}.example"
    server = make_postrider(domain=domain, aliases=[("out", f"ann@{far_domain}")], config={"authentication": {"enabled": True}})
    with sender.client(server) as client:
        assert client.deliver(f"joe@{near_domain}", f"out@{domain}", sender.letter("out", "there")).startswith("250")
    base.wait_for(lambda: far.messages, "the forwarded message")
    srs = far.messages[0].sender
    assert srs.upper().startswith("SRS0="), srs
    with sender.client(server) as client:
        report = sender.letter("x", "report") if from_domain == "own" else b"Subject: report\r\n\r\nno author\r\n"
        reply = client.deliver("", srs, report)
    if from_domain == "none":
        assert reply.startswith("550 5.7.1"), reply
        return
    assert reply.startswith("250"), reply
    base.wait_for(lambda: near.messages, lambda: f"the bounce; log:\n{server.log_text()[-3000:]}")
    assert (near.messages[0].sender, near.messages[0].recipients) == ("", [f"joe@{near_domain}"])
    assert b"Authentication-Results: " in near.messages[0].data


@pytest.mark.parametrize("configured", [False, True])
def test_a_strangers_return_address_is_not_signed_as_one_of_ours(make_postrider, make_peer, make_domain, configured):
    """What is forwarded may belong to a stream with signed bounces: its sender's name is not one of a mailbox here."""
    far, near = make_peer(), make_peer()
    far_domain, near_domain = make_domain("far", far), make_domain("near", near)
    domain = f"both-{tag()}.example"
    server = make_postrider(domain=domain, accounts={"joe": "joe"}, aliases=[("out", f"ann@{far_domain}")], config={
        "stream news": {"recipients": [f"@{far_domain}"], "bounces": "signed"}, **({"bounces": {"domain": domain}} if configured else {})})
    with smtplib.SMTP(server.ip, server.mx_port) as smtp:
        smtp.sendmail(f"joe@{near_domain}", [f"out@{domain}"], "Subject: x\r\nFrom: joe@x.example\r\n\r\nx\r\n")
    base.wait_for(lambda: far.messages, "the forwarded message")
    assert far.messages[0].sender.startswith("SRS0="), far.messages[0].sender


# --- clients that go away ---

def cut(sock):
    """Closed with a reset, so that nothing lingers."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("way", ["to a mailbox", "through an alias, sealed", "submitted, signed"])
def test_clients_may_go_at_any_moment(lab, make_postrider, make_peer, make_domain, dns, key, way):
    """Cut at every byte, while DNS is slow, a body is spooled, a verdict or a signature is awaited, or the store is at work; what was answered is
    never lost."""
    scripted = ScriptedDns(lab, dns.ip, strip=True)
    sender = Sender(lab, dns, key)
    slow = random.Random(7)

    def later(q):
        time.sleep(slow.random() * 0.3)
        return scripted._ask_upstream(q.message[:10] + b"\0\0" + q.message[12:q.end])

    scripted.script[sender.domain] = later
    peer = make_peer()
    domain = f"cut-{tag()}.example"
    server = make_postrider(domain=domain, accounts={"joe": "joe"}, aliases=[("away", f"x@{make_domain('far', peer)}")], config={
        "dns": {"servers": [scripted.server], "trust_anchor": None, "timeout": "5s"}, "authentication": {"enabled": True, "arc": "seal"},
        "limits": {"inline_body": "64KiB"}, **({"listen mx": {"relay_from": ["127.0.0.0/8"]}} if "signed" in way else {})})
    take_keys(server, dns, {})
    to = f"joe@{domain}" if way == "to a mailbox" else f"away@{domain}"
    errors, answered = [], []

    def one(number):
        rng = random.Random(number)
        about = f"cut{number}"
        body = "x" * 70 + "\r\n" if number % 3 else ("y" * 70 + "\r\n") * 4000
        text = f"From: joe@{domain}\r\nSubject: {about}\r\n\r\n{body}".encode() if "signed" in way else sender.letter(to, about, body=body)
        payload = (b"BDAT %d LAST\r\n" % len(text) + text) if number % 2 == 0 else b"DATA\r\n" + text + b".\r\n"
        whole = f"EHLO client.example\r\nMAIL FROM:<bob@{sender.domain}>\r\nRCPT TO:<{to}>\r\n".encode() + payload
        ends = number % 10 == 9
        stop = len(whole) if ends or number % 4 == 1 else rng.randrange(20, len(whole))
        try:
            with socket.create_connection((server.ip, server.mx_port), source_address=(sender.ip, 0)) as s:
                s.settimeout(60)
                s.sendall(whole[:stop])
                if not ends:
                    time.sleep(rng.random() * 0.4)
                    cut(s)
                    return
                s.sendall(b"QUIT\r\n")
                said = b"".join(iter(lambda: s.recv(65536), b""))
                assert b"Queued as" in said, said
                answered.append(about)
        except (OSError, AssertionError) as e:
            errors.append((number, repr(e)))

    def arrived(about):
        return any(f"\r\nSubject: {about}\r\n".encode() in m.data for m in peer.messages)

    try:
        for batch in range(5):
            threads = [threading.Thread(target=one, args=(batch * 20 + i,)) for i in range(20)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        assert not errors, errors
        for about in answered:
            if way == "to a mailbox":
                server.wait_mail("joe", subject=about)
            else:
                base.wait_for(lambda: arrived(about), lambda: f"{about}; log:\n{server.log_text()[-3000:]}")
        server.wait_queue_empty()
        base.wait_for(lambda: not server.spool_files(), lambda: f"no spool files; has {server.spool_files()}")
        for message in peer.messages:
            head = " ".join(message.data.partition(b"\r\n\r\n")[0].decode().split())
            assert ("DKIM-Signature: " if "signed" in way else "ARC-Seal: ") in head and f" d={domain};" in head, head
    finally:
        server.stop()
        scripted.close()


# --- odd From fields ---

FROM = {
    # name: (field with {a} for a domain that passes and {b} for one with p=reject that does not, reply)
    "a comment in the domain": ("From: eve@(x){b}\r\n", "550"),
    "comments around dots": ("From: eve@{b_dots}\r\n", "550"),
    "folded within": ("From:\r\n Eve\r\n <eve@\r\n {b}>\r\n", "550"),
    "odd case": ("fROM: eve@{B}\r\n", "550"),
    "blank before the colon": ("From : eve@{b}\r\n", "550"),
    "final dot": ("From: eve@{b}.\r\n", "550"),
    "group": ("From: Friends: eve@{b};\r\n", "550"),
    "empty group": ("From: Friends:;\r\n", "550"),
    "route": ("From: <@{a},@x.example:eve@{b}>\r\n", "550"),
    "quoted local part": ('From: "bob@{a}"@{b}\r\n', "550"),
    "empty elements": ("From: , eve@{b}, ,\r\n", "550"),
    "second one blank before colon": ("From: bob@{a}\r\nFrom\t: eve@{b}\r\n", "550 5.7.1"),
    "literal beside": ("From: bob@{a}, eve@[192.0.2.1]\r\n", "550 5.7.1"),
    "literal alone": ("From: eve@[192.0.2.1]\r\n", "550 5.7.1"),
    "bytes that are no UTF-8": ("From: \udcff\udcfe <eve@{b}>\r\n", "550"),
    "name that is no UTF-8, quoted": ('From: "\udcff" <eve@{b}>\r\n', "550"),
    "wide letters": ("From: eve@{b_wide}\r\n", "550"),
    "ideographic dots": ("From: eve@{b_ideographic}\r\n", "550"),
    "broken behind": ("From: eve@{b} <\r\n", "550"),
    "unclosed quote before": ('From: "eve <eve@{b}>\r\n', "550"),
    "unclosed comment before": ("From: (eve <eve@{b}>\r\n", "550"),
    "aliens in brackets": ("From: <eve@{b}> (bob@{a}\r\n", "550"),
    "encoded word as address": ("From: =?utf-8?q?eve=40{b}?=\r\n", "550 5.7.1"),
    "folded first": (" From: bob@{a}\r\nFrom: eve@{b}\r\n", "550"),
}


@pytest.fixture(scope="module")
def verifying(lab, authority, dns):
    server = lab_postrider.Postrider(lab, authority, dns, accounts={"joe": "joe"}, domain=f"odd-{tag()}.example",
                                     config={"authentication": {"enabled": True}, "limits": {"errors_per_session": 1000}})
    yield server
    server.stop()


@pytest.mark.parametrize("case", FROM)
def test_odd_from_fields_do_not_evade_a_policy(lab, dns, key, verifying, case):
    field, code = FROM[case]
    a, b = Sender(lab, dns, key), Sender(lab, dns, key)
    wide = "".join(chr(ord(c) + 0xfee0) if c != "." else c for c in b.domain)
    field = field.format(a=a.domain, b=b.domain, B=b.domain.upper(), b_dots=b.domain.replace(".", "(x) . (y)"), b_wide=wide,
                         b_ideographic=b.domain.replace(".", "。"))
    message = f"{field}To: joe\r\nSubject: {case}\r\n\r\nx\r\n".encode("utf-8", "surrogateescape")
    with a.client(verifying) as client:
        reply = client.deliver(f"bob@{a.domain}", f"joe@{verifying.domain}", message)
    assert reply.startswith(code), reply


# --- results in our name ---

FORGED = [
    "Authentication-Results : {id}; dmarc=pass",
    "AUTHENTICATION-RESULTS:{id};dmarc=pass",
    "Authentication-Results:\r\n {id}\r\n ; dmarc=pass",
    "Authentication-Results: {id} 1; dmarc=pass",
    "Authentication-Results: {id}/1; dmarc=pass",
    "Authentication-Results: {ID}.; dmarc=pass",
    "Authentication-Results: (\\)) {id}; dmarc=pass",
    "Authentication-Results: (a (b) c) {id}; dmarc=pass",
    'Authentication-Results: "{id}"; dmarc=pass',
    'Authentication-Results: "\\m{rest}"; dmarc=pass',
    "Authentication-Results: {id}",
    "Authentication-Results: ; dmarc=pass",
    "Authentication-Results:",
    "Authentication-Results: {id}(x); dmarc=pass",
    "Authentication-Results: \x01{id}; dmarc=pass",
]


@pytest.mark.parametrize("number", range(len(FORGED)))
def test_forms_of_forged_results(verifying, sender, number):
    server, about = verifying, f"forged-{tag()}"
    name = server.hostname
    forged = FORGED[number].format(id=name, ID=name.upper(), rest=name[1:])
    with sender.client(server) as client:
        message = f"X-A: 1\r\n{forged}\r\nX-B: 2\r\n".encode() + sender.letter("joe", about)
        assert client.deliver(f"bob@{sender.domain}", f"joe@{server.domain}", message).startswith("250")
    [mail] = server.wait_mail("joe", subject=about)
    head = mail.raw.partition(b"\n\n")[0]
    assert len(re.findall(rb"(?im)^authentication-results\s*:", head)) == 1, head
    assert b"X-A: 1\nX-B: 2\n" in head


def test_binary_messages_can_not_hide_forged_results(verifying, sender):
    """BINARYMIME lets bare CR and LF through: whoever reads the mailbox may take them for line ends."""
    server = verifying
    for number, piece in enumerate((b"X-A: 1\nAuthentication-Results: %s; dmarc=pass\nX-B: 2\r\n",
                                    b"X-A: 1\rAuthentication-Results: %s; dmarc=pass\rX-B: 2\r\n",
                                    b"X-A: 1\r\r\nAuthentication-Results: %s; dmarc=pass\r\nX-B: 2\r\n",
                                    b"X-A: \0\r\nAuthentication-Results: %s; dmarc=pass\r\nX-B: 2\r\n")):
        about = f"binary-{number}-{tag()}"
        text = piece % server.hostname.encode() + f"From: bob@{sender.domain}\r\nSubject: {about}\r\n\r\nx\r\n".encode()
        with sender.client(server) as client:
            client.expect(250, f"MAIL FROM:<bob@{sender.domain}> BODY=BINARYMIME")
            client.expect(250, f"RCPT TO:<joe@{server.domain}>")
            client.send(b"BDAT %d LAST\r\n" % len(text) + text)
            reply = client.answer()
        if reply.startswith("5"):
            continue
        [mail] = server.wait_mail("joe", subject=about)
        head = re.split(rb"\r?\n\r?\n", mail.raw)[0]
        fields = re.findall(rb"(?im)(?:^|[\r\n])authentication-results\s*:", head)
        assert len(fields) == 1, (number, head)


# --- memory ---

def test_what_verifiers_keep_counts_as_memory(make_postrider, sender):
    """A chain of fifty sets with long results is kept until the end of the message: strangers share body_memory for it."""
    server = make_postrider(domain=f"room-{tag()}.example", accounts={"joe": "joe"}, config={
        "authentication": {"enabled": True}, "limits": {"body_memory": "1M", "inline_body": "64KiB"}})
    chain = "".join(
        f"ARC-Seal: i={i}; a=rsa-sha256; cv={'pass' if i > 1 else 'none'}; d={sender.domain}; s=s; b=AAAA\r\n"
        f"ARC-Message-Signature: i={i}; a=rsa-sha256; d={sender.domain}; s=s; h=From; bh={'A' * 43}=; b=AAAA\r\n"
        f"ARC-Authentication-Results: i={i}; x.example; dmarc=pass{' (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx)' * 118}\r\n" for i in range(50, 0, -1))
    text = sender.letter("joe", "room", more=chain, body="x" * 70 + "\r\n") + (b"y" * 70 + b"\r\n") * 5000
    text = chain.encode() + sender.key.sign(text[text.index(b"From: Bob"):], sender.domain)

    def whole():
        with sender.client(server) as client:
            return client.deliver(f"bob@{sender.domain}", f"joe@{server.domain}", text)

    assert whole().startswith("250")
    open_ones = []

    def is_full_of_five():
        # What waits for a slow disk is body_memory, too: then some of the five are refused, and keep nothing. They are sent again.
        while open_ones:
            open_ones.pop().close()
        base.wait_for(lambda: whole().startswith("250"), "memory to be there")
        for _ in range(5):
            client = sender.client(server)
            client.envelope(f"bob@{sender.domain}", f"joe@{server.domain}")
            client.expect(354, "DATA")
            client.send(text)
            open_ones.append(client)
        return any(whole().startswith("452 4.3.1") for _ in range(20))

    base.wait_for(is_full_of_five, "memory to be short")
    for client in open_ones:
        client.close()
    base.wait_for(lambda: whole().startswith("250"), "memory to be there again")


# --- sealed as sent ---

def take_keys(server, dns, records):
    for line in server.must("dkim", "new", server.domain).splitlines():
        found = re.match(r"(\S+)\.\s+\d+\s+IN\s+TXT\s+(.*)", line)
        if found:
            records[found[1].lower()] = "".join(re.findall(r'"([^"]*)"', found[2])).encode()
            dns.add(line)
    server.must("dkim", "check", server.domain)


BODIES = {
    "empty": b"",
    "no last line end": b"Hello",
    "dots": b".\r\n..\r\n.x\r\n\r\n.\r\n",
    "blank lines at the end": b"x\r\n\r\n \r\n\r\n\r\n",
    "8 bit": "Grüße\r\n".encode(),
    "long line": b"x" * 5000 + b"\r\n",
    "spooled, no last line end": b"0123456789" * 20000,
    "no body at all": None,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("chunked", [False, True], ids=["DATA", "BDAT"])
def test_what_is_sealed_is_what_is_sent(make_postrider, make_peer, make_domain, dns, sender, body, chunked):
    peer = make_peer()
    far = make_domain("far", peer)
    server = make_postrider(domain=f"seal-{tag()}.example", aliases=[("away", f"bob@{far}")],
                            config={"authentication": {"enabled": True, "arc": "seal"}, "limits": {"inline_body": "64KiB"}})
    take_keys(server, dns, sender.records)
    text = (f"X-Odd:  two   blanks \r\n\t folded\t\r\nFrom: bob@{sender.domain}\r\nSubject: sealed\r\nSubject: twice\r\n"
            f"Authentication-Results: {server.hostname}; spf=pass\r\nMessage-ID: <{tag()}@x>\r\n").encode()
    if BODIES[body] is not None:
        text += b"\r\n" + BODIES[body]
    message = sender.key.sign(text, sender.domain)
    with sender.client(server) as client:
        reply = client.deliver(f"bob@{sender.domain}", f"away@{server.domain}", message, chunked=chunked)
        assert reply.startswith("250"), reply
    base.wait_for(lambda: peer.messages, lambda: f"the message; log:\n{server.log_text()[-3000:]}")
    data = peer.messages[0].data
    state, found, reason = dkimpy.ARC(data).verify(dnsfunc=sender.lookup)
    assert (state, len(found)) == (b"pass", 1), (reason, data[:3000])
    assert dkimpy.DKIM(data).verify(dnsfunc=sender.lookup)
    assert email.message_from_bytes(data).get_all("Authentication-Results")[0].startswith(server.hostname)
    assert len(email.message_from_bytes(data).get_all("Authentication-Results")) == 1


# --- signed as sent ---

@pytest.mark.parametrize("body", list(BODIES) + ["bare line ends"])
def test_what_is_signed_is_what_is_sent(make_postrider, make_peer, make_domain, dns, body):
    peer = make_peer()
    far = make_domain("far", peer)
    server = make_postrider(domain=f"signs-{tag()}.example", config={
        "listen mx": {"relay_from": ["127.0.0.0/8"], "normalise_line_ends": True}, "limits": {"inline_body": "64KiB"}})
    records = {}
    take_keys(server, dns, records)
    content = b"a\nb\rc\r\n\nd\r" if body == "bare line ends" else BODIES[body]
    text = f"From: joe@{server.domain}\r\nSubject:  signed  \r\n\t folded\r\n".encode()
    if body == "bare line ends":
        text = text.replace(b"\r\n", b"\n")
    if content is not None:
        text += b"\r\n" + content
    for chunked in (False, True):
        with Client("127.0.0.1", server.ip, server.mx_port) as client:
            client.envelope(f"joe@{server.domain}", f"x@{far}")
            if chunked:
                client.send(b"BDAT %d LAST\r\n" % len(text) + text)
                reply = client.answer()
            else:
                stuffed = re.sub(rb"(?m)^\.", b"..", text)
                reply = client.data(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
            assert reply.startswith("250"), reply
    base.wait_for(lambda: len(peer.messages) == 2, lambda: f"two messages; log:\n{server.log_text()[-3000:]}")
    for message in peer.messages:
        count = len(email.message_from_bytes(message.data).get_all("DKIM-Signature"))
        assert count == 2
        for i in range(count):
            assert dkimpy.DKIM(message.data).verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip(".").lower())), i


# --- whom a stream signs for ---

def test_a_header_does_not_lend_another_customers_signature(make_postrider, make_peer, make_domain, dns):
    """A stream that anybody can choose by a header field signs in its domain's name only for those who may write in that name."""
    peer = make_peer()
    far = make_domain("far", peer)
    bank = f"bank-{tag()}.example"
    server = make_postrider(domain=f"lend-{tag()}.example", accounts={"eve": "eve"},
                            config={"stream news": {"headers": ["X-Class: news"], "dkim_domain": bank}})
    server.must("domain", "add", bank)
    server.add_account(f"boss@{bank}", "boss")
    records = {}
    for line in server.must("dkim", "new", bank).splitlines():
        found = re.match(r"(\S+)\.\s+\d+\s+IN\s+TXT\s+(.*)", line)
        if found:
            records[found[1]] = "".join(re.findall(r'"([^"]*)"', found[2])).encode()
            dns.add(line)
    server.must("dkim", "check", bank)

    def submit(account, password, author):
        context = ssl.create_default_context(cafile=server.ca)
        context.check_hostname = False
        before = len(peer.messages)
        with smtplib.SMTP(server.ip, server.submission_port) as smtp:
            smtp.starttls(context=context)
            smtp.login(account, password)
            smtp.sendmail(account, [f"x@{far}"], f"X-Class: news\r\nFrom: {author}\r\nSubject: x\r\n\r\nx\r\n".encode())
        base.wait_for(lambda: len(peer.messages) > before, "the message")
        return re.findall(r"\bd=([^;]+);", " ".join(email.message_from_bytes(peer.messages[-1].data).get_all("DKIM-Signature") or []))

    assert set(submit(f"boss@{bank}", "boss", f"boss@{bank}")) == {bank}
    assert bank not in submit(f"eve@{server.domain}", "eve", f"boss@{bank}")
    # What is not in that domain's name may have its signature: nobody takes it for the author's.
    assert set(submit(f"eve@{server.domain}", "eve", f"eve@{server.domain}")) == {bank}
