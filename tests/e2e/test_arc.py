"""ARC: chains of forwarders verified, sealed when an alias leads elsewhere, and believed where the operator trusts the sealer."""
import email
import json
import os
import re
import shutil
import subprocess
import uuid

import pytest

from lab import base
from lab.scripted_dns import SERVFAIL, ScriptedDns
from lab.signed_mail import Client, Key, txt

dkimpy = pytest.importorskip("dkim", reason="python3-dkim is not installed")

NODE_MODULES = os.environ.get("POSTRIDER_NODE_MODULES", "/usr/share/nodejs")


@pytest.fixture(scope="module")
def key(lab):
    return Key(lab.subfolder("keys"), "arc")


class World:
    """Authors, and a list server that seals what passes through it; all of one key, at addresses of their own."""

    def __init__(self, lab, dns, key, make_server, domain):
        self.dns, self.key = dns, key
        self.ip = lab.address()
        self.records = {}
        tag = uuid.uuid4().hex[:8]
        self.author, self.list = self.make_domain(f"author-{tag}", "v=DMARC1; p=reject"), self.make_domain(f"list-{tag}")
        self.domain = domain
        self.server = make_server(self)

    def publish(self, name, text):
        self.records[name + ".example"] = text.encode()
        self.dns.add(f"{name} TXT {txt(text)}")

    def make_domain(self, label, dmarc=None):
        self.publish(f"s._domainkey.{label}", self.key.record())
        self.dns.add(f"{label} MX 10 {label}", f"{label} A {self.ip}", f'{label} TXT "v=spf1 ip4:{self.ip} -all"')
        if dmarc:
            self.publish(f"_dmarc.{label}", dmarc)
        return f"{label}.example"

    def lookup(self, name, timeout=5):
        return self.records.get((name.decode() if isinstance(name, bytes) else name).rstrip(".").lower())

    def letter(self, to, subject):
        text = (f"From: Bob <bob@{self.author}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
                f"Message-ID: <{uuid.uuid4().hex}@{self.author}>\r\n\r\nHello!\r\n").encode()
        return self.key.sign(text, self.author)

    def through_list(self, message, dmarc="pass"):
        """A mailing list changed the subject, and sealed what it had found before."""
        found = f"Authentication-Results: {self.list}; arc=none; spf=pass smtp.mailfrom={self.author}; dmarc={dmarc} header.from={self.author}"
        changed = message.replace(b"Subject: ", b"Subject: [list] ", 1)
        arc = dkimpy.ARC(found.encode() + b"\r\n" + changed)
        fields = arc.sign(b"s", self.list.encode(), self.key.private, self.list.encode())
        return b"".join(re.sub(rb"\r?\n", b"\r\n", f) for f in fields) + changed

    def deliver(self, to, message, sender=None):
        with Client(self.ip, self.server.ip, self.server.mx_port) as client:
            return client.deliver(sender if sender is not None else f"bob@{self.author}", to, message)

    def take_keys(self):
        """Keys for our own domain, published."""
        for line in self.server.must("dkim", "new", self.domain).splitlines():
            found = re.match(r"(\S+)\.\s+\d+\s+IN\s+TXT\s+(.*)", line)
            if found:
                self.records[found[1]] = "".join(re.findall(r'"([^"]*)"', found[2])).encode()
                self.dns.add(line)
        self.server.must("dkim", "check", self.domain)


@pytest.fixture
def make_world(lab, dns, key, make_postrider):
    def make(dns_server=None, **authentication):
        domain = f"arc-{uuid.uuid4().hex[:8]}.example"

        def server(world):
            trusted = authentication.pop("trusted", False)
            if trusted:
                authentication["trusted_sealers"] = [world.list]
            config = {"authentication": {"enabled": True, **authentication}, "log": {"level": "debug"}}
            if dns_server:
                config["dns"] = {"servers": [dns_server], "trust_anchor": None, "timeout": "5s"}
            return make_postrider(domain=domain, accounts={"joe": "joe"}, config=config)

        return World(lab, dns, key, server, domain)

    return make


def raw(server, subject):
    [mail] = server.wait_mail("joe", subject=subject)
    return mail.raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def arc_result(data):
    fields = email.message_from_bytes(data).get_all("Authentication-Results")
    found = re.search(r"\barc=(\w+)(?:[^;]*header\.oldest-pass=(\d+))?", " ".join(fields[0].split()))
    return found and (found[1], found[2])


# --- verified ---

def test_without_a_chain(make_world):
    world = make_world()
    assert world.deliver(f"joe@{world.domain}", world.letter("joe", "plain")).startswith("250")
    assert arc_result(raw(world.server, "plain")) is None


def test_a_chain_passes_and_fails(make_world):
    world = make_world(dmarc_reject="tag")
    message = world.through_list(world.letter("joe", "a"))
    assert world.deliver(f"joe@{world.domain}", message).startswith("250")
    assert arc_result(raw(world.server, "[list] a")) == ("pass", "0")
    message = world.through_list(world.letter("joe", "b")).replace(b"Hello!", b"Hallo!")
    assert world.deliver(f"joe@{world.domain}", message).startswith("250")
    assert arc_result(raw(world.server, "[list] b")) == ("fail", None)


def test_off_is_one_word(make_world):
    world = make_world(arc="off", dmarc_reject="tag")
    assert world.deliver(f"joe@{world.domain}", world.through_list(world.letter("joe", "c"))).startswith("250")
    assert arc_result(raw(world.server, "[list] c")) is None


# --- believed ---

def test_a_trusted_sealer_saves_a_list_s_mail(make_world):
    world = make_world(trusted=True)
    message = world.through_list(world.letter("joe", "d"))
    assert world.deliver(f"joe@{world.domain}", message, sender=f"bounce@{world.list}").startswith("250")
    assert arc_result(raw(world.server, "[list] d")) == ("pass", "0")
    world.server.wait_log(rf"[ _]sealer={world.list}")


@pytest.mark.parametrize("why", ["not trusted", "dmarc failed there", "changed behind it"])
def test_others_save_nothing(make_world, why):
    world = make_world(trusted=why != "not trusted")
    message = world.through_list(world.letter("joe", "e"), dmarc="fail" if why == "dmarc failed there" else "pass")
    if why == "changed behind it":
        message = message.replace(b"Hello!", b"Hallo!")
    reply = world.deliver(f"joe@{world.domain}", message, sender=f"bounce@{world.list}")
    assert reply.startswith("550 5.7.26"), reply


def test_a_chain_that_can_not_be_looked_at_now_is_waited_for(lab, make_world, dns):
    """The sealer's name servers are away: the mail comes again."""
    scripted = ScriptedDns(lab, dns.ip, strip=True)
    try:
        world = make_world(trusted=True, dns_server=scripted.server)
        message = world.through_list(world.letter("joe", "f"))
        scripted.script[f"s._domainkey.{world.list}"] = lambda q: q.head(rcode=SERVFAIL)
        reply = world.deliver(f"joe@{world.domain}", message, sender=f"bounce@{world.list}")
        assert reply.startswith("451 4.7.29"), reply
    finally:
        scripted.close()


# --- sealed ---

MAILAUTH = """
const { authenticate } = require('mailauth');
const records = JSON.parse(process.argv[1]);
const resolver = async (name, type) => {
    const text = records[name.toLowerCase()];
    if (type !== 'TXT' || text === undefined) { const e = new Error('none'); e.code = 'ENOTFOUND'; throw e; }
    return [[text]];
};
const parts = [];
process.stdin.on('data', d => parts.push(d));
process.stdin.on('end', async () => {
    const found = await authenticate(Buffer.concat(parts), { resolver, ip: '192.0.2.1', helo: 'x', sender: 'x@x.example', mta: 'x', disableBimi: true });
    console.log(JSON.stringify({ result: found.arc.status.result, instance: found.arc.i }));
});
"""


def check_mailauth(data, world, sets):
    if shutil.which("node") is None or not os.path.isdir(os.path.join(NODE_MODULES, "mailauth")):
        pytest.skip(f"npm's mailauth is not in {NODE_MODULES} (POSTRIDER_NODE_MODULES): nothing was checked with it")
    records = {name: text.decode() for name, text in world.records.items()}
    done = subprocess.run(["node", "-e", MAILAUTH, json.dumps(records)], input=data, capture_output=True, timeout=60,
                          env=dict(os.environ, NODE_PATH=NODE_MODULES))
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == {"result": "pass", "instance": sets}


def check_sealed(data, world, sets):
    state, found, reason = dkimpy.ARC(data).verify(dnsfunc=world.lookup)
    assert state == b"pass", (reason, data[:3000])
    assert len(found) == sets
    top = email.message_from_bytes(data)
    assert re.search(rf"\bd={re.escape(world.domain)};", top["ARC-Seal"])
    return top


@pytest.fixture
def forward(make_peer, make_domain):
    def make(world, alias="away"):
        peer = make_peer()
        world.server.must("alias", "add", f"{alias}@{world.domain}", f"bob@{make_domain('far', peer)}")
        return peer

    return make


def forwarded(world, peer, message, to="away", **more):
    assert world.deliver(f"{to}@{world.domain}", message, **more).startswith("250")
    base.wait_for(lambda: peer.messages, lambda: f"the forwarded message; log:\n{world.server.log_text()[-3000:]}")
    return peer.messages[-1].data


def test_what_is_forwarded_is_sealed(make_world, forward):
    world = make_world(arc="seal")
    world.take_keys()
    message = world.letter("away", "g")
    data = forwarded(world, forward(world), message)
    top = check_sealed(data, world, 1)
    results = " ".join(top["ARC-Authentication-Results"].split())
    assert results.startswith(f"i=1; {world.server.hostname}; spf=") and "dmarc=pass" in results
    assert "cv=none" in top["ARC-Seal"]
    # Not a byte of what came was changed, and its own signature is valid.
    assert data.endswith(message)
    assert dkimpy.DKIM(data).verify(dnsfunc=world.lookup)
    check_mailauth(data, world, 1)


def test_a_chain_goes_on(make_world, forward):
    world = make_world(arc="seal", trusted=True)
    world.take_keys()
    message = world.through_list(world.letter("away", "h"))
    data = forwarded(world, forward(world), message, sender=f"bounce@{world.list}")
    top = check_sealed(data, world, 2)
    assert "cv=pass" in top["ARC-Seal"] and "i=2" in top["ARC-Seal"]
    assert data.endswith(message)
    check_mailauth(data, world, 2)


def test_a_broken_chain_is_sealed_as_one(make_world, forward):
    world = make_world(arc="seal", dmarc_reject="tag")
    world.take_keys()
    message = world.through_list(world.letter("away", "i")).replace(b"Hello!", b"Hallo!")
    data = forwarded(world, forward(world), message)
    assert "cv=fail" in email.message_from_bytes(data)["ARC-Seal"]
    state, _, _ = dkimpy.ARC(data).verify(dnsfunc=world.lookup)
    assert state != b"pass"


def test_a_spooled_message_is_sealed(make_world, forward):
    world = make_world(arc="seal")
    world.take_keys()
    text = world.letter("away", "j").replace(b"Hello!\r\n", b"The quick brown fox.\r\n" * 100000)
    body = text.partition(b"\r\n\r\n")[2]
    data = forwarded(world, forward(world), text,
                     sender=f"bob@{world.author}")
    check_sealed(data, world, 1)
    assert data.endswith(body)


@pytest.mark.parametrize("why", ["verify only", "no keys", "to a mailbox here"])
def test_not_sealed(make_world, forward, why):
    world = make_world(arc="verify" if why == "verify only" else "seal")
    if why != "no keys":
        world.take_keys()
    if why == "to a mailbox here":
        world.server.must("alias", "add", f"here@{world.domain}", f"joe@{world.domain}")
        assert world.deliver(f"here@{world.domain}", world.letter("here", "k")).startswith("250")
        data = raw(world.server, "k")
    else:
        data = forwarded(world, forward(world), world.letter("away", "k"))
    assert email.message_from_bytes(data)["ARC-Seal"] is None
