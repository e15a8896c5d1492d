"""Mail goes out: which host is chosen, what is done when it fails, TLS, and what the other side can't take."""
import smtplib
import threading
import uuid

import pytest

from lab import base
from lab.scripted_peer import CLOSE, RESET, STALL, ScriptedPeer
from lab.wire import Wire


@pytest.fixture
def here(make_postrider):
    return make_postrider(domain="here.example", accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}})


def send(server, *recipients, body="hello\r\n", sender="joe@here.example", options=(), rcpt_options="", headers=""):
    """Submits over the mx listener from a trusted network; the subject."""
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.expect(250, " ".join([f"MAIL FROM:<{sender}>", *options]))
        for recipient in recipients:
            wire.expect(250, f"RCPT TO:<{recipient}>{rcpt_options}")
        wire.expect(354, "DATA")
        text = f"From: {sender or 'x@here.example'}\r\nTo: {recipients[0]}\r\nSubject: {about}\r\n{headers}\r\n{body}"
        wire.send(text.replace("\r\n.", "\r\n..").encode() + b".\r\n")
        got = wire.answer()
        assert got.startswith("250"), got
    return about


def wait_messages(peer, count=1):
    base.wait_for(lambda: len(peer.messages) >= count, lambda: f"{count} messages at the peer; has {peer.messages}, "
                  f"{[s.commands for s in peer.sessions]}")
    return peer.messages


# --- which host ---

def test_remote_by_mx(here, postfix):
    user = f"u{uuid.uuid4().hex[:8]}@remote.example"
    about = send(here, user)
    [mail] = postfix.wait_mail(user)
    assert str(mail["Subject"]) == about
    assert "using TLSv1" in mail.get_all("Received")[0], "opportunistic TLS"
    here.wait_queue_empty()


@pytest.mark.parametrize("failing", [None, {"GREETING": "421 4.3.2 closing"}, {"GREETING": CLOSE}, {"GREETING": "554 5.3.2 no mail here"},
                                     {"EHLO": RESET}, {"MAIL": "451 4.3.0 not now"}],
                         ids=["refused", "421", "closed", "554", "reset", "451 at MAIL"])
def test_second_mx_after_a_failure_of_the_first(here, lab, make_peer, make_domain, failing):
    first = lab.address() if failing is None else make_peer(script=failing)
    second = make_peer()
    send(here, f"x@{make_domain('fallback', first, second)}")
    wait_messages(second)
    here.wait_queue_empty()


def test_implicit_mx_and_cname(here, lab, dns, make_peer):
    peer = make_peer()
    label = "imp" + uuid.uuid4().hex[:6]
    dns.add(f"{label} A {peer.ip}", f"{label}-alias CNAME {label}", f"{label}-via MX 10 {label}-alias")
    send(here, f"x@{label}.example")
    send(here, f"x@{label}-via.example")
    wait_messages(peer, 2)
    here.wait_queue_empty()


def test_signed_zone(here, dns, make_peer):
    peer = make_peer()
    label = "s" + uuid.uuid4().hex[:6]
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {peer.ip}", zone="signed.")
    send(here, f"x@{label}.signed")
    wait_messages(peer)


def test_equal_preferences_share(make_postrider, dns, make_peer):
    here = make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "delivery": {"idle": "0ms"}})
    peers = [make_peer(), make_peer()]
    label = "eq" + uuid.uuid4().hex[:6]
    dns.add(*[f"{label} MX 10 mx{n}.{label}" for n in range(2)], *[f"mx{n}.{label} A {p.ip}" for n, p in enumerate(peers)])
    # Forty coins all on one side: once in 5e11 runs. Only without kept connections has each message a shuffle of its own.
    for _ in range(40):
        send(here, f"x@{label}.example", sender=here.full("joe"))
        here.wait_queue_empty()
        if all(p.messages for p in peers):
            break
    else:
        raise AssertionError([len(p.messages) for p in peers])


@pytest.mark.parametrize("record, status", [("MX 0 .", "5.1.10"), (None, "5.1.2"), ("TXT nothing", "5.4.4")],
                         ids=["null MX", "no such domain", "no address"])
def test_nowhere_to_go_bounces(here, dns, record, status):
    label = "nowhere" + uuid.uuid4().hex[:6]
    if record:
        dns.add(f"{label} {record}")
    send(here, f"x@{label}.example")
    [bounce] = here.wait_mail("joe")
    assert f"Status: {status}" in bounce.as_string(), bounce.as_string()


@pytest.mark.parametrize("failure", ["silence", "bogus"])
def test_dns_failure_is_temporary(make_postrider, dns, lab, make_peer, make_domain, failure):
    """No answer, or one that DNSSEC proves false, is no verdict on the domain."""
    settings = {"servers": [f"{lab.address()}@5353"], "timeout": "1s"}
    if failure == "bogus":
        other_root = lab.path("other-root.key")
        text = base.read_text(dns.trust_anchor).strip()
        with open(other_root, "w", encoding="ascii") as f:
            f.write(text[:-8] + ("00000000" if text[-8:] != "00000000" else "11111111") + "\n")
        settings = {"servers": [dns.server], "trust_anchor": other_root, "timeout": "5s"}
    server = make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "dns": settings})
    peer = make_peer()
    send(server, f"x@{make_domain('dnsfail', peer)}", sender=server.full("joe"))
    base.wait_for(lambda: server.queue_list("--deferred"), "a deferred message", step=0.2)
    assert not server.mailbox("joe") and not peer.messages


def test_mx_that_is_us_is_a_loop(here, dns, make_peer):
    """Hosts as good as or worse than ourselves are no way on (RFC 5321 §5.1); with nothing left the mail comes back."""
    label = "us" + uuid.uuid4().hex[:6]
    peer = make_peer()
    dns.add(f"{label} MX 10 {here.hostname}.", f"{label} MX 20 mx.{label}", f"mx.{label} A {peer.ip}")
    dns.replace("mail.here", f"mail.here A {here.ip}")
    send(here, f"x@{label}.example")
    [bounce] = here.wait_mail("joe")
    assert "5.4.6" in bounce.as_string(), bounce.as_string()
    assert not peer.messages


# --- how ---

def without_chunking(step):
    """Where CHUNKING is offered there is no DATA command to fail."""
    return [e for e in ScriptedPeer.DEFAULT_EXTENSIONS if e != "CHUNKING" or step != "DATA"]


def test_recipients_share_a_transaction_and_each_has_an_outcome(here, make_peer, make_domain):
    def rcpt(_, argument):
        return "550 5.1.1 no such user" if "bad" in argument else "452 4.2.2 full" if "full" in argument and tries.append(1) is None and len(
            tries) < 2 else None

    tries = []
    peer = make_peer(script={"RCPT": rcpt})
    domain = make_domain("many", peer)
    send(here, f"a@{domain}", f"bad@{domain}", f"full@{domain}", f"b@{domain}")
    wait_messages(peer, 2)
    here.wait_queue_empty()
    assert peer.messages[0].recipients == [f"a@{domain}", f"b@{domain}"]
    assert peer.messages[1].recipients == [f"full@{domain}"]
    [bounce] = here.wait_mail("joe")
    assert f"bad@{domain}" in bounce.as_string() and f"full@{domain}" not in bounce.as_string()


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
def test_temporary_failure_is_retried(here, make_peer, make_domain, step):
    peer = make_peer(script={step: ["450 4.2.0 not yet", "450 4.2.0 not yet"]}, extensions=without_chunking(step))
    about = send(here, f"x@{make_domain('retry', peer)}")
    [message] = wait_messages(peer)
    assert about.encode() in message.data
    here.wait_queue_empty()
    assert not here.mailbox("joe")


@pytest.mark.parametrize("action", [CLOSE, RESET], ids=["close", "reset"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
def test_lost_connection_is_retried(here, make_peer, make_domain, step, action):
    peer = make_peer(script={step: [action]}, extensions=without_chunking(step))
    send(here, f"x@{make_domain('lost', peer)}")
    assert len(wait_messages(peer)) == 1
    here.wait_queue_empty()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
def test_permanent_failure_bounces_at_once(here, make_peer, make_domain, step):
    peer = make_peer(script={step: "554 5.7.1 we don't want this"}, extensions=without_chunking(step))
    send(here, f"x@{make_domain('perm', peer)}")
    [bounce] = here.wait_mail("joe")
    assert "we don't want this" in bounce.as_string()
    here.wait_queue_empty()


def test_helo_when_ehlo_is_unknown(here, make_peer, make_domain):
    peer = make_peer(script={"EHLO": "502 5.5.1 what?"})
    send(here, f"x@{make_domain('old', peer)}", body=".dot\r\n..\r\n")
    [message] = wait_messages(peer)
    assert any(c.startswith("HELO ") for c in message.session.commands)
    assert message.data.endswith(b"\r\n\r\n.dot\r\n..\r\n")


def test_connection_is_reused(here, make_peer, make_domain):
    """Several messages to one destination over few connections."""
    peer = make_peer(script={"GREETING": ["450 4.3.2 not yet"]})
    domain = make_domain("reuse", peer)
    for _ in range(12):
        send(here, f"x@{domain}")
    wait_messages(peer, 12)
    sessions = {id(m.session) for m in peer.messages}
    assert len(sessions) < 12


def test_pipelining_and_chunking_where_offered(here, make_peer, make_domain):
    with_all = make_peer()
    send(here, f"x@{make_domain('all', with_all)}", body="x\r\n.\r\n")
    [message] = wait_messages(with_all)
    assert message.chunked and message.data.endswith(b"x\r\n.\r\n")
    plain = make_peer(extensions=())
    send(here, f"x@{make_domain('plain', plain)}")
    [message] = wait_messages(plain)
    assert not message.chunked and message.mail_parameters == ""


def test_size_that_the_peer_refuses(here, make_peer, make_domain):
    peer = make_peer(extensions=("SIZE 1000",))
    send(here, f"x@{make_domain('small', peer)}", body="y" * 70 + "\r\n" * 1 + ("z" * 70 + "\r\n") * 50)
    [bounce] = here.wait_mail("joe")
    assert "5.3.4" in bounce.as_string() and not peer.messages


def test_stalled_peer_holds_nothing_else_up(here, make_peer, make_domain):
    stalled = make_peer(script={"GREETING": STALL})
    healthy = make_peer()
    send(here, f"x@{make_domain('stall', stalled)}")
    assert stalled.stalled.wait(base.PATIENCE_S)
    send(here, f"x@{make_domain('healthy', healthy)}")
    wait_messages(healthy)


# --- TLS ---

def test_tls_when_offered_clear_when_it_breaks(here, authority, make_peer, make_domain):
    good = make_peer(certificate=authority.issue(["mx.good.example"]))
    send(here, f"x@{make_domain('tls', good)}")
    assert wait_messages(good)[0].tls
    refusing = make_peer(certificate=authority.issue(["mx.r.example"]), script={"STARTTLS": "454 4.7.0 not now"})
    send(here, f"x@{make_domain('tls454', refusing)}")
    assert not wait_messages(refusing)[0].tls
    broken = make_peer(broken_tls=True)
    send(here, f"x@{make_domain('tlsbroken', broken)}")
    assert not wait_messages(broken)[0].tls
    here.wait_queue_empty()


def test_tls_policies(make_postrider, authority, make_peer, make_domain):
    encrypt = make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "delivery": {"tls": "encrypt"}})
    clear = make_peer()
    send(encrypt, f"x@{make_domain('clear', clear)}", sender=encrypt.full("joe"))
    base.wait_for(lambda: encrypt.queue_list("--deferred"), "no clear text with tls = encrypt", step=0.2)
    assert not clear.messages
    own = make_peer(certificate=authority.issue(["another-name.example"]))
    send(encrypt, f"x@{make_domain('anyname', own)}", sender=encrypt.full("joe"))
    assert wait_messages(own)[0].tls

    verify = make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "delivery": {"tls": "verify"}})
    wrong = make_peer(certificate=authority.issue(["another-name.example"]))
    send(verify, f"x@{make_domain('wrongname', wrong)}", sender=verify.full("joe"))
    base.wait_for(lambda: verify.queue_list("--deferred"), "no delivery to a wrong name with tls = verify", step=0.2)
    assert not wrong.messages
    right_ip = verify.lab.address()
    domain = make_domain("rightname", right_ip)
    right = make_peer(ip=right_ip, certificate=authority.issue([f"mx0.{domain}"]))
    send(verify, f"x@{domain}", sender=verify.full("joe"))
    assert wait_messages(right)[0].tls


def test_none_never_uses_tls(make_postrider, authority, make_peer, make_domain):
    server = make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "delivery": {"tls": "none"}})
    peer = make_peer(certificate=authority.issue(["mx.example"]))
    send(server, f"x@{make_domain('notls', peer)}", sender=server.full("joe"))
    assert not wait_messages(peer)[0].tls


# --- what the other side can't take ---

MIME_8BIT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def test_8bit_is_sent_as_it_is_where_it_may(here, make_peer, make_domain):
    peer = make_peer()
    send(here, f"x@{make_domain('eight', peer)}", body="Grüße\r\n", headers=MIME_8BIT, options=("BODY=8BITMIME",))
    [message] = wait_messages(peer)
    assert "Grüße".encode() in message.data and "BODY=8BITMIME" in message.mail_parameters


def test_8bit_becomes_quoted_printable(here, make_peer, make_domain):
    import email
    import email.policy
    peer = make_peer(extensions=("PIPELINING", "ENHANCEDSTATUSCODES"))
    send(here, f"x@{make_domain('seven', peer)}", body="Grüße =\r\n.\r\n", headers=MIME_8BIT,
         options=("BODY=8BITMIME",))
    [message] = wait_messages(peer)
    assert message.data.isascii()
    parsed = email.message_from_bytes(message.data, policy=email.policy.default)
    assert parsed["Content-Transfer-Encoding"].lower() == "quoted-printable"
    assert parsed.get_content().replace("\r\n", "\n") == "Grüße =\n.\n"


def test_utf8_address_where_it_is_not_understood_bounces(here, make_peer, make_domain):
    peer = make_peer(extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"))
    send(here, f"jürgen@{make_domain('noutf', peer)}", options=("SMTPUTF8", "BODY=8BITMIME"))
    [bounce] = here.wait_mail("joe")
    assert "5.6.7" in bounce.as_string(), bounce.as_string()
    assert not peer.messages


def test_utf8_address_where_it_is_understood(here, make_peer, make_domain):
    peer = make_peer()
    user = f"jürgen@{make_domain('utf', peer)}"
    send(here, user, options=("SMTPUTF8", "BODY=8BITMIME"))
    [message] = wait_messages(peer)
    assert message.recipients == [user] and "SMTPUTF8" in message.mail_parameters


# --- smart hosts ---

@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_smart_host_with_login(make_postrider, lab, mode, tmp_path):
    """One Postrider is the provider, another sends everything through it with an app password."""
    provider = make_postrider(domain="provider.example", accounts={"customer": "app pass word"})
    peer_of_provider = provider.full("customer")
    password = lab.path(f"smarthost-{mode}.password")
    with open(password, "w", encoding="ascii") as f:
        f.write("app pass word\n")
    port = provider.submission_port if mode == "starttls" else provider.submissions_port
    client = make_postrider(domain="client.example", accounts={"joe": "joe"}, dns=None, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]},
        "smarthost provider": {"host": provider.ip, "port": port, "tls": mode, "login": peer_of_provider, "password_file": password}})
    about = send(client, provider.full("customer"), sender=provider.full("customer"))
    [mail] = provider.wait_mail("customer", subject=about)
    assert "ESMTPSA" in mail.get_all("Received")[0]
    client.wait_queue_empty()
    assert "app pass" not in client.log_text() + provider.log_text()


def test_smart_host_per_domain_and_wrong_certificate(make_postrider, authority, make_peer, make_domain, lab):
    trusted = make_peer(certificate=authority.issue(["hub.example"]), port=2525)
    wrong = make_peer(certificate=authority.issue(["other-name.example"]), port=2525)
    direct = make_peer()
    server = make_postrider(accounts={"joe": "joe"}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]},
        "smarthost hub": {"host": trusted.ip, "port": 2525, "verify": False, "domains": ["hub.example", ".below.example"]},
        "smarthost strict": {"host": wrong.ip, "port": 2525, "domains": ["strict.example"]}})
    send(server, "a@hub.example", sender=server.full("joe"))
    send(server, "a@x.below.example", sender=server.full("joe"))
    assert all(m.tls for m in wait_messages(trusted, 2))
    send(server, f"a@{make_domain('direct', direct)}", sender=server.full("joe"))
    wait_messages(direct)
    send(server, "a@strict.example", sender=server.full("joe"))
    base.wait_for(lambda: server.queue_list("--deferred"), "a deferred message: the certificate is wrong", step=0.2)
    assert not wrong.messages


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smart_host_mechanisms_and_clear(make_postrider, lab, make_peer, mechanism, authority):
    password = lab.path("peer.password")
    with open(password, "w", encoding="utf-8") as f:
        f.write("pässword\n")
    peer = make_peer(certificate=authority.issue(["hub.example"]), port=2525)
    peer.extensions = lambda session: ["STARTTLS"] if not session.tls else ["AUTH " + mechanism]
    server = make_postrider(accounts={"joe": "joe"}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]},
        "smarthost hub": {"host": peer.ip, "port": 2525, "verify": False, "login": "me", "password_file": password}})
    send(server, "a@anywhere.example", sender=server.full("joe"))
    [message] = wait_messages(peer)
    assert message.tls and message.login == ("me", "pässword")


def test_local_delivery_names_and_delivered_once(here):
    with smtplib.SMTP(here.ip, here.mx_port) as client:
        for number in range(30):
            client.sendmail("a@b.example", ["joe@here.example"], f"Subject: n{number}\r\n\r\nx\r\n")
    mails = here.wait_mail("joe", 30)
    assert sorted(str(m["Subject"]) for m in mails) == sorted(f"n{n}" for n in range(30))
    assert len({m.file for m in mails}) == 30
    here.wait_queue_empty()


def test_scripted_peer_is_a_server(lab):
    """The test's own tool: what it records is what smtplib sent."""
    with ScriptedPeer(lab.address(), 2525) as peer, smtplib.SMTP(peer.ip, 2525) as client:
        client.sendmail("a@b.example", ["c@d.example"], "Subject: x\r\n\r\n.\r\n")
        assert peer.messages[0].data == b"Subject: x\r\n\r\n.\r\n" and peer.messages[0].sender == "a@b.example"


# --- what the other side asks for ---

def test_recipient_limit_of_the_other_side(here, make_peer, make_domain):
    """RFC 9422: no transaction has more recipients than the server offers, and nobody is forgotten."""
    peer = make_peer(extensions=[*ScriptedPeer.DEFAULT_EXTENSIONS, "LIMITS RCPTMAX=2"])
    domain = make_domain("few", peer)
    users = [f"u{n}@{domain}" for n in range(5)]
    send(here, *users)
    base.wait_for(lambda: sorted(r for m in peer.messages for r in m.recipients) == users, lambda: f"all five; has {peer.messages}")
    assert all(len(m.recipients) <= 2 for m in peer.messages)
    here.wait_queue_empty()


def test_connection_limit_of_the_other_side(here, make_peer, make_domain):
    """A server that takes one connection at a time gets all its mail over that one: nothing is put off for it."""
    taken, all_sent = [], threading.Event()

    def greet(session, argument):
        with peer.lock:
            if taken:
                return "421 4.7.0 one connection at a time"
            taken.append(session)
        return None

    def mail(session, argument):
        all_sent.wait(base.PATIENCE_S)
        return None

    peer = make_peer(script={"GREETING": greet, "MAIL": mail})
    domain = make_domain("onlyone", peer)
    for n in range(12):
        send(here, f"x{n}@{domain}")
    base.wait_for(lambda: len(peer.sessions) > 1, "a second connection that is refused")
    all_sent.set()
    wait_messages(peer, 12)
    here.wait_queue_empty()
    assert "one connection at a time" not in here.log_text()


def test_host_that_takes_no_mail_at_all(here, make_peer, make_domain):
    """521 (RFC 7504) from every host is final; one host that does take mail is enough."""
    refusing = make_peer(script={"GREETING": "521 5.3.2 this host takes no mail"})
    send(here, f"x@{make_domain('nomail', refusing)}")
    [bounce] = here.wait_mail("joe")
    assert "this host takes no mail" in bounce.as_string()
    taking = make_peer()
    send(here, f"x@{make_domain('onetakes', refusing, taking)}")
    wait_messages(taking)
    here.wait_queue_empty()


def test_utf8_in_the_header_of_a_part(here, make_peer, make_domain):
    """The message's own header is ASCII, an attachment's is not: no server without SMTPUTF8 may have it (RFC 6531 §3.4)."""
    peer = make_peer(extensions=[e for e in ScriptedPeer.DEFAULT_EXTENSIONS if e != "SMTPUTF8"])
    body = "--b\r\nContent-Disposition: attachment; filename=Grüße.txt\r\n\r\nhi\r\n--b--\r\n"
    send(here, f"x@{make_domain('partutf', peer)}", options=("SMTPUTF8", "BODY=8BITMIME"), body=body,
         headers="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
    [bounce] = here.wait_mail("joe")
    assert "Status: 5.6.9" in bounce.as_string(), bounce.as_string()
    assert not peer.messages
