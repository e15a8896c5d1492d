"""DKIM keys and signatures: made, published, rotated by the operator; found valid by others' implementations."""
import email
import json
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import uuid

import pytest

from lab import base
from lab.postrider import BINARY
from lab.wire import Wire

dkimpy = pytest.importorskip("dkim", reason="python3-dkim is not installed")

NODE_MODULES = os.environ.get("POSTRIDER_NODE_MODULES", "/usr/share/nodejs")


# --- what others say of a message ---

class Records:
    """TXT records by name, of what `postrider dkim` printed, for verifiers that don't ask DNS."""

    def __init__(self):
        self.texts = {}

    def add_lines(self, lines):
        for line in lines.splitlines():
            found = re.match(r"(\S+)\.\s+\d+\s+IN\s+TXT\s+(.*)", line)
            if found:
                self.texts[found[1].lower()] = "".join(re.findall(r'"([^"]*)"', found[2]))

    def get_txt(self, name, timeout=5):
        name = (name.decode() if isinstance(name, bytes) else name).rstrip(".").lower()
        text = self.texts.get(name)
        return text.encode() if text is not None else None


def signatures(data):
    """(d, s, a) of each DKIM-Signature, from the top."""
    found = []
    for value in email.message_from_bytes(data).get_all("DKIM-Signature") or []:
        tags = dict((part.partition("=")[0].strip(), re.sub(r"\s", "", part.partition("=")[2])) for part in value.split(";"))
        found.append((tags["d"], tags["s"], tags["a"]))
    return found


def check_dkimpy(data, records):
    """Every signature is valid to python3-dkim."""
    count = len(signatures(data))
    assert count > 0, f"no signature:\n{data[:2000].decode('latin-1')}"
    for i in range(count):
        verifier = dkimpy.DKIM(data)
        assert verifier.verify(idx=i, dnsfunc=records.get_txt), f"signature {i} is not valid to python3-dkim"


def check_opendkim(data, dns, folder):
    """opendkim, asking the lab's DNS; it knows RSA only, and so looks at that one."""
    if shutil.which("opendkim") is None:
        pytest.skip("opendkim is not installed: nothing was checked with it")
    resolver, config, message = (os.path.join(folder, name) for name in ("unbound.conf", "opendkim.conf", "message"))
    with open(resolver, "w", encoding="ascii") as f:
        f.write(f'server:\n  do-not-query-localhost: no\nforward-zone:\n  name: "."\n  forward-addr: {dns.server}\n')
    with open(config, "w", encoding="ascii") as f:
        f.write(f"Mode v\nResolverConfiguration {resolver}\nSyslog no\nTemporaryDirectory {folder}\n")
    with open(message, "wb") as f:
        f.write(data)
    done = subprocess.run(["opendkim", "-t", message, "-x", config, "-vv"], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "verification (s=" in said and "succeeded" in said, said
    return said


MAILAUTH = """
const { dkimVerify } = require('mailauth/lib/dkim/verify');
const records = JSON.parse(process.argv[1]);
const resolver = async (name, type) => {
    const text = records[name.toLowerCase()];
    if (type !== 'TXT' || text === undefined) { const e = new Error('none'); e.code = 'ENOTFOUND'; throw e; }
    return [[text]];
};
const parts = [];
process.stdin.on('data', d => parts.push(d));
process.stdin.on('end', async () => {
    const found = await dkimVerify(Buffer.concat(parts), { resolver });
    console.log(JSON.stringify(found.results.map(r => [r.signingDomain, r.selector, r.algo, r.status.result, r.status.aligned || null])));
});
"""


def check_mailauth(data, records):
    """npm's mailauth."""
    if shutil.which("node") is None or not os.path.isdir(os.path.join(NODE_MODULES, "mailauth")):
        pytest.skip(f"npm's mailauth is not in {NODE_MODULES} (POSTRIDER_NODE_MODULES): nothing was checked with it")
    done = subprocess.run(["node", "-e", MAILAUTH, json.dumps(records.texts)], input=data, capture_output=True, timeout=60,
                          env=dict(os.environ, NODE_PATH=NODE_MODULES))
    assert done.returncode == 0, done.stderr.decode()
    results = json.loads(done.stdout)
    assert [(r[0], r[1]) for r in results] == [(d, s) for d, s, _ in signatures(data)]
    assert all(r[3] == "pass" for r in results), results


# --- a server with keys, and a peer where its mail arrives ---

class Site:
    def __init__(self, make_postrider, make_peer, make_domain, dns, **more):
        self.dns = dns
        self.name = f"sign-{uuid.uuid4().hex[:8]}"
        self.domain = f"{self.name}.example"
        self.records = Records()
        more.setdefault("accounts", {"joe": "joe", "ann": "ann"})
        config = {"listen mx": {"relay_from": ["127.0.0.0/8"]}, "log": {"level": "debug"}, **more.pop("config", {})}
        self.server = make_postrider(domain=self.domain, config=config, **more)
        self.peer = make_peer()
        self.there = make_domain("there", self.peer)
        self.seen = 0

    def new_keys(self, *options, domain=None, publish=True):
        self.take(self.server.must("dkim", "new", domain or self.domain, *options), publish)

    def take(self, lines, publish=True):
        """What a command printed: known to verifiers, and published."""
        self.records.add_lines(lines)
        if publish:
            self.publish(lines)

    def publish(self, lines):
        self.dns.add(*[line for line in lines.splitlines() if line and not line.startswith(";")])

    def keys(self, domain=None):
        listed = json.loads(self.server.must("dkim", "list", domain or self.domain, "--json"))["keys"]
        return {key["selector"]: key for key in listed}

    def states(self):
        return sorted((key["algorithm"], key["state"]) for key in self.keys().values())

    def ready(self, *options):
        """Keys that sign."""
        self.new_keys(*options)
        self.server.must("dkim", "check", self.domain)
        return self

    def text(self, sender=None, headers="", body="Hello.\r\n", subject="Greetings"):
        sender = sender or f"Joe <joe@{self.domain}>"
        return (f"From: {sender}\r\nTo: x@{self.there}\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
                f"Message-ID: <{uuid.uuid4().hex}@{self.domain}>\r\n{headers}\r\n{body}").encode()

    def submit(self, text, account="joe", reverse_path=None, options=()):
        """Over the submission port, logged in."""
        context = ssl.create_default_context(cafile=self.server.ca)
        context.check_hostname = False
        with smtplib.SMTP(self.server.ip, self.server.submission_port) as smtp:
            smtp.starttls(context=context)
            smtp.login(account if "@" in account else f"{account}@{self.domain}", account.partition("@")[0])
            smtp.sendmail(reverse_path or f"{account}@{self.domain}", [f"x@{self.there}"], text, mail_options=list(options))
        return self.arrived()

    def relay(self, text, reverse_path=None):
        """From a trusted network, without a login."""
        with smtplib.SMTP(self.server.ip, self.server.mx_port) as smtp:
            smtp.sendmail(reverse_path or f"joe@{self.domain}", [f"x@{self.there}"], text)
        return self.arrived()

    def arrived(self):
        """The next message at the peer, as bytes."""
        self.seen += 1
        base.wait_for(lambda: len(self.peer.messages) >= self.seen,
                      lambda: f"message {self.seen}; log:\n{self.server.log_text()[-4000:]}")
        return self.peer.messages[self.seen - 1].data


@pytest.fixture
def make_site(make_postrider, make_peer, make_domain, dns):
    return lambda **more: Site(make_postrider, make_peer, make_domain, dns, **more)


@pytest.fixture
def site(make_site):
    return make_site()


# --- signatures that others find valid ---

def test_submitted_mail_has_two_signatures_valid_elsewhere(site, tmp_path):
    site.ready()
    data = site.submit(site.text())
    rsa, ed25519 = signatures(data)
    assert rsa[0] == ed25519[0] == site.domain
    assert (rsa[2], ed25519[2]) == ("rsa-sha256", "ed25519-sha256")
    check_dkimpy(data, site.records)
    check_opendkim(data, site.dns, str(tmp_path))
    check_mailauth(data, site.records)


BODIES = {
    "empty": b"",
    "no line end": b"no line end",
    "empty lines at the end": b"text\r\n\r\n\r\n\r\n",
    "dots and blanks": b".\r\n..\r\n. \r\n  a   b\t\tc \r\n\t\r\n.x\r\n",
    "eight bits": "Grüße, 世界\r\n".encode(),
    "long line": b"x" * 990 + b"\r\n",
    "1 MiB and a bit": b"0123456789abcdef" * 4 * 16400 + b"\r\n",
}


@pytest.mark.parametrize("kind, body", [("submission", name) for name in BODIES] + [("relay", "eight bits"), ("relay", "empty")])
def test_what_is_signed_is_what_arrives(site, tmp_path, kind, body):
    site.ready()
    content = BODIES[body]
    if body == "1 MiB and a bit":
        content = b"\r\n".join(content[i:i + 76] for i in range(0, len(content), 76)) + b"\r\n"
    text = site.text(headers="Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", body="") + content
    options = ["BODY=8BITMIME"] if body == "eight bits" else []
    data = site.submit(text, options=options) if kind == "submission" else site.relay(text)
    check_dkimpy(data, site.records)
    check_opendkim(data, site.dns, str(tmp_path))


def test_a_spooled_message_of_5_mib(site, tmp_path):
    site.ready()
    line = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"
    data = site.submit(site.text(body="") + line * (5 * 1024 * 1024 // len(line)))
    assert len(data) > 5 * 1024 * 1024 - len(line)
    check_dkimpy(data, site.records)
    check_opendkim(data, site.dns, str(tmp_path))
    check_mailauth(data, site.records)


def test_what_the_server_adds_is_signed_too(site):
    site.ready()
    data = site.submit(f"From: joe@{site.domain}\r\nSubject: neither date nor id\r\n\r\nHello.\r\n".encode())
    message = email.message_from_bytes(data)
    assert message["Date"] and message["Message-ID"]
    check_dkimpy(data, site.records)
    changed = re.sub(rb"(?m)^Date: .*\r\n", b"Date: Tue, 01 Jan 2030 00:00:00 +0000\r\n", data, count=1)
    assert not dkimpy.DKIM(changed).verify(dnsfunc=site.records.get_txt), "the date is not signed"


@pytest.mark.parametrize("added", [b"From: Mallory <m@evil.example>\r\n", b"Subject: another\r\n", b"Reply-To: m@evil.example\r\n",
                                   b"Content-Type: text/html\r\n", b"Date: Tue, 01 Jan 2030 00:00:00 +0000\r\n"])
def test_a_field_added_on_the_way_breaks_the_signature(site, added):
    site.ready()
    data = site.submit(site.text())
    check_dkimpy(data, site.records)
    for changed in (added + data, data.replace(b"Subject:", added + b"Subject:", 1)):
        try:
            assert not dkimpy.DKIM(changed).verify(dnsfunc=site.records.get_txt)
        except dkimpy.DKIMException:
            pass


def test_mail_of_programs_here(site):
    """The local socket: sendmail as cron and PHP call it."""
    site.ready()
    done = subprocess.run([BINARY, "sendmail", "-C", site.server.config, "-f", f"joe@{site.domain}", f"x@{site.there}"],
                          input=f"From: joe@{site.domain}\nSubject: from a program\n\n.\nHello\n", text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    check_dkimpy(site.arrived(), site.records)


def test_mail_of_swaks(site, tmp_path):
    if shutil.which("swaks") is None:
        pytest.skip("swaks is not installed")
    site.ready()
    attachment = tmp_path / "x.bin"
    attachment.write_bytes(bytes(range(256)) * 40)
    subprocess.run(["swaks", "--server", f"{site.server.ip}:{site.server.submission_port}", "-tls", "--auth", "PLAIN", "--auth-user",
                    f"joe@{site.domain}", "--auth-password", "joe", "--from", f"joe@{site.domain}", "--to", f"x@{site.there}",
                    "--attach", f"@{attachment}"], check=True, capture_output=True, timeout=60)
    data = site.arrived()
    check_dkimpy(data, site.records)
    check_opendkim(data, site.dns, str(tmp_path))


def test_our_bounces_are_signed(site):
    site.ready()
    site.peer.script["RCPT"] = "550 5.1.1 no such user"
    with smtplib.SMTP(site.server.ip, site.server.mx_port) as smtp:
        smtp.sendmail(f"joe@{site.domain}", [f"nobody@{site.there}"], site.text())
    [bounce] = site.server.wait_mail("joe")
    assert "Undeliver" in str(bounce["Subject"]) or "deliver" in str(bounce["Subject"]).lower()
    raw = newest_mail(site, "joe")
    assert signatures(raw), raw[:2000]
    check_dkimpy(raw, site.records)


def test_bounces_of_many_failures_at_once_are_all_signed(site):
    """More than the workers are given at a time: the others wait for their turn, and none goes without."""
    count = 60
    site.ready()
    site.peer.script["RCPT"] = "550 5.1.1 no such user"
    with smtplib.SMTP(site.server.ip, site.server.mx_port) as smtp:
        for i in range(count):
            smtp.sendmail(f"joe@{site.domain}", [f"nobody{i}@{site.there}"], site.text())
    site.server.wait_mail("joe", count)
    folder = os.path.join(site.server.data, "mail", site.domain, "joe", "new")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            check_dkimpy(f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), site.records)


def newest_mail(site, account):
    """The raw bytes in the Maildir, with the line ends of SMTP, and without what delivery puts on top."""
    folder = os.path.join(site.server.data, "mail", site.domain, account)
    paths = [os.path.join(folder, sub, name) for sub in ("new", "cur") for name in os.listdir(os.path.join(folder, sub))]
    with open(max(paths, key=os.path.getmtime), "rb") as f:
        return f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# --- who is signed for ---

def test_a_subdomain_is_signed_for_by_the_domain_above_it(site):
    site.ready()
    data = site.submit(site.text(sender=f"root@web1.{site.domain}"))
    assert {s[0] for s in signatures(data)} == {site.domain}
    check_dkimpy(data, site.records)


@pytest.mark.parametrize("sender", ["someone@elsewhere.example", "joe", "joe@sign.example, x@elsewhere.example", " "],
                         ids=["a foreign domain", "no domain", "two domains", "nobody"])
def test_not_ours_is_not_signed(site, sender):
    site.ready()
    data = site.relay(site.text(sender=sender))
    assert signatures(data) == []


def test_an_account_does_not_sign_for_another_s_domain(make_site):
    """Two customers on one server: one may not vouch for the other."""
    other = f"other-{uuid.uuid4().hex[:8]}.example"
    site = make_site()
    site.server.must("domain", "add", other)
    site.server.add_account(f"eve@{other}", "eve")
    site.ready()
    forged = site.text(sender=f"Joe <joe@{site.domain}>")
    data = site.submit(forged, account=f"eve@{other}", reverse_path=f"eve@{other}")
    assert signatures(data) == []
    assert signatures(site.submit(forged)) != []
    # An address there that leads to her is hers to send from.
    site.server.must("alias", "add", f"sales@{site.domain}", f"eve@{other}")
    data = site.submit(site.text(sender=f"sales@{site.domain}"), account=f"eve@{other}", reverse_path=f"sales@{site.domain}")
    check_dkimpy(data, site.records)


def test_several_from_fields_are_never_signed(site):
    site.ready()
    text = site.text(headers=f"From: Another <ann@{site.domain}>\r\n")
    try:
        data = site.relay(text)
    except smtplib.SMTPDataError as e:
        assert e.smtp_code // 100 == 5
    else:
        assert signatures(data) == []


def test_mail_from_outside_is_not_signed(make_postrider, make_site):
    site = make_site(config={"listen mx": {}, "authentication": {"enabled": False}})
    site.ready()
    with smtplib.SMTP(site.server.ip, site.server.mx_port) as smtp:
        smtp.sendmail("stranger@elsewhere.example", [f"joe@{site.domain}"], site.text(subject="pretends"))
    site.server.wait_mail("joe", subject="pretends")
    assert signatures(newest_mail(site, "joe")) == []


def test_a_stream_has_its_own_domain_and_keys(make_site):
    """The operator names who answers for a class of mail; a rotated key goes on under the name he wrote."""
    site = make_site(config={"stream news": {"senders": ["news@bulk.example"], "dkim_domain": "bulk.example", "dkim_selectors": ["news"]}})
    site.ready()
    other = f"bulk-{uuid.uuid4().hex[:8]}"
    site.server.write_config(**{"stream news": {"senders": [f"news@{site.domain}"], "dkim_domain": f"{other}.example"}})
    site.server.reload()
    for options in (["--selector", "news", "--algorithm", "rsa"], ["--selector", "rest", "--algorithm", "rsa"]):
        site.new_keys(*options, domain=f"{other}.example")
    site.server.must("dkim", "check", f"{other}.example")
    base.wait_for(lambda: "event=reloaded" in site.server.log_text(), "the reload")
    text = site.text(sender="Customer <news@elsewhere.example>")
    data = site.relay(text, reverse_path=f"news@{site.domain}")
    assert [s[:2] for s in signatures(data)] == [(f"{other}.example", "news")]
    check_dkimpy(data, site.records)
    assert {s[0] for s in signatures(site.relay(site.text()))} == {site.domain}
    # Two authors are never signed for, whatever the stream says.
    assert signatures(site.relay(site.text(headers=f"From: x@{site.domain}\r\n"), reverse_path=f"news@{site.domain}")) == []


def test_off_is_one_word(make_site):
    site = make_site(config={"dkim": {"sign": False}})
    site.ready()
    assert signatures(site.submit(site.text())) == []


# --- keys and DNS ---

def test_an_unpublished_key_does_not_sign(site):
    site.new_keys(publish=False)
    done = site.server.cli("dkim", "check", site.domain)
    assert done.returncode == 75 and "not published" in done.stdout and "should be:" in done.stdout
    assert site.states() == [("ed25519", "new"), ("rsa", "new")]
    assert signatures(site.submit(site.text())) == []


def test_a_key_that_is_published_wrong_does_not_sign(site):
    site.new_keys("--algorithm", "rsa", "--selector", "wrong", publish=False)
    site.dns.add(f'wrong._domainkey.{site.name} TXT "v=DKIM1; k=rsa; p=AAAA"')
    done = site.server.cli("dkim", "check", site.domain, "--json")
    assert done.returncode == 75
    [found] = json.loads(done.stdout)
    assert not found["published"] and "another record" in found["reason"]
    assert signatures(site.submit(site.text())) == []


def test_check_published_can_be_turned_off(make_site):
    site = make_site(config={"dkim": {"check_published": False}})
    site.new_keys(publish=False)
    assert site.states() == [("ed25519", "active"), ("rsa", "active")]
    check_dkimpy(site.submit(site.text()), site.records)


def test_the_server_finds_published_keys_by_itself(site):
    site.server.stop()
    site.new_keys()
    assert site.states() == [("ed25519", "new"), ("rsa", "new")]
    site.server.start()
    base.wait_for(lambda: site.states() == [("ed25519", "active"), ("rsa", "active")],
                  lambda: f"active keys; log:\n{site.server.log_text()[-3000:]}", step=0.3)
    check_dkimpy(site.submit(site.text()), site.records)
    site.server.wait_log("dkim-key-published")


def test_rotation(site):
    site.ready()
    old = set(site.keys())
    printed = site.server.must("dkim", "rotate", site.domain)
    site.take(printed, publish=False)
    new = set(site.keys()) - old
    assert len(new) == 2
    assert site.server.cli("dkim", "rotate", site.domain).returncode != 0, "twice is a mistake"
    # The old ones sign until the new ones are seen.
    assert {s for _, s, _ in signatures(site.submit(site.text()))} == old
    rsa_only = [line for line in printed.splitlines() if "k=rsa" in line]
    site.publish("\n".join(rsa_only))
    assert site.server.cli("dkim", "check", site.domain).returncode == 75
    data = site.submit(site.text())
    assert {(a, s in new) for _, s, a in signatures(data)} == {("rsa-sha256", True), ("ed25519-sha256", False)}
    check_dkimpy(data, site.records)
    site.publish("\n".join(line for line in printed.splitlines() if "k=ed25519" in line))
    site.server.must("dkim", "check", site.domain)
    data = site.submit(site.text())
    assert {s for _, s, _ in signatures(data)} == new
    check_dkimpy(data, site.records)
    assert {s for s, key in site.keys().items() if key["state"] == "retired"} == old


def test_retired_and_removed_with_the_server_running_or_not(site):
    site.ready()
    rsa = next(s for s, key in site.keys().items() if key["algorithm"] == "rsa")
    assert site.server.cli("dkim", "remove", site.domain, rsa).returncode != 0, "it signs"
    site.server.must("dkim", "retire", site.domain, rsa)
    assert [a for _, _, a in signatures(site.submit(site.text()))] == ["ed25519-sha256"]
    site.server.stop()
    site.server.must("dkim", "remove", site.domain, rsa)
    site.dns.replace(f"{rsa}._domainkey.{site.domain}.")  # its name may come again
    site.new_keys("--algorithm", "rsa")
    site.server.must("dkim", "check", site.domain)
    site.server.start()
    data = site.submit(site.text())
    assert sorted(a for _, _, a in signatures(data)) == ["ed25519-sha256", "rsa-sha256"]
    check_dkimpy(data, site.records)


def test_a_key_from_elsewhere_and_opendkim_testkey(site, tmp_path):
    key = tmp_path / "old.private"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(key), "2048"], check=True, capture_output=True)
    site.new_keys("--selector", "old", "--key", str(key))
    site.server.must("dkim", "check", site.domain)
    data = site.submit(site.text())
    assert [s for _, s, _ in signatures(data)] == ["old"]
    check_dkimpy(data, site.records)
    if shutil.which("opendkim-testkey") is None:
        pytest.skip("opendkim-testkey is not installed")
    resolver = tmp_path / "unbound.conf"
    resolver.write_text(f'server:\n  do-not-query-localhost: no\nforward-zone:\n  name: "."\n  forward-addr: {site.dns.server}\n')
    config = tmp_path / "opendkim.conf"
    config.write_text(f"ResolverConfiguration {resolver}\n")
    os.chmod(key, 0o600)
    done = subprocess.run(["opendkim-testkey", "-vv", "-d", site.domain, "-s", "old", "-k", str(key), "-x", str(config)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_private_key_is_told(site):
    site.ready()
    site.server.cli("dkim", "new", site.domain, "--selector", "x", "--key", "/dev/null")
    said = "".join(site.server.must("dkim", *words) for words in
                   (["list"], ["list", "--json"], ["list", "--records"], ["new", site.domain, "--json"], ["rotate", site.domain, "--json"]))
    for text in (said, site.server.log_text()):
        assert "PRIVATE" not in text and "private_key" not in text


def test_a_relayed_message_keeps_its_signature(site, make_site):
    """What another server signed leaves us as it came."""
    site.ready()
    signed = site.submit(site.text())
    other = make_site()
    relayed = other.relay(signed, reverse_path="x@elsewhere.example")
    assert signatures(relayed) == signatures(signed)
    check_dkimpy(relayed, site.records)
    assert relayed.endswith(signed), "something behind the new fields was changed"
