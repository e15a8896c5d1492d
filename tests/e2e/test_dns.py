"""DNS servers that answer what they should not: forwarders that take signatures away, and answers made to hurt."""
import os
import struct
import time
import uuid

import pytest

from lab import base
from lab.scripted_dns import A, AAAA, CNAME, MX, NXDOMAIN, REFUSED, SERVFAIL, ScriptedDns, mx, name
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}
DEBIAN_ROOT_KEY = "/usr/share/dns/root.key"


def send(server, *recipients):
    about = uuid.uuid4().hex
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope(f"joe@{server.domain}", *recipients)
        assert wire.data(f"Subject: {about}\r\n\r\nx\r\n.\r\n").startswith("250")
    return about


@pytest.fixture
def make_dns(lab, dns):
    made = []

    def make(**more):
        made.append(ScriptedDns(lab, dns.ip, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("anchor", ["by default", "the operator's"])
def test_forwarder_without_signatures(make_postrider, make_dns, make_peer, dns, anchor):
    """To a validator every signed domain is bogus then. By default its mail goes out all the same; who names a trust anchor gets what it says."""
    if anchor == "by default" and not os.path.exists(DEBIAN_ROOT_KEY):
        pytest.skip(f"there is no {DEBIAN_ROOT_KEY} (package dns-root-data)")
    peer, label = make_peer(), "s" + uuid.uuid4().hex[:8]
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {peer.ip}", zone="signed.")
    forwarder = make_dns(strip=True)
    settings = {"servers": [forwarder.server], "timeout": "5s"}
    if anchor != "by default":
        settings["trust_anchor"] = dns.trust_anchor
    server = make_postrider(dns=None, accounts={}, config=dict(TRUSTED, dns=settings))
    send(server, f"bob@{label}.signed")
    if anchor == "by default":
        base.wait_for(lambda: peer.messages, "the message at the peer")
        send(server, f"ann@{label}.signed")
        base.wait_for(lambda: len(peer.messages) == 2, "the second message")
        assert server.log_text().count("event=dnssec-off") == 1, server.log_text()
    else:
        server.wait_log(r"event=deferred .*451 4\.4\.3 .*validation failure.*signed")
        assert not peer.messages and "dnssec-off" not in server.log_text()


def _many(question, count):
    return question.answer(*[(question.name, MX, mx(i, f"h{i}.{question.name}")) for i in range(count)])


def _cname_to(question, target):
    return question.answer((question.name, CNAME, name(target)))


def _loop_of_two(question):
    label, _, rest = question.name.partition(".")
    return _cname_to(question, {"a": "b.", "b": "a."}.get(label, "a.") + (rest if label in "ab" else question.name))


def _chain(question):
    """Each alias has one more below it, without end."""
    return _cname_to(question, "x." + question.name)


def _huge(question):
    text = struct.pack("!H", 10) + name("mx." + question.name)
    return question.answer(*[(question.name, MX, text)] * 800)


def _wrong_identity(question):
    own = struct.unpack("!H", question.message[:2])[0]
    return [question.answer((question.name, MX, mx(1, "x")), identity=n) for n in range(200) if n != own]


def _lies_about_count(question):
    return question.head(65535) + b"\xc0\x0c\x00\x0f"


def _pointer_to_itself(question):
    return question.head(1) + b"\xc0" + bytes([question.end]) + struct.pack("!HHIH", MX, 1, 60, 4) + b"\0\1\xc0\x0c"


def _slow(question):
    time.sleep(20)


def _mx_is_an_alias(question):
    if question.type == MX and question.name.startswith("m"):
        return question.answer((question.name, MX, mx(1, "alias." + question.name)))
    if question.name.startswith("alias."):
        return _cname_to(question, "gone." + question.name)
    return question.answer(rcode=NXDOMAIN)


def _odd_names(question):
    """Host names with bytes that must not reach a log, a command or another question as they are."""
    odd = b"\x0ba\r\nRCPT TO:<" + b"\x03%.s" + name("x.example")
    return question.answer((question.name, MX, struct.pack("!H", 1) + odd), (question.name, MX, mx(2, "[127.0.0.1]")),
                           (question.name, MX, mx(3, "127.0.0.1")), (question.name, MX, mx(4, "localhost")))


ATTACKS = {
    "alias to itself": (lambda q: _cname_to(q, q.name), "deferred"),
    "two aliases in a circle": (_loop_of_two, "deferred"),
    "aliases without end": (_chain, "deferred"),
    "a hundred mail hosts without address": (lambda q: _many(q, 100) if q.type == MX and q.name.startswith("m") else q.answer(), "failed"),
    "mail host is an alias to nothing": (_mx_is_an_alias, "failed"),
    "800 times the same mail host": (lambda q: _huge(q) if q.type == MX else q.answer(rcode=NXDOMAIN), "failed"),
    "SERVFAIL": (lambda q: q.answer(rcode=SERVFAIL), "deferred"),
    "REFUSED": (lambda q: q.answer(rcode=REFUSED), "deferred"),
    "wrong identities": (_wrong_identity, "deferred"),
    "a count that lies": (_lies_about_count, "deferred"),
    "a name that points to itself": (_pointer_to_itself, "deferred"),
    "cut off": (lambda q: q.answer((q.name, MX, mx(1, "x")))[:-3], "deferred"),
    "one byte": (lambda q: b"x", "deferred"),
    "silence": (lambda q: None, "deferred"),
    "slowness": (_slow, "deferred"),
    "truncated for ever": (lambda q: q.head(truncated=True), "deferred"),
    "odd names": (_odd_names, ""),
}


def test_hostile_answers(make_postrider, make_dns, make_peer, make_domain):
    """All at once, among a domain that works: its mail goes out, the others' waits or returns with a reason, nothing spins or breaks."""
    peer = make_peer()
    good = make_domain("good", peer)
    script, domains = {}, {}
    for number, (label, (attack, _)) in enumerate(ATTACKS.items()):
        domains[label] = f"m{number}.evil.example"
        script[domains[label]] = attack
    server_dns = make_dns(script=script)
    server = make_postrider(dns=None, accounts={"joe": "joe"}, config=dict(TRUSTED, dns={"servers": [server_dns.server], "timeout": "3s"},
                                                                          queue={"retry_first": "1s", "retry_max": "2s"}))
    for label in ATTACKS:
        send(server, f"bob@{domains[label]}")
    send(server, f"bob@{good}")
    base.wait_for(lambda: peer.messages, "the message to the domain that works")
    for label, (_, outcome) in ATTACKS.items():
        server.wait_log(rf"event={outcome or '(deferred|failed)'} .*to=bob@{domains[label].replace('.', '[.]')} ")
    for line in server.log_text().splitlines():
        assert line.startswith("time="), line
    for number in range(3):
        send(server, f"bob{number}@{good}")
    base.wait_for(lambda: len(peer.messages) == 4, "the messages of afterwards")
