"""Verification of incoming mail: SPF, DKIM, DMARC and the client's name, what is done about them, and what is written down. Messages are signed
by python3-dkim, Authentication-Results read by python3-authres."""
import contextlib
import json
import os
import sqlite3
import threading
import time
import uuid

import authres
import dkim
import pytest

from lab import base, postrider as lab_postrider
from lab.postfix import read_maildir
from lab.scripted_dns import CNAME, SERVFAIL, ScriptedDns, name
from lab.signed_mail import Client, Key, txt

TXT = 16
ON = {"authentication": {"enabled": True}}


@pytest.fixture(scope="module")
def here(lab, authority, dns):
    server = lab_postrider.Postrider(lab, authority, dns, accounts={"joe": "joe's pass word", "ann": "ann"}, config=ON,
                                     domain="verified.example")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def key(lab):
    return Key(lab.subfolder("keys"), "rsa")


@pytest.fixture(scope="module")
def ed_key(lab):
    return Key(lab.subfolder("keys"), "ed", kind="ed25519")


class World:
    """Sender domains, each with its records, all sending from one address."""

    def __init__(self, lab, dns, key, ed_key):
        self.dns, self.key, self.ed_key = dns, key, ed_key
        self.ip = lab.address()
        self.number = 0

    def domain(self, spf=None, dmarc=None, keys=True, below=None):
        self.number += 1
        label = f"v{self.number}"
        own = f"{below}.{label}" if below else label
        records = [f"{label} MX 10 mx.{label}", f"{own} A {self.ip}"]
        if spf is not None:
            records.append(f"{own} TXT {txt(spf.format(ip=self.ip))}")
        if dmarc is not None:
            records.append(f"_dmarc.{label} TXT {txt(dmarc)}")
        if keys:
            records += [f"s._domainkey.{own} TXT {txt(self.key.record())}", f"e._domainkey.{own} TXT {txt(self.ed_key.record())}"]
        self.dns.add(*records)
        return f"{own}.example"


@pytest.fixture(scope="module")
def world(lab, dns, key, ed_key):
    return World(lab, dns, key, ed_key)


def letter(author, about, more="", body="Hello!\r\n"):
    return (f"{more}From: Bob <bob@{author}>\r\nTo: joe@verified.example\r\nSubject: {about}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{about}@{author}>\r\n\r\n{body}").encode()


def subject():
    return "t" + uuid.uuid4().hex[:12]


def results(mail, authserv_id="mail.verified.example"):
    """What our field says, as (method, result) → properties. It stands on top, alone."""
    fields = mail.get_all("Authentication-Results") or []
    ours = [str(f) for f in fields if str(f).split(";")[0].strip().lower() == authserv_id]
    assert len(ours) == 1, fields
    assert mail.raw.split(b"\n")[1].startswith(b"Authentication-Results: "), mail.raw[:300]  # behind Return-Path
    parsed = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + " ".join(ours[0].split()))
    return [(r.method, r.result, {f"{p.type}.{p.name}": p.value for p in r.properties}, r.reason) for r in parsed.results]


def words(mail):
    return {f"{method}={result}" for method, result, _, _ in results(mail)}


def junk(server, local):
    return read_maildir(os.path.join(server.data, "mail", server.domain, local, ".Junk"))


def wait_junk(server, local, about):
    return base.wait_for(lambda: [m for m in junk(server, local) if str(m["Subject"]) == about], f"{about} in Junk")[0]


# --- verdicts, alignment, actions ---

CASES = {
    # name: (SPF, DMARC, signed by: "" nobody, "own", "sub", "other", "broken"; MAIL FROM: "own", "sub", "other", "null"; code; folder; results)
    "everything passes": ("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject", "own", "own", 250, "",
                          {"spf=pass", "dkim=pass", "dmarc=pass"}),
    "SPF alone, aligned": ("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject", "", "own", 250, "", {"spf=pass", "dkim=none", "dmarc=pass"}),
    "DKIM alone, aligned": ("v=spf1 -all", "v=DMARC1; p=reject", "own", "own", 250, "", {"spf=fail", "dkim=pass", "dmarc=pass"}),
    "DKIM alone, null sender": (None, "v=DMARC1; p=reject", "own", "null", 250, "", {"dkim=pass", "dmarc=pass"}),
    "signed by another domain": (None, "v=DMARC1; p=reject", "other", "own", "550 5.7.26", None, None),
    "sent by another domain": (None, "v=DMARC1; p=reject", "", "other", "550 5.7.26", None, None),
    "p=reject, nothing passes": ("v=spf1 -all", "v=DMARC1; p=reject", "", "own", "550 5.7.26", None, None),
    "p=reject, the body was changed": (None, "v=DMARC1; p=reject", "broken", "own", "550 5.7.26", None, None),
    "p=quarantine, nothing passes": ("v=spf1 -all", "v=DMARC1; p=quarantine", "", "own", 250, "Junk", {"spf=fail", "dkim=none", "dmarc=fail"}),
    "p=quarantine, the body was changed": (None, "v=DMARC1; p=quarantine", "broken", "own", 250, "Junk", {"dkim=fail", "dmarc=fail"}),
    "p=none, nothing passes": ("v=spf1 -all", "v=DMARC1; p=none", "", "own", 250, "", {"spf=fail", "dmarc=fail"}),
    "p=reject in test mode": ("v=spf1 -all", "v=DMARC1; p=reject; t=y", "", "own", 250, "Junk", {"dmarc=fail"}),
    "an old record with pct=0": ("v=spf1 -all", "v=DMARC1; p=quarantine; pct=0", "", "own", 250, "Junk", {"dmarc=fail"}),
    "SPF fails, no DMARC": ("v=spf1 -all", None, "", "own", 250, "", {"spf=fail", "dmarc=none"}),
    "SPF softfails, no DMARC": ("v=spf1 ~all", None, "", "own", 250, "", {"spf=softfail", "dmarc=none"}),
    "SPF is broken": ("v=spf1 ip4:x -all", None, "own", "own", 250, "", {"spf=permerror", "dkim=pass", "dmarc=none"}),
    "nothing is published": (None, None, "", "own", 250, "", {"spf=none", "dkim=none", "dmarc=none"}),
}


def make(world, about, author, signed_by, sender_of, other):
    message = letter(author, about)
    if signed_by in ("own", "broken"):
        message = world.key.sign(message, author)
    elif signed_by == "other":
        message = world.key.sign(message, other)
    if signed_by == "broken":
        message = message.replace(b"Hello!", b"Hallo!")
    return {"own": f"bob@{author}", "other": f"bob@{other}", "null": ""}[sender_of], message


@pytest.mark.parametrize("chunked", [False, True], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("case", CASES)
def test_verdicts(here, world, case, chunked):
    spf, dmarc, signed_by, sender_of, code, folder, wanted = CASES[case]
    about, author = subject(), world.domain(spf, dmarc)
    other = world.domain("v=spf1 ip4:{ip} -all")
    sender, message = make(world, about, author, signed_by, sender_of, other)
    with Client(world.ip, here.ip, here.mx_port) as client:
        reply = client.deliver(sender, "joe@verified.example", message, chunked)
    assert reply.startswith(str(code)), reply
    if wanted is None:
        assert author in reply and "DMARC" in reply
        here.wait_log(rf"event=rejected .*from=\S*{sender}.*{author}")
        assert not [m for m in here.mailbox("joe") + junk(here, "joe") if str(m["Subject"]) == about]
        assert not here.queue_list()
        return
    mail = wait_junk(here, "joe", about) if folder else here.wait_mail("joe", subject=about)[0]
    assert wanted <= words(mail), results(mail)
    # Not a byte of what was sent is another one.
    assert mail.raw.replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n"))
    found = {method: properties for method, _, properties, _ in results(mail)}
    assert found["dmarc"]["header.from"] == author
    if sender:
        assert ("spf", sender) in [(m, p.get("smtp.mailfrom")) for m, _, p, _ in results(mail)]


def test_relaxed_and_strict_alignment(here, world):
    """A subdomain of the author's organisation signs, or sends: fine unless the record says strict."""
    for strict, code in (("", "250"), ("; adkim=s; aspf=s", "550 5.7.26")):
        mail_domain = world.domain("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject" + strict, below="mail")
        author = mail_domain.split(".", 1)[1]
        with Client(world.ip, here.ip, here.mx_port) as client:
            message = world.key.sign(letter(author, subject()), mail_domain)
            assert client.deliver(f"bob@{mail_domain}", "joe@verified.example", message).startswith(code)
            assert client.deliver("", "joe@verified.example", message).startswith(code)
            assert client.deliver(f"bob@{mail_domain}", "joe@verified.example", letter(author, subject())).startswith(code)


def test_two_signatures_of_two_kinds(here, world):
    about, author = subject(), world.domain(None, "v=DMARC1; p=reject")
    message = world.ed_key.sign(world.key.sign(letter(author, about), author), author, "e")
    with Client(world.ip, here.ip, here.mx_port) as client:
        assert client.deliver("", "joe@verified.example", message).startswith("250")
    mail = here.wait_mail("joe", subject=about)[0]
    found = [(p["header.s"], p["header.a"], r) for m, r, p, _ in results(mail) if m == "dkim"]
    assert sorted(found) == [("e", "ed25519-sha256", "pass"), ("s", "rsa-sha256", "pass")]


@pytest.mark.parametrize("counts", (False, True))
def test_text_behind_what_is_signed(make_postrider, world, counts):
    """A signature of the body's first bytes (l=) says nothing of what anybody put behind them: no pass, unless the operator wants it so."""
    wishes = {"enabled": True, "dkim_partial_body": True} if counts else {"enabled": True}
    server = make_postrider(domain="partial.example", config={"authentication": wishes})
    author = world.domain("v=spf1 -all", "v=DMARC1; p=reject")
    whole, longer = subject(), subject()
    with Client(world.ip, server.ip, server.mx_port) as client:
        message = world.key.sign(letter(author, whole), author, length=True)
        assert b" l=8;" in message
        assert client.deliver("", "joe@partial.example", message).startswith("250")
        message = world.key.sign(letter(author, longer), author, length=True) + b"Send me money.\r\n"
        reply = client.deliver("", "joe@partial.example", message)
    assert reply.startswith("250" if counts else "550 5.7.26"), reply
    assert {"dkim=pass", "dmarc=pass"} <= {f"{m}={r}" for m, r, _, _ in results(server.wait_mail("joe", subject=whole)[0], server.hostname)}
    if counts:
        mail = server.wait_mail("joe", subject=longer)[0]
        assert {"dkim=pass", "dmarc=pass"} <= {f"{m}={r}" for m, r, _, _ in results(mail, server.hostname)}
        return
    tagged, kind = subject(), world.domain("v=spf1 -all", "v=DMARC1; p=none")
    with Client(world.ip, server.ip, server.mx_port) as client:
        message = world.key.sign(letter(kind, tagged), kind, length=True) + b"Send me money.\r\n"
        assert client.deliver("", "joe@partial.example", message).startswith("250")
    [found] = [(r, reason) for m, r, _, reason in results(server.wait_mail("joe", subject=tagged)[0], server.hostname) if m == "dkim"]
    assert found == ("policy", "a part of the body is not signed")


def test_helo_has_its_own_result(here, world):
    about, author, helo = subject(), world.domain("v=spf1 ip4:{ip} -all"), world.domain("v=spf1 -all")
    with Client(world.ip, here.ip, here.mx_port, helo) as client:
        assert client.deliver(f"bob@{author}", "joe@verified.example", letter(author, about)).startswith("250")
    found = results(here.wait_mail("joe", subject=about)[0])
    assert ("fail", {"smtp.helo": helo}) in [(r, p) for m, r, p, _ in found if m == "spf"]
    assert ("pass", {"smtp.mailfrom": f"bob@{author}"}) in [(r, p) for m, r, p, _ in found if m == "spf"]


def test_trace_tells_the_verdicts(here, world):
    about, author = subject(), world.domain("v=spf1 -all", "v=DMARC1; p=quarantine")
    with Client(world.ip, here.ip, here.mx_port) as client:
        reply = client.deliver(f"bob@{author}", "joe@verified.example", letter(author, about))
    wait_junk(here, "joe", about)
    message_id = reply.split()[-1]

    def told():
        done = here.cli("trace", message_id, "--json")
        return done.returncode == 0 and [e for e in json.loads(done.stdout)["events"] if e["event"] == "authenticated"]

    fields = str(base.wait_for(told, "the trace")[0])
    for part in ("spf=fail", "dkim=none", "dmarc=fail", "policy=quarantine", "action=quarantine", "iprev=", f"author={author}"):
        assert part in fields or part.replace("=", "': '") in fields, fields


def test_reports_learn_of_it(here, world):
    """What was found out, and done, is counted for the domain that asks for reports: delivered, put into Junk and refused mail alike."""
    domains = {p: world.domain("v=spf1 -all", f"v=DMARC1; p={p}; rua=mailto:reports@v1.example") for p in ("none", "quarantine", "reject")}
    with Client(world.ip, here.ip, here.mx_port) as client:
        for domain in domains.values():
            client.deliver(f"bob@{domain}", "joe@verified.example", letter(domain, subject()))
            client.deliver(f"bob@{domain}", "joe@verified.example", world.key.sign(letter(domain, subject()), domain))

    def counted():
        with contextlib.closing(sqlite3.connect(f"file:{here.data}/postrider.db?mode=ro", uri=True)) as db:
            return [json.loads(row[0]) for row in db.execute("SELECT details FROM dmarc_result WHERE domain IN (?, ?, ?) ORDER BY 1",
                                                             list(domains.values()))]

    rows = base.wait_for(lambda: len(counted()) == 6 and counted(), "six rows")
    assert all(row["ip"] == world.ip and row["spf"] is False for row in rows)
    for policy, domain in domains.items():
        found = {row["disposition"]: row for row in rows if row["from"] == domain}
        if policy == "none":
            assert set(found) == {"none"}
            continue
        assert found[policy]["dkim"] is False and found["none"]["dkim"] is True
        assert found["none"]["signatures"][0][:2] == [domain, "s"], found


def test_junk_is_a_folder(here, world):
    """As IMAP servers expect it: Maildir++, subscribed; the inbox has nothing of it."""
    about, author = subject(), world.domain("v=spf1 -all", "v=DMARC1; p=quarantine")
    with Client(world.ip, here.ip, here.mx_port) as client:
        assert client.deliver(f"bob@{author}", ["joe@verified.example", "ann@verified.example"], letter(author, about)).startswith("250")
    for local in ("joe", "ann"):
        wait_junk(here, local, about)
        folder = os.path.join(here.data, "mail", here.domain, local)
        assert base.read_text(os.path.join(folder, "subscriptions")).splitlines() == ["Junk"]
        assert os.path.exists(os.path.join(folder, ".Junk", "maildirfolder"))
        assert about not in [str(m["Subject"]) for m in here.mailbox(local)]


def test_junk_stays_junk(make_postrider, world):
    """What can't be written at once is still junk after a restart, and where an alias took the mailbox's place meanwhile."""
    server = make_postrider(domain="later.example", config=ON, accounts={"joe": "joe", "ann": "ann", "eve": "eve"})
    about, author = subject(), world.domain("v=spf1 -all", "v=DMARC1; p=quarantine")
    mail = os.path.join(server.data, "mail")
    os.makedirs(mail, exist_ok=True)
    os.rename(mail, mail + ".away")
    with open(mail, "w", encoding="ascii"):
        pass  # in the way
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"bob@{author}", ["joe@later.example", "ann@later.example"], letter(author, about)).startswith("250")
    server.wait_log(r"event=deferred .*to=joe@later.example")
    server.stop()
    server.must("account", "remove", "ann@later.example")
    server.must("alias", "add", "ann@later.example", "eve@later.example")
    os.remove(mail)
    os.rename(mail + ".away", mail)
    server.start()
    for local in ("joe", "eve"):
        wait_junk(server, local, about)
        assert not server.mailbox(local)


# --- ARC (RFC 8617) ---

def seal(key, message, sealer, dmarc="pass", before=""):
    """The set that a mailing list adds: what it found out, then its seal. Behind it, it changes what it sends on."""
    found = f"Authentication-Results: {sealer}; {before}dmarc={dmarc} header.from=x.example; spf=pass smtp.mailfrom=x.example\r\n".encode()
    return b"".join(dkim.arc_sign(found + message, b"s", sealer.encode(), key.private, sealer.encode(),
                                  include_headers=[b"From", b"To", b"Subject", b"Date", b"Message-ID"])) + message


@pytest.mark.parametrize("name, code, wanted", [
    ("trusted", "250", "arc=pass"),
    ("not trusted", "550 5.7.26", None),
    ("trusted, but it failed there, too", "550 5.7.26", None),
    ("trusted, but changed behind it", "550 5.7.26", None),
    ("no chain", "550 5.7.26", None),
])
def test_trusted_sealers(make_postrider, world, name, code, wanted):
    """A list that we trust says that the message was its author's before it changed it: a DMARC failure does not count then."""
    sealer = world.domain("v=spf1 ip4:{ip} -all")
    server = make_postrider(domain="sealed.example", config={"authentication": {
        "enabled": True, "trusted_sealers": [sealer if name != "not trusted" else "somebody.example"]}})
    about, author = subject(), world.domain("v=spf1 -all", "v=DMARC1; p=reject")
    message = letter(author, about, body="Hello!\r\n-- \r\nThe list\r\n")
    if name != "no chain":
        message = seal(world.key, message, sealer, "fail" if "failed" in name else "pass")
    if "changed" in name:
        message = message.replace(b"Hello!", b"Hallo!")
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"list@{sealer}", "joe@sealed.example", message).startswith(code)
    if wanted is not None:
        mail = server.wait_mail("joe", subject=about)[0]
        assert {wanted, "dmarc=fail", "spf=pass"} <= {f"{m}={r}" for m, r, _, _ in results(mail, server.hostname)}
        server.wait_log(rf"event=authenticated .*arc=pass sealer={sealer} .*action=accept")


def test_no_arc_is_one_word(make_postrider, world):
    sealer = world.domain("v=spf1 ip4:{ip} -all")
    server = make_postrider(domain="unsealed.example", config={"authentication": {"enabled": True, "trusted_sealers": [sealer], "arc": "off"}})
    author, kind = world.domain("v=spf1 -all", "v=DMARC1; p=reject"), world.domain("v=spf1 -all", "v=DMARC1; p=none")
    about = subject()
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"list@{sealer}", "joe@unsealed.example", seal(world.key, letter(author, subject()), sealer)).startswith("550")
        assert client.deliver(f"list@{sealer}", "joe@unsealed.example", seal(world.key, letter(kind, about), sealer)).startswith("250")
    assert "arc" not in {m for m, _, _, _ in results(server.wait_mail("joe", subject=about)[0], server.hostname)}


def test_long_chains(here, world):
    """More signatures than are asked for at once."""
    about, author = subject(), world.domain(None, "v=DMARC1; p=none")
    message = letter(author, about)
    for number in range(14):
        message = seal(world.key, message, world.domain(), before="arc=pass; " if number else "")
    with Client(world.ip, here.ip, here.mx_port) as client:
        assert client.deliver(f"bob@{author}", "joe@verified.example", message).startswith("250")
    assert "arc=pass" in words(here.wait_mail("joe", subject=about)[0])


# --- From fields ---

@pytest.mark.parametrize("name, header, code", [
    ("none", "Subject: x\r\n", "550 5.7.1"),
    ("two", "From: bob@{a}\r\nFrom: eve@{b}\r\n", "550 5.7.1"),
    ("two that agree", "From: bob@{a}\r\nFrom: bob@{a}\r\n", "550 5.7.1"),
    ("two domains in one", "From: bob@{a}, eve@{b}\r\n", "550 5.7.1"),
    ("no domain", "From: root\r\n", "550 5.7.1"),
    ("nobody", "From:\r\n", "550 5.7.1"),
    ("two brackets", "From: <bob@{a}> <eve@{b}>\r\n", "550 5.7.1"),
    ("two mailboxes of one domain", "From: bob@{a}, eve@{a}\r\n", "250"),
    ("an address as a name", 'From: "boss@{b}" <bob@{a}>\r\n', "250"),
])
def test_from_fields(here, world, name, header, code):
    a, b = world.domain("v=spf1 ip4:{ip} -all"), world.domain(None, "v=DMARC1; p=reject")
    with Client(world.ip, here.ip, here.mx_port) as client:
        message = (header.format(a=a, b=b) + "To: joe@verified.example\r\n\r\nx\r\n").encode()
        assert client.deliver(f"bob@{a}", "joe@verified.example", message).startswith(code)


# --- forged results ---

FORGED = ("Authentication-Results: mail.verified.example; dmarc=pass header.from=bank.example\r\n"
          "X-Before: 1\r\n"
          "authentication-results: (x) \"Mail.Verified.Example.\"\r\n 1; spf=pass\r\n"
          "Authentication-Results: other.example; spf=pass smtp.mailfrom=x@y.example\r\n"
          "Authentication-Results: mail.verified.example\r\n\t;\r\n\tdkim=pass\r\n"
          "Authentication-Results: (not closed mail.verified.example; spf=pass\r\n"
          "X-After: 2\r\n")


def kept(message):
    """What should be left of a message with FORGED in front."""
    lines = b"X-Before: 1\r\nAuthentication-Results: other.example; spf=pass smtp.mailfrom=x@y.example\r\nX-After: 2\r\n"
    return lines + message[len(FORGED):]


@pytest.mark.parametrize("size", [100, 3 * 1024 * 1024], ids=["small", "spooled"])
@pytest.mark.parametrize("piece", [0, 7], ids=["at once", "in pieces"])
def test_forged_results_are_removed(here, world, size, piece):
    """From strangers. The signature covers all that was sent, and still holds."""
    about, author = subject(), world.domain(None, "v=DMARC1; p=reject")
    body = "".join(f"{i:07} " + "x" * 60 + "\r\n" for i in range(size // 70 + 1))
    message = letter(author, about, FORGED, body)
    signature = world.key.sign(message, author, include_headers=[b"From", b"Subject", b"Authentication-Results"])[:-len(message)]
    with Client(world.ip, here.ip, here.mx_port) as client:
        client.envelope(f"bob@{author}", "joe@verified.example")
        client.expect(354, "DATA")
        sent = signature + message + b".\r\n"
        head = len(signature) + len(FORGED) + 100 if piece else 0
        for i in range(0, head, piece or 1):
            client.send(sent[i:min(i + piece, head)])
            time.sleep(0.001)
        client.send(sent[head:])
        assert client.answer().startswith("250")
    mail = here.wait_mail("joe", subject=about)[0]
    assert {"dkim=pass", "dmarc=pass"} <= words(mail)
    assert mail.raw.endswith((signature + kept(message)).replace(b"\r\n", b"\n"))
    assert not here.spool_files()


@pytest.mark.parametrize("size", [100, 3 * 1024 * 1024], ids=["small", "spooled"])
def test_forged_results_of_users(here, size):
    """Who logs in can't write in our name either; nothing is added."""
    about = subject()
    message = letter("verified.example", about, FORGED, "x" * 70 + "\r\n").replace(b"bob@", b"joe@")
    message += (b"y" * 70 + b"\r\n") * (size // 72)
    with Client("127.0.0.1", here.ip, here.submission_port) as client:
        client.starttls()
        client.login("joe@verified.example", "joe's pass word")
        assert client.deliver("joe@verified.example", "ann@verified.example", message).startswith("250")
    mail = here.wait_mail("ann", subject=about)[0]
    assert mail.raw.endswith(kept(message).replace(b"\r\n", b"\n"))
    assert [str(f).split(";")[0] for f in mail.get_all("Authentication-Results")] == ["other.example"]


def test_trusted_networks_are_left_alone(make_postrider, lab, world):
    """What a server of ours wrote stays, nobody is looked up, and a missing From field is the sender's own business."""
    server = make_postrider(domain="trusted.example", config={**ON, "listen mx": {"relay_from": ["127.0.0.0/8"]}})
    about = subject()
    forged = f"Authentication-Results: mail.trusted.example; spf=pass\r\nSubject: {about}\r\n\r\nx\r\n".encode()
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver("", "joe@trusted.example", forged).startswith("250")
    mail = server.wait_mail("joe", subject=about)[0]
    assert mail.raw.endswith(forged.replace(b"\r\n", b"\n"))
    assert "event=authenticated" not in server.log_text()


def test_large_header_sections(here, world):
    """Larger than can be looked at is refused; just below is not."""
    author = world.domain("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject")
    for kib, code in ((200, "250"), (300, "552 5.3.4")):
        more = "".join(f"X-{i}: " + "x" * 900 + "\r\n" for i in range(kib * 1024 // 910))
        with Client(world.ip, here.ip, here.mx_port) as client:
            reply = client.deliver(f"bob@{author}", "joe@verified.example", letter(author, subject(), more))
            assert reply.startswith(code), reply
            client.expect(250, "NOOP")


# --- the operator's wishes ---

def test_configured_actions(make_postrider, world):
    """Each verdict turned into another action."""
    server = make_postrider(domain="wishes.example", config={"authentication": {
        "enabled": True, "spf_fail": "reject", "dmarc_reject": "quarantine", "dmarc_quarantine": "tag", "bad_from": "none",
        "authserv_id": "results.wishes.example", "quarantine_folder": "Spam"}})
    reject, quarantine = world.domain("v=spf1 -all", "v=DMARC1; p=reject"), world.domain("v=spf1 -all", "v=DMARC1; p=quarantine")
    only_spf = world.domain("v=spf1 exp=why.%{{d}} -all")
    world.dns.add(f"why.{only_spf.removesuffix('.example')} TXT {txt('%{i} is none of ours')}")
    marks = [subject() for _ in range(3)]
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"bob@{reject}", "joe@wishes.example", letter(reject, marks[0])).startswith("250")
        assert client.deliver(f"bob@{quarantine}", "joe@wishes.example", letter(quarantine, marks[1])).startswith("250")
        reply = client.deliver(f"bob@{only_spf}", "joe@wishes.example", letter(only_spf, subject()))
        assert reply.startswith("550 5.7.23") and f"{world.ip} is none of ours" in reply
        assert client.deliver("", "joe@wishes.example", f"Subject: {marks[2]}\r\n\r\nx\r\n".encode()).startswith("250")
    folder = os.path.join(server.data, "mail", server.domain, "joe", ".Spam")
    base.wait_for(lambda: [str(m["Subject"]) for m in read_maildir(folder)] == marks[:1], "the message in Spam")
    for mark in marks[1:]:
        mail = server.wait_mail("joe", subject=mark)[0]
        assert results(mail, "results.wishes.example")


def test_switched_off(make_postrider, world):
    """Nothing is looked up, written or removed."""
    server = make_postrider(domain="off.example", config={"authentication": {"enabled": False}})
    author, about = world.domain("v=spf1 -all", "v=DMARC1; p=reject"), subject()
    message = letter(author, about, "Authentication-Results: mail.off.example; spf=pass\r\n")
    with Client(world.ip, server.ip, server.mx_port) as client:
        assert client.deliver(f"bob@{author}", "joe@off.example", message).startswith("250")
    assert server.wait_mail("joe", subject=about)[0].raw.endswith(message.replace(b"\r\n", b"\n"))
    assert "event=authenticated" not in server.log_text()


def test_sessions_go_on(here, world):
    """Several messages in a session; one given up by RSET, one by hanging up, in between."""
    author = world.domain("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject")
    marks = [subject() for _ in range(3)]
    with Client(world.ip, here.ip, here.mx_port) as client:
        for mark in marks:
            client.envelope(f"bob@{author}", "joe@verified.example")
            client.expect(250, "RSET")
            assert client.deliver(f"bob@{author}", "joe@verified.example", letter(author, mark)).startswith("250")
    for mark in marks:
        here.wait_mail("joe", subject=mark)
    for step in ("MAIL", "RCPT", "DATA", "header", "body", "end"):
        client = Client(world.ip, here.ip, here.mx_port)
        client.expect(250, f"MAIL FROM:<bob@{author}>")
        if step != "MAIL":
            client.expect(250, "RCPT TO:<joe@verified.example>")
        if step not in ("MAIL", "RCPT"):
            client.expect(354, "DATA")
        text = world.key.sign(letter(author, subject()), author)
        client.send({"header": text[:200], "body": text[:-3], "end": text + b".\r\n"}.get(step, b""))
        client.close()


# --- DNS that is not nice ---

@pytest.fixture(scope="module")
def rogue(lab, authority, dns):
    """A server whose DNS says what a test puts into `script`; nothing is validated."""
    server_dns = ScriptedDns(lab, dns.ip, strip=True)
    server = lab_postrider.Postrider(lab, authority, None, domain="rogue.example", accounts={"joe": "joe"}, config={
        "dns": {"servers": [server_dns.server], "timeout": "4s"}, "authentication": {"enabled": True, "timeout": "4s"}})
    server.dns = server_dns
    yield server
    server.stop()
    server_dns.close()


def record(*texts):
    return b"".join(bytes([len(t)]) + t for t in (t if isinstance(t, bytes) else t.encode() for t in texts))


def says(text):
    """An answer with that TXT record."""
    text = text.encode()
    data = record(*[text[i:i + 255] for i in range(0, len(text), 255)])
    return lambda q: q.answer((q.name, TXT, data)) if q.type == TXT else q.answer()


def includes(q):
    """A hundred includes, each with a hundred more."""
    if q.type != TXT:
        return q.answer()
    text = "v=spf1 " + " ".join(f"include:i{i}.{q.name}" for i in range(100)) + " -all"
    return says(text)(q)


def chain(q):
    return q.answer((q.name, CNAME, name("x." + q.name if len(q.name) < 200 else q.name)))


def giant(q):
    return q.answer(*[(q.name, TXT, record(*[b"v=spf1 " + b"x" * 240] * 200))])


def silence(q):
    return None


HOSTILE = {
    "an alias to itself": lambda q: q.answer((q.name, CNAME, name(q.name))),
    "aliases without end": chain,
    "a hundred includes": includes,
    "it includes itself": lambda q: says(f"v=spf1 include:{q.name} redirect={q.name}")(q),
    "fifty kilobytes of TXT": giant,
    "hundreds of TXT records": lambda q: q.answer(*[(q.name, TXT, record(f"v=spf1 +all x{i}")) for i in range(400)]),
    "SERVFAIL": lambda q: q.answer(rcode=SERVFAIL),
    "silence": silence,
    "nonsense": lambda q: q.head(65535) + b"\xc0\x0c\x00\x10",
    "one byte": lambda q: b"x",
    "cut off for ever": lambda q: q.head(truncated=True),
    "a key that is none": lambda q: says("v=DKIM1; k=rsa; p=" + "A" * 5000)(q),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_dns(rogue, world, lab, attack):
    """Everything that is asked for one message says the same nasty thing: there is a verdict within the limits, and others don't wait."""
    domain = f"h{list(HOSTILE).index(attack)}.attack.example"
    rogue.dns.script.update({domain: HOSTILE[attack]})
    before, about, good = len(rogue.dns.asked), subject(), subject()
    fine = world.domain("v=spf1 ip4:{ip} -all", "v=DMARC1; p=reject")
    replies = []

    def attacker():
        message = letter(domain, about)
        for selector in ("a", "b", "c"):
            message = world.key.sign(message, domain, selector)
        with Client(world.ip, rogue.ip, rogue.mx_port, f"mail.{domain}") as client:
            replies.append(client.deliver(f"bob@{domain}", "joe@rogue.example", message))

    thread = threading.Thread(target=attacker)
    thread.start()
    with Client(lab.address(), rogue.ip, rogue.mx_port) as client:
        reply = client.deliver("", "joe@rogue.example", world.key.sign(letter(fine, good), fine))
    assert reply.startswith("250")
    thread.join(60)
    assert replies and replies[0][:3] in ("250", "451", "550"), replies
    if replies[0].startswith("250"):
        rogue.wait_mail("joe", subject=about)
    assert len(rogue.dns.asked) - before < 400
    line = rogue.wait_log(rf"event=authenticated .*from=bob@{domain} .*").group(0)
    assert "spf=" in line and "dmarc=" in line


def test_unknown_policies_wait_only_if_they_matter(rogue, world, lab):
    """No answer about DMARC: mail that has nothing to show is to come again, mail that the domain itself signed or sent is taken."""
    domain = "unknown.attack.example"
    rogue.dns.script.update({f"_dmarc.{domain}": silence, f"s._domainkey.{domain}": says(world.key.record())})
    with Client(world.ip, rogue.ip, rogue.mx_port) as client:
        reply = client.deliver(f"bob@{domain}", "joe@rogue.example", letter(domain, subject()))
        assert reply.startswith("451 4.4.3") and domain in reply
        about = subject()
        assert client.deliver("", "joe@rogue.example", world.key.sign(letter(domain, about), domain)).startswith("250")
    assert "dmarc=temperror" in words_of(rogue, about)


def test_stop_while_a_verdict_is_awaited(make_postrider, lab, dns, world):
    """The client is told to come again, or loses its connection; nothing is kept, and the end is clean."""
    server_dns = ScriptedDns(lab, dns.ip, strip=True, script={"never.attack.example": silence})
    try:
        server = make_postrider(dns=None, domain="stops.example", config={**ON, "dns": {"servers": [server_dns.server]}, "stop_timeout": "2s"})
        with Client(world.ip, server.ip, server.mx_port) as client:
            client.envelope("bob@never.attack.example", "joe@stops.example")
            client.expect(354, "DATA")
            client.send(letter("never.attack.example", subject(), body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 30000) + b".\r\n")
            base.wait_for(lambda: server.spool_files(), "the spool file")
            server.stop()
            assert client.closed()
        assert not server.spool_files() and not server.mailbox("joe")
    finally:
        server_dns.close()


def words_of(server, about):
    return {f"{m}={r}" for m, r, _, _ in results(server.wait_mail("joe", subject=about)[0], server.hostname)}
