"""Mail to servers that say how it must be encrypted: DANE in signed zones, MTA-STS policies over HTTPS, REQUIRETLS, and our own policies."""
import glob
import http.server
import os
import socket
import sqlite3
import ssl
import threading
import uuid

import pytest

from lab import base
from lab.certificates import tlsa
from lab.postrider import make_readable
from lab.scripted_dns import A, SERVFAIL, ScriptedDns
from lab.scripted_peer import ScriptedPeer
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}
HTTPS_PORT = 10443
TLSA = 52


def send(server, *recipients, header="", starttls=False, parameters=""):
    about = uuid.uuid4().hex
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        if starttls:
            wire.starttls()
        wire.expect(250, f"MAIL FROM:<joe@{server.domain}>{parameters}")
        for recipient in recipients:
            wire.expect(250, f"RCPT TO:<{recipient}>")
        assert wire.data(f"From: joe@{server.domain}\r\nSubject: {about}\r\n{header}\r\nx\r\n.\r\n").startswith("250")
    return about


def delivered(peer, count=1):
    base.wait_for(lambda: len(peer.messages) >= count, f"{count} messages at the peer; commands: {[s.commands for s in peer.sessions]}")
    return peer.messages


def deferred(server, recipient, *words):
    """Until the recipient is deferred with a reply that has these words; then nothing of it was ever said in clear."""

    def reply():
        for message in server.queue_list():
            for r in message["recipients"]:
                if r["address"] == recipient and all(w in r.get("last_reply", "") for w in words):
                    return r["last_reply"]
        return None

    return base.wait_for(reply, lambda: f"{recipient} deferred with {words}; the queue: {server.queue_list()}\n{server.log_text()[-2000:]}",
                         step=0.2)


def said_nothing(peer):
    """No envelope was ever said to it."""
    return not peer.messages and not any(c.upper().startswith("MAIL") for s in peer.sessions for c in s.commands)


@pytest.fixture(scope="module")
def here(lab, authority, dns):
    from lab.postrider import Postrider
    server = Postrider(lab, authority, dns=dns, domain="secure.example", accounts={"joe": "joe"},
                       config=dict(TRUSTED, delivery={"https_port": HTTPS_PORT}, log={"level": "debug"}))
    yield server
    server.stop()


@pytest.fixture
def signed(dns, lab):
    """signed(peer, "3 1 1 …") puts a domain with these TLSA records for its MX host into the signed zone."""

    def make(peer, *records, zone="signed.", host=None, more=()):
        label = "d" + uuid.uuid4().hex[:8]
        name = host or f"mx.{label}"
        own = [] if host else [f"{name} A {peer.ip}"]
        dns.add(f"{label} MX 10 {name}", *own, *[f"_{lab.port(25)}._tcp.{name} TLSA {r}" for r in records],
                *[r.format(label=label) for r in more], zone=zone)
        return f"{label}.{zone.rstrip('.')}"

    return make


# --- DANE ---

def test_dane_usage_3(here, authority, make_peer, signed):
    """The key alone counts: the certificate is for another name, and from nobody's authority."""
    certificate = authority.issue(["another-name.example"])
    peer = make_peer(certificate=certificate)
    domain = signed(peer, tlsa(certificate[0]))
    send(here, f"bob@{domain}")
    assert delivered(peer)[0].tls
    here.wait_log(r"event=tls .*verified=dane .*resumed=no")


def test_session_resumption(here, authority, make_peer, signed):
    certificate = authority.issue(["another-name.example"])
    reused = []
    peer = make_peer(certificate=certificate, script={
        "EHLO": lambda session, _: reused.append(session.socket.session_reused) if session.tls else None})
    domain = signed(peer, tlsa(certificate[0]))
    for number in range(2):
        send(here, f"bob@{domain}")
        delivered(peer, number + 1)
        assert peer.sessions[number].ended.wait(base.PATIENCE_S)  # idle for long enough: the next one is a new connection
    assert reused == [False, True]
    assert all(m.tls for m in peer.messages)


@pytest.mark.parametrize("fault", ["another key", "no STARTTLS", "STARTTLS refused", "broken handshake"])
def test_dane_is_never_given_up(here, authority, make_peer, signed, fault):
    certificate, other = authority.issue(["mx.example"]), authority.issue(["mx.example"])
    peer = {"another key": lambda: make_peer(certificate=certificate),
            "no STARTTLS": make_peer,
            "STARTTLS refused": lambda: make_peer(certificate=certificate, script={"STARTTLS": "454 4.7.0 not now"}),
            "broken handshake": lambda: make_peer(broken_tls=True)}[fault]()
    domain = signed(peer, tlsa(other[0]))
    send(here, f"bob@{domain}")
    reply = deferred(here, f"bob@{domain}", f"451 4.7.5 mx.{domain.split('.')[0]}.signed: ")
    words = {"another key": "no TLSA record matches its certificate", "no STARTTLS": "TLSA records demand TLS",
             "STARTTLS refused": "STARTTLS came to nothing (454 4.7.0 not now), but its TLSA", "broken handshake": "STARTTLS came to nothing"}[fault]
    # A handshake that breaks may be seen as bad bytes or as an end.
    assert words in reply or (fault == "broken handshake" and "the TLS handshake with" in reply)
    assert said_nothing(peer)


def test_tlsa_without_dnssec_is_nothing(here, authority, make_peer, signed):
    peer = make_peer(certificate=authority.issue(["mx.example"]))
    domain = signed(peer, tlsa(authority.issue(["mx.example"])[0]), zone="example.")
    send(here, f"bob@{domain}")
    assert delivered(peer)[0].tls


def test_useless_tlsa_still_demands_tls(here, authority, make_peer, signed):
    """Usage 1 means nothing to mail; but that there are records means that there is TLS (RFC 7672 §2.2)."""
    good, clear = make_peer(certificate=authority.issue(["mx.example"])), make_peer()
    useless = tlsa(authority.issue(["mx.example"])[0], usage=1)
    send(here, f"bob@{signed(good, useless)}")
    assert delivered(good)[0].tls
    domain = signed(clear, useless)
    send(here, f"bob@{domain}")
    deferred(here, f"bob@{domain}", "4.7.5", "TLSA records demand TLS")
    assert said_nothing(clear)


def _chain(authority, names):
    certificate, key = authority.issue(names)
    path = certificate[:-4] + "-chain.pem"
    with open(path, "w", encoding="ascii") as f:
        f.write(base.read_text(certificate) + base.read_text(authority.ca))
    return path, key


def test_dane_usage_2(here, lab, authority, make_peer, signed):
    """The authority's certificate; the name must be right then: the host's, or the domain's."""
    for name_of in (lambda label: f"mx.{label}.signed", lambda label: f"{label}.signed", lambda label: "other.signed"):
        ip = lab.address()
        domain = signed(type("Ip", (), {"ip": ip}), tlsa(authority.ca, usage=2, selector=0))
        label = domain.split(".")[0]
        peer = make_peer(ip=ip, certificate=_chain(authority, [name_of(label)]))
        send(here, f"bob@{domain}")
        if name_of(label) == "other.signed":
            deferred(here, f"bob@{domain}", "no TLSA record matches", "hostname mismatch")
            assert said_nothing(peer)
        else:
            assert delivered(peer)[0].tls


def test_dane_behind_an_alias(here, dns, lab, authority, make_peer, signed):
    """The MX host is an alias: its target's records count (RFC 7672 §2.2.2), and its target's name is asked for."""
    certificate = authority.issue(["whatever.example"])
    names = []
    peer = make_peer(certificate=certificate)
    peer.tls_context.sni_callback = lambda sock, name, context: names.append(name)
    target = "t" + uuid.uuid4().hex[:8]
    dns.add(f"{target} A {peer.ip}", f"_{lab.port(25)}._tcp.{target} TLSA {tlsa(certificate[0])}",
            f"alias.{target} CNAME {target}", zone="signed.")
    domain = signed(peer, host=f"alias.{target}")
    send(here, f"bob@{domain}")
    assert delivered(peer)[0].tls
    assert names == [f"{target}.signed"]
    here.wait_log(rf"event=tls .*alias\.{target}.*verified=dane")


def test_tlsa_that_cannot_be_looked_up(make_postrider, lab, dns, authority, make_peer, signed):
    """Who hides the records must not get the mail."""
    certificate = authority.issue(["mx.example"])
    peer = make_peer(certificate=certificate)
    domain = signed(peer, tlsa(certificate[0]))
    name = f"_{lab.port(25)}._tcp.mx.{domain}"
    hiding = ScriptedDns(lab, dns.ip, script={name: lambda q: q.answer(rcode=SERVFAIL)})
    try:
        server = make_postrider(dns=None, accounts={}, config=dict(TRUSTED, dns={
            "servers": [hiding.server], "trust_anchor": dns.trust_anchor, "timeout": "5s"}))
        send(server, f"bob@{domain}")
        deferred(server, f"bob@{domain}", "451 4.7.5 ", "its TLSA records can't be looked up")
        assert said_nothing(peer)
    finally:
        hiding.close()


def test_tls_required_no(here, authority, make_peer, signed):
    """RFC 8689 §5: the sender would rather have it delivered than protected."""
    peer = make_peer(certificate=authority.issue(["mx.example"]))
    domain = signed(peer, tlsa(authority.issue(["mx.example"])[0]))
    send(here, f"bob@{domain}", header="TLS-Required: No\r\n")
    delivered(peer)
    # That was its wish alone.
    send(here, f"ann@{domain}")
    deferred(here, f"ann@{domain}", "no TLSA record matches its certificate")
    assert len(peer.messages) == 1


# --- MTA-STS ---

class PolicyHost:
    """An HTTPS server on port HTTPS_PORT of an address of its own, that has one file."""

    def __init__(self, lab, certificate, policy):
        self.ip = lab.address()
        self.policy = policy
        self.requests = []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.requests.append((self.headers["Host"], self.path))
                body = host.policy.encode()
                self.send_response(200 if host.policy else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server = http.server.ThreadingHTTPServer((self.ip, HTTPS_PORT), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, mx, max_age=604800):
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {max_age}\r\n"


@pytest.fixture
def sts(lab, dns, authority):
    """sts(ip, "enforce", mx=…) puts a domain with an MX host and a policy into DNS; gives it and its policy host."""
    hosts = []

    def make(ip, mode, mx="mx.{label}.example", max_age=604800, host=None, name="mta-sts.{label}.example"):
        label = "s" + uuid.uuid4().hex[:8]
        names = name.format(label=label)
        text = policy(mode, mx.format(label=label), max_age) if mode else ""
        hosts.append(PolicyHost(lab, authority.issue([names]), text))
        mx_host = host or f"mx.{label}"
        dns.add(f"{label} MX 10 {mx_host}", f"_mta-sts.{label} TXT \"v=STSv1; id=20260101;\"", f"mta-sts.{label} A {hosts[-1].ip}",
                *([] if host else [f"mx.{label} A {ip}"]))
        return f"{label}.example", hosts[-1]

    yield make
    for one in hosts:
        one.close()


def test_sts_enforced(here, lab, authority, make_peer, sts):
    ip = lab.address()
    domain, host = sts(ip, "enforce")
    peer = make_peer(ip=ip, certificate=authority.issue([f"mx.{domain}"]))
    send(here, f"bob@{domain}")
    assert delivered(peer)[0].tls
    assert host.requests == [(f"mta-sts.{domain}:{HTTPS_PORT}", "/.well-known/mta-sts.txt")]
    here.wait_log(rf"event=sts-fetched .*domain={domain} mode=enforce")


@pytest.mark.parametrize("fault", ["another name", "no STARTTLS", "host not named"])
def test_sts_refuses(here, lab, authority, make_peer, sts, fault):
    ip = lab.address()
    domain, _ = sts(ip, "enforce", **({"mx": "mail.{label}.example"} if fault == "host not named" else {}))
    certificate = authority.issue(["wrong.example" if fault == "another name" else f"mx.{domain}"])
    peer = make_peer(ip=ip, certificate=None if fault == "no STARTTLS" else certificate)
    send(here, f"bob@{domain}")
    words = {"another name": "does not satisfy the MTA-STS policy", "no STARTTLS": "MTA-STS policy of its domain demands TLS",
             "host not named": "does not name this host"}[fault]
    deferred(here, f"bob@{domain}", f"451 4.7.5 mx.{domain}: ", words)
    assert said_nothing(peer)
    if fault == "host not named":
        assert not peer.sessions  # it was not even connected to


@pytest.mark.parametrize("why", ["testing", "none", "no policy file", "policy host's certificate", "policy host is away"])
def test_sts_that_binds_nobody(here, lab, authority, make_peer, sts, why):
    ip = lab.address()
    domain, host = sts(ip, {"testing": "testing", "none": "none", "no policy file": ""}.get(why, "enforce"), mx="mx.elsewhere.example",
                       name="wrong.example" if "certificate" in why else "mta-sts.{label}.example")
    if why == "policy host is away":
        host.close()
    peer = make_peer(ip=ip, certificate=authority.issue(["wrong.example"]))
    send(here, f"bob@{domain}")
    assert delivered(peer)[0].tls
    if why in ("no policy file", "policy host's certificate", "policy host is away"):
        here.wait_log(rf"event=sts-failed domain={domain} reason=\"mta-sts\.{domain}: ")


def test_sts_ends_with_its_time(here, lab, authority, make_peer, sts):
    ip = lab.address()
    domain, host = sts(ip, "enforce", mx="mx.elsewhere.example", max_age=3)
    peer = make_peer(ip=ip, certificate=authority.issue(["wrong.example"]))
    send(here, f"bob@{domain}")
    deferred(here, f"bob@{domain}", "does not name this host")
    assert said_nothing(peer)
    host.policy = ""  # it can't be had again
    delivered(peer)


def test_sts_survives_a_restart(make_postrider, lab, dns, authority, make_peer, sts):
    """What was fetched stays in force, though the record and the policy host are gone."""
    ip = lab.address()
    domain, host = sts(ip, "enforce", mx="mx.elsewhere.example")
    server = make_postrider(accounts={}, config=dict(TRUSTED, delivery={"https_port": HTTPS_PORT}))
    peer = make_peer(ip=ip, certificate=authority.issue(["wrong.example"]))
    send(server, f"bob@{domain}")
    deferred(server, f"bob@{domain}", "does not name this host")
    host.close()
    dns.replace("_mta-sts." + domain.split(".")[0], "unrelated TXT x")
    server.restart()
    send(server, f"ann@{domain}")
    deferred(server, f"ann@{domain}", "does not name this host")
    assert said_nothing(peer)


def test_domains_that_share_hosts_keep_their_own_policies(here, lab, dns, authority, make_peer, sts):
    """One destination, one host, one connection if it fits; the one domain's policy is nothing to the other."""
    shared = "shared" + uuid.uuid4().hex[:6]
    peer = make_peer(certificate=authority.issue(["wrong.example"]))
    dns.add(f"{shared} A {peer.ip}")
    strict, _ = sts(None, "enforce", mx=f"{shared}.example", host=shared)
    lax = "l" + uuid.uuid4().hex[:8]
    dns.add(f"{lax} MX 10 {shared}")
    for _ in range(3):
        send(here, f"bob@{lax}.example", f"bob@{strict}")
    delivered(peer, 3)
    deferred(here, f"bob@{strict}", "does not satisfy the MTA-STS policy")
    assert all(r.endswith(f"@{lax}.example") for m in peer.messages for r in m.recipients)
    for _ in range(3):
        send(here, f"ann@{lax}.example")
    delivered(peer, 6)


# --- our own policy ---

def test_own_policy_is_served(make_postrider, lab, dns, authority, make_peer):
    """One server's domain says it is to be reached with verified TLS; another server finds, checks and follows that."""
    domain = "own" + uuid.uuid4().hex[:8]
    ip = lab.address()
    certificate, key = authority.issue([f"mail.{domain}.example", f"mta-sts.{domain}.example"], [ip])
    make_readable(key)
    receiver = make_postrider(domain=f"{domain}.example", ip=ip, config={
        "tls": {"certificate": certificate, "key": key}, "mta_sts": {"mode": "enforce"},
        "listen https": {"address": f"{ip}:{HTTPS_PORT}"}})
    base.wait_for_port(ip, HTTPS_PORT, "listen https")
    dns.add(f"{domain} MX 10 mail.{domain}", f"mail.{domain} A {ip}", f"mta-sts.{domain} A {ip}",
            f"_mta-sts.{domain} TXT \"v=STSv1; id=1;\"")
    context = ssl.create_default_context(cafile=authority.ca)
    url = f"https://mta-sts.{domain}.example:{HTTPS_PORT}/"
    with socket.create_connection((ip, HTTPS_PORT)) as raw, context.wrap_socket(raw, server_hostname=f"mta-sts.{domain}.example") as s:
        s.sendall(f"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n\r\n".encode())
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nContent-Type: text/plain\r\n" in answer
    assert b"mode: enforce\r\n" in answer and f"mx: mail.{domain}.example\r\n".encode() in answer
    sender = make_postrider(accounts={}, config=dict(TRUSTED, delivery={"https_port": HTTPS_PORT}))
    about = send(sender, f"joe@{domain}.example")
    receiver.wait_mail("joe", subject=about)
    sender.wait_log(rf"event=sts-fetched .*domain={domain}\.example mode=enforce")


@pytest.mark.parametrize("rudeness", ["silence", "no TLS", "too much", "garbage"])
def test_rude_https_clients(make_postrider, lab, authority, rudeness):
    ip = lab.address()
    server = make_postrider(ip=ip, config={"mta_sts": {"mode": "testing"}, "listen https": {"address": f"{ip}:{HTTPS_PORT}"}})
    base.wait_for_port(ip, HTTPS_PORT, "listen https")
    context = ssl.create_default_context(cafile=authority.ca)
    with socket.create_connection((ip, HTTPS_PORT)) as raw:
        if rudeness == "no TLS":
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert raw.recv(100)[:1] != b"H"
        elif rudeness != "silence":
            with context.wrap_socket(raw, server_hostname=server.hostname) as s:
                s.sendall(b"x" * 9000 if rudeness == "too much" else b"EHLO there\r\n\r\n")
                assert s.recv(1000).startswith(b"HTTP/1.1 431" if rudeness == "too much" else b"HTTP/1.1 400")
        server.stop()  # the silent one keeps nobody


# --- REQUIRETLS ---

class Promising(ScriptedPeer):
    def extensions(self, session):
        return super().extensions(session) + (["REQUIRETLS"] if session.tls else [])


def test_requiretls(here, lab, dns, authority, make_peer):
    label = "r" + uuid.uuid4().hex[:8]
    ip = lab.address()
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {ip}", zone="signed.")
    peer = Promising(ip, lab.port(25), certificate=authority.issue([f"mx.{label}.signed"]))
    try:
        send(here, f"bob@{label}.signed", starttls=True, parameters=" REQUIRETLS")
        message = delivered(peer)[0]
        assert message.tls and "REQUIRETLS" in message.mail_parameters.split()
    finally:
        peer.close()


@pytest.mark.parametrize("fault", ["no promise", "another name", "in clear", "unsigned zone"])
def test_requiretls_fails(here, lab, dns, authority, make_peer, fault):
    """Then nothing is sent, its sender is told, and others' mail to the same host goes on."""
    label = "r" + uuid.uuid4().hex[:8]
    ip = lab.address()
    zone = "example" if fault == "unsigned zone" else "signed"
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {ip}", zone=zone + ".")
    certificate = authority.issue(["wrong.example" if fault == "another name" else f"mx.{label}.{zone}"])
    kind = ScriptedPeer if fault == "no promise" else Promising
    peer = kind(ip, lab.port(25), certificate=None if fault == "in clear" else certificate)
    try:
        about = send(here, f"bob@{label}.{zone}", starttls=True, parameters=" REQUIRETLS")
        bounce = base.wait_for(lambda: [m for m in here.mailbox("joe") if about in m.as_string()], "the bounce")[0].as_string()
        # RFC 8689 section 4.2.1: the want of a promise, and of a protected session.
        assert ("5.7.30" if fault == "no promise" else "5.7.10") in bounce and f"bob@{label}.{zone}" in bounce
        assert said_nothing(peer)
        send(here, f"ann@{label}.{zone}")
        delivered(peer)
    finally:
        peer.close()


# --- our own policies ---

def test_policies_by_destination(make_postrider, lab, dns, authority, make_peer, signed):
    labels = {p: "p" + uuid.uuid4().hex[:8] for p in ("none", "encrypt", "verify", "dane")}
    config = dict(TRUSTED)
    for name, label in labels.items():
        config[f"destination {name}"] = {"domains": [f"{label}.example", f".{label}.signed"], "tls": name}
    server = make_postrider(accounts={}, config=config)
    wrong = authority.issue(["wrong.example"])
    peers = {name: make_peer(certificate=wrong) for name in labels}
    for name, label in labels.items():
        dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {peers[name].ip}")
        send(server, f"bob@{label}.example")
    assert not delivered(peers["none"])[0].tls
    assert delivered(peers["encrypt"])[0].tls
    deferred(server, f"bob@{labels['verify']}.example", "4.7.5", "is not verified, as our policy for", "hostname mismatch")
    deferred(server, f"bob@{labels['dane']}.example", "4.7.5", "demands DANE", "the MX records are not signed")
    assert said_nothing(peers["verify"]) and said_nothing(peers["dane"])


def test_dane_by_policy(make_postrider, authority, make_peer, signed):
    certificate = authority.issue(["wrong.example"])
    with_records, without = make_peer(certificate=certificate), make_peer(certificate=certificate)
    good, bad = signed(with_records, tlsa(certificate[0])), signed(without)
    server = make_postrider(accounts={}, config=dict(TRUSTED, **{"destination strict": {"domains": ["*"], "tls": "dane"}}))
    send(server, f"bob@{good}")
    send(server, f"bob@{bad}")
    assert delivered(with_records)[0].tls
    deferred(server, f"bob@{bad}", "demands DANE, but there are no secure TLSA records")
    assert said_nothing(without)


# --- addresses ---

@pytest.fixture
def v6_peer(lab):
    try:
        peer = ScriptedPeer("::1", lab.port(25))
    except OSError:
        pytest.skip("there is no ::1 here, or its port is taken")
    yield peer
    peer.close()


def test_other_family_when_one_is_refused(make_postrider, lab, dns, make_peer, v6_peer):
    server = make_postrider(accounts={}, config=TRUSTED)
    first, second = ("f" + uuid.uuid4().hex[:8] for _ in range(2))
    dns.add(f"{first} MX 10 mx.{first}", f"mx.{first} A {lab.address()}", f"mx.{first} AAAA ::1")
    send(server, f"bob@{first}.example")
    delivered(v6_peer)
    # IPv4 goes first where both work.
    peer = make_peer()
    dns.add(f"{second} MX 10 mx.{second}", f"mx.{second} A {peer.ip}", f"mx.{second} AAAA ::1")
    send(server, f"bob@{second}.example")
    delivered(peer)
    assert len(v6_peer.messages) == 1
    v6_peer.close()
    third = "f" + uuid.uuid4().hex[:8]
    dns.add(f"{third} MX 10 mx.{third}", f"mx.{third} AAAA ::1", f"mx.{third} A {peer.ip}")
    send(server, f"bob@{third}.example")
    delivered(peer, 2)


def test_an_address_that_hangs_is_not_waited_for(make_postrider, lab, dns, v6_peer):
    """Nobody answers there, not even with a refusal; the other family is tried beside it."""
    server = make_postrider(accounts={}, config=dict(TRUSTED, delivery={"connect_timeout": "10m"}))
    ip = lab.address()
    with socket.socket() as full:
        full.bind((ip, lab.port(25)))
        full.listen(0)
        clients = []
        try:
            for _ in range(4):  # its queue is full, and whatever else comes is dropped
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex((ip, lab.port(25)))
                clients.append(client)
            label = "h" + uuid.uuid4().hex[:8]
            dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {ip}", f"mx.{label} AAAA ::1")
            send(server, f"bob@{label}.example")
            delivered(v6_peer)
        finally:
            for client in clients:
                client.close()


# --- what is told about it ---

def _results(server):
    """The rows that TLS reports are made of."""
    for path in glob.glob(os.path.join(server.data, "*.db")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tls_result'").fetchone():
                return db.execute("SELECT domain, policy_type, policy, host, result, sessions FROM tls_result").fetchall()
    raise AssertionError(f"no database in {server.data}")


def test_results_are_counted(make_postrider, lab, authority, make_peer, sts, signed, make_domain):
    server = make_postrider(accounts={}, config=dict(TRUSTED, delivery={"https_port": HTTPS_PORT}, queue={"retry_first": "1h", "retry_max": "1h"}))
    certificate = authority.issue(["wrong.example"])
    good, bad, clear = (make_peer(certificate=certificate) for _ in range(3))
    record = tlsa(certificate[0])
    by_dane = signed(good, record)
    wrong = signed(bad, tlsa(authority.issue(["x.example"])[0]))
    plain = make_domain("plain", clear)
    ip = lab.address()
    by_sts, _ = sts(ip, "testing")
    make_peer(ip=ip, certificate=certificate)
    other_ip = lab.address()
    no_policy, host = sts(other_ip, "enforce")
    host.close()
    make_peer(ip=other_ip, certificate=certificate)
    for domain in (by_dane, wrong, plain, by_sts, no_policy):
        send(server, f"bob@{domain}")
    delivered(good)
    delivered(clear)
    deferred(server, f"bob@{wrong}", "no TLSA record")
    base.wait_for(lambda: len(server.queue_list()) == 1, "the others delivered", step=0.2)
    server.stop()
    rows = {row[0]: row[1:] for row in _results(server)}
    assert rows[by_dane] == ("tlsa", record, f"mx.{by_dane}", "", 1)
    assert rows[wrong][0] == "tlsa" and rows[wrong][3] == "certificate-not-trusted"
    assert rows[plain][0] == "no-policy-found" and rows[plain][3:] == ("", 1)
    assert rows[by_sts][0] == "sts" and "mode: testing" in rows[by_sts][1] and rows[by_sts][3] == "certificate-host-mismatch"
    assert rows[no_policy][0] == "sts" and rows[no_policy][3] == "sts-policy-fetch-error"


def test_records_of_no_use_and_forged_addresses_are_counted(make_postrider, lab, dns, authority, make_peer, signed):
    """RFC 8460 section 4.3.2.1. The first gets its mail all the same, the other one none."""
    certificate = authority.issue(["mx.example"])
    peer, other = make_peer(certificate=certificate), make_peer(certificate=certificate)
    record = tlsa(certificate[0], usage=1)
    useless, forged = signed(peer, record), signed(other, tlsa(certificate[0]))
    address = socket.inet_aton(other.ip)
    forging = ScriptedDns(lab, dns.ip, script={f"mx.{forged}": lambda q: q.answer(*([(q.name, q.type, address)] if q.type == A else []))})
    try:
        server = make_postrider(dns=None, accounts={}, config=dict(TRUSTED, queue={"retry_first": "1h", "retry_max": "1h"}, dns={
            "servers": [forging.server], "trust_anchor": dns.trust_anchor, "timeout": "5s"}))
        send(server, f"bob@{useless}")
        send(server, f"bob@{forged}")
        assert delivered(peer)[0].tls
        deferred(server, f"bob@{forged}", "451 4.4.3 The address of mx.")
        assert said_nothing(other)
        server.stop()
    finally:
        forging.close()
    rows = {row[0]: row[1:] for row in _results(server)}
    assert rows[useless] == ("tlsa", record, f"mx.{useless}", "tlsa-invalid", 1)
    assert rows[forged][0] == "tlsa" and rows[forged][2:] == (f"mx.{forged}", "dnssec-invalid", 1)
