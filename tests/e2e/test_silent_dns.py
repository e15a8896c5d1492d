"""DNS that does not answer about some names: whoever makes us ask for them must not stall the mail of others."""
import time
import uuid

import authres
import pytest

from lab import base
from lab.scripted_dns import ScriptedDns
from lab.signed_mail import Client, Key, txt

SESSIONS = {"their own": 60, "another": 400}
PASS = {("spf", "pass"), ("dkim", "pass"), ("dmarc", "pass")}


def silence(_):
    return None


@pytest.fixture
def silent_dns(lab, dns):
    """Says nothing about silent.example and what is below it; everything else as the lab's DNS does."""
    server = ScriptedDns(lab, dns.ip, strip=True, script={"silent.example": silence})
    yield server
    server.close()


class Attack:
    """Sessions whose messages ask about a dozen silent names each; they stay, waiting for their verdicts."""

    def __init__(self, server, source):
        self.server, self.source = server, source
        self.clients, self.number = [], 0

    def session(self):
        self.number += 1
        own = f"{self.number}.{uuid.uuid4().hex[:6]}.silent.example"
        signatures = "".join(f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=d{i}.{own}; s=s; h=from;\r\n bh={'A' * 43}=; b=AAAA\r\n"
                             for i in range(10))
        client = Client(self.source, self.server.ip, self.server.mx_port, name=f"h.{own}")
        self.clients.append(client)
        client.envelope(f"bob@{own}", f"joe@{self.server.domain}")
        client.expect(354, "DATA")
        client.send(f"{signatures}From: <bob@{own}>\r\nSubject: silent\r\n\r\nx\r\n.\r\n".encode())

    def close(self):
        for client in self.clients:
            client.close()


def send_honest(server, dns, source, key):
    """A message that passes everything, of a domain nobody asked about before; what was found of it."""
    label, about = "h" + uuid.uuid4().hex[:8], "t" + uuid.uuid4().hex[:12]
    author = f"{label}.example"
    dns.add(f"{label} MX 10 mx.{label}", f"{label} TXT {txt(f'v=spf1 ip4:{source} -all')}", f"_dmarc.{label} TXT {txt('v=DMARC1; p=reject')}",
            f"s._domainkey.{label} TXT {txt(key.record())}")
    message = key.sign(f"From: <ann@{author}>\r\nTo: joe@{server.domain}\r\nSubject: {about}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
                       f"Message-ID: <{about}@{author}>\r\n\r\nHello!\r\n".encode(), author)
    with Client(source, server.ip, server.mx_port) as client:
        reply = client.deliver(f"ann@{author}", f"joe@{server.domain}", message)
    assert reply.startswith("250"), reply
    mail = server.wait_mail("joe", subject=about)[0]
    field = " ".join(str(mail["Authentication-Results"]).split())
    return {(r.method, r.result) for r in authres.AuthenticationResultsHeader.parse("Authentication-Results: " + field).results}


@pytest.fixture
def make_receiver(make_postrider):
    def make(forwarder):
        return make_postrider(dns=None, accounts={"joe": "joe"}, config={
            "dns": {"servers": [forwarder.server]}, "authentication": {"enabled": True}})

    return make


@pytest.mark.parametrize("network", ["their own", "another"])
def test_sessions_that_wait_for_silent_names(make_receiver, lab, dns, silent_dns, network):
    """Hundreds at a time, of one client; an honest one, even in his network, gets his answers."""
    server, key = make_receiver(silent_dns), Key(lab.subfolder("keys"), "rsa")
    attack = Attack(server, f"127.{lab.octet}.240.1")
    source = f"127.{lab.octet}.240.2" if network == "their own" else f"127.{lab.octet}.241.1"
    try:
        for number in range(SESSIONS[network]):
            attack.session()
            if (number + 1) % (SESSIONS[network] // 2) == 0:
                assert PASS <= send_honest(server, dns, source, key)
    finally:
        attack.close()
    # They have gone, their questions are still with the servers.
    assert PASS <= send_honest(server, dns, source, key)


@pytest.mark.slow
def test_long_silence(make_receiver, lab, dns, silent_dns):
    """A DNS server that has said nothing for half a minute, as it was only asked about silent names, is not dead."""
    server, key = make_receiver(silent_dns), Key(lab.subfolder("keys"), "rsa")
    attack = Attack(server, f"127.{lab.octet}.240.1")
    source = f"127.{lab.octet}.241.1"
    try:
        assert PASS <= send_honest(server, dns, source, key)
        begin = time.monotonic()
        # What is remembered of a server changes with each second: the more questions, the surer one of them meets a bad one.
        while time.monotonic() < begin + 40:
            attack.session()
            time.sleep(0.4)
            if time.monotonic() > begin + 12:
                assert PASS <= send_honest(server, dns, source, key)
    finally:
        attack.close()


def test_mail_to_silent_domains(make_postrider, make_peer, make_domain, silent_dns):
    """A list full of them does not keep the mail to others waiting."""
    peer = make_peer()
    domain = make_domain("heard", peer)
    server = make_postrider(dns=None, accounts={}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]}, "dns": {"servers": [silent_dns.server]}})
    with Client(peer.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"joe@{server.domain}", [f"bob@d{i}.silent.example" for i in range(1000)], b"Subject: x\r\n\r\nx\r\n").startswith("250")
        assert client.deliver(f"joe@{server.domain}", f"bob@{domain}", b"Subject: heard\r\n\r\nx\r\n").startswith("250")
    base.wait_for(lambda: peer.messages, "the message to the domain with a DNS server")


def test_silent_domains_leave_memory_to_others(make_postrider, make_peer, make_domain, silent_dns):
    """Far more mail than memory holds waits for their look-ups, all in different domains; mail to hosts that are known goes on, from clients and disk."""
    peer = make_peer()
    domain = make_domain("heard", peer)
    server = make_postrider(dns=None, accounts={}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]}, "dns": {"servers": [silent_dns.server]}, "queue": {"active_recipients": 50}})
    with Client(peer.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"joe@{server.domain}", f"bob@{domain}", b"Subject: first\r\n\r\nx\r\n").startswith("250")
        base.wait_for(lambda: len(peer.messages) == 1, "the first message")
        for part in range(4):
            flood = [f"bob@d{part}-{i}.silent.example" for i in range(999)]
            assert client.deliver(f"joe@{server.domain}", [*flood, f"bob@{domain}"], b"Subject: flood\r\n\r\nx\r\n").startswith("250")
        base.wait_for(lambda: len(peer.messages) == 5, "what the floods' messages have for it")
        assert client.deliver(f"joe@{server.domain}", f"bob@{domain}", b"Subject: last\r\n\r\nx\r\n").startswith("250")
        base.wait_for(lambda: len(peer.messages) == 6, "the last message")
    assert len(server.queue_list()) == 4  # the floods wait
