"""Reports: DMARC's aggregate reports and TLS reports that leave, unpacked and read here by Python's own means and held against what happened; and
reports of others that come in."""
import email
import email.policy
import gzip
import http.server
import io
import json
import re
import socket
import ssl
import threading
import time
import uuid
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest

from lab import base
from lab.signed_mail import Client, Key, txt

NS = "{urn:ietf:params:xml:ns:dmarc-2.0}"
DAY_S = 86400


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


def subject():
    return "r" + uuid.uuid4().hex[:12]


def letter(author, about, body="Hello!\r\n"):
    return (f"From: Bob <bob@{author}>\r\nTo: joe@x.example\r\nSubject: {about}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{about}@{author}>\r\n\r\n{body}").encode()


def attachment(message):
    """The one file of a report's message: name, media type, bytes."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    files = [p for p in parsed.walk() if p.get_filename()]
    assert len(files) == 1, parsed
    return parsed, files[0].get_filename(), files[0].get_content_type(), files[0].get_payload(decode=True)


def reports_list(server):
    return json.loads(server.must("reports", "list", "--json"))["waiting"]


@pytest.fixture(scope="module")
def key(lab):
    return Key(lab.subfolder("keys"), "reports")


@pytest.fixture
def make_server(lab, make_postrider):
    def make(domain=None, **sections):
        config = {"authentication": {"enabled": True}, "reports": {"jitter": "4h"}}
        for name, section in sections.items():
            config[name.replace("_", " ")] = {**config.get(name, {}), **section}
        return make_postrider(domain=domain or f"rep{uuid.uuid4().hex[:8]}.example", config=config)

    return make


class Author:
    """A domain that mail pretends to be from, with a DMARC record, its own mail server and a client that may send as it."""

    def __init__(self, lab, dns, key, peer, record, more=()):
        self.label = "a" + uuid.uuid4().hex[:8]
        self.domain = f"{self.label}.example"
        self.ip = lab.address()
        self.record = record.format(me=self.domain)
        dns.add(f"{self.label} MX 10 mx.{self.label}", f"mx.{self.label} A {peer.ip}", f"{self.label} TXT {txt(f'v=spf1 ip4:{self.ip} -all')}",
                f"_dmarc.{self.label} TXT {txt(self.record)}", f"s._domainkey.{self.label} TXT {txt(key.record())}",
                *[m.format(me=self.label) for m in more])


def send(server, source, sender, message, recipient="joe"):
    with Client(source, server.ip, server.mx_port) as client:
        return client.deliver(sender, f"{recipient}@{server.domain}", message)


# --- DMARC reports that leave ---

# What RFC 9990's schema (Appendix A) allows in each element, in order where it demands one; "?" may be missing, "*" may repeat.
SCHEMA = {
    "feedback": ["version", "report_metadata", "policy_published", "record*"],
    "report_metadata": {"org_name", "email", "extra_contact_info?", "report_id", "date_range", "error?", "generator?"},
    "date_range": {"begin", "end"},
    "policy_published": {"domain", "discovery_method?", "p", "sp?", "np?", "fo?", "adkim?", "aspf?", "testing?"},
    "record": ["row", "identifiers", "auth_results"],
    "row": ["source_ip", "count", "policy_evaluated"],
    "policy_evaluated": ["disposition", "dkim", "spf", "reason*"],
    "reason": {"type", "comment?"},
    "identifiers": {"header_from", "envelope_from?", "envelope_to?"},
    "auth_results": ["dkim*", "spf*"],
    "auth_results/dkim": {"domain", "selector", "result", "human_result?"},
    "auth_results/spf": {"domain", "scope?", "result", "human_result?"},
}
WORDS = {
    "disposition": r"none|pass|quarantine|reject", "policy_evaluated/dkim": "pass|fail", "policy_evaluated/spf": "pass|fail",
    "p": "none|quarantine|reject", "sp": "none|quarantine|reject", "np": "none|quarantine|reject", "adkim": "r|s", "aspf": "r|s",
    "testing": "y|n", "discovery_method": "psl|treewalk", "scope": "mfrom", "version": r"1\.0", "begin": r"\d+", "end": r"\d+", "count": r"[1-9]\d*",
    "type": "local_policy|mailing_list|other|policy_test_mode|trusted_forwarder", "source_ip": r"[0-9a-f.:]+",
    "auth_results/dkim/result": "none|pass|fail|policy|neutral|temperror|permerror",
    "auth_results/spf/result": "none|pass|fail|softfail|policy|neutral|temperror|permerror", "fo": r"[01ds](:[01ds])*",
}


def check_schema(element, parent=""):
    """As the XSD would: names, order, how often; words of enumerations."""
    assert element.tag.startswith(NS), element.tag
    tag = element.tag[len(NS):]
    rule = SCHEMA.get(f"{parent}/{tag}", SCHEMA.get(tag) if len(element) or tag in SCHEMA and parent != "policy_evaluated" else None)
    if rule is None:
        path = [f"{parent}/{tag}", tag]
        words = next((WORDS[p] for p in path if p in WORDS), None)
        assert len(element) == 0 and (words is None or re.fullmatch(words, element.text or "")), f"{parent}/{tag}: {element.text}"
        return
    names = [child.tag[len(NS):] for child in element]
    known = {r.rstrip("?*"): r for r in rule}
    assert set(names) <= set(known), f"{tag}: {names}"
    for name, how in known.items():
        assert how.endswith("*") or names.count(name) == 1 or (how.endswith("?") and not names.count(name)), f"{tag}: {name} in {names}"
    if isinstance(rule, list):
        order = [list(known).index(n) for n in names]
        assert order == sorted(order), f"{tag}: order of {names}"
    for child in element:
        check_schema(child, f"{parent}/{tag}" if tag in ("dkim", "spf") else tag)


def read_aggregate(message):
    parsed, name, media_type, data = attachment(message)
    root = ElementTree.fromstring(gzip.decompress(data))
    check_schema(root)
    return parsed, name, media_type, root


def value(element, path):
    found = element.find("/".join(NS + part for part in path.split("/")))
    return None if found is None else found.text or ""


def rows(root):
    """{(ip, header_from): (count, disposition, dkim, spf)}"""
    out = {}
    for record in root.findall(NS + "record"):
        at = (value(record, "row/source_ip"), value(record, "identifiers/header_from"), value(record, "row/policy_evaluated/disposition"),
              value(record, "row/policy_evaluated/dkim"), value(record, "row/policy_evaluated/spf"))
        assert at not in out
        out[at] = (int(value(record, "row/count")), record)
    return out


def test_aggregate_report(lab, dns, key, make_server, make_peer):
    """Two that fail, three that pass by DKIM, one that passes by SPF: the report says so, comes to those who may have it, once."""
    peer, external, agreed = make_peer(), make_peer(), make_peer()
    number = uuid.uuid4().hex[:8]
    author = Author(lab, dns, key, peer,
                    "v=DMARC1; p=quarantine; sp=none; fo=1:d; adkim=s; rua=mailto:agg@{me}!10m,mailto:dmarc@ext%s.example,"
                    "mailto:dmarc@ok%s.example,mailto:tiny@{me}!1k,https://{me}/reports" % (number, number),
                    [f"ext{number} MX 10 mx.ext{number}", f"mx.ext{number} A {external.ip}", f"ok{number} MX 10 mx.ok{number}",
                     f"mx.ok{number} A {agreed.ip}", f"{{me}}.example._report._dmarc.ok{number} TXT v=DMARC1"])
    server = make_server()
    stranger = lab.address()
    for _ in range(2):
        assert send(server, stranger, f"bob@{author.domain}", letter(author.domain, subject())).startswith("250")
    for _ in range(3):
        message = key.sign(letter(author.domain, subject()), author.domain)
        assert send(server, stranger, "x@nowhere.example", message).startswith("250")
    assert send(server, author.ip, f"bob@{author.domain}", letter(f"{author.domain}", subject())).startswith("250")
    before = time.time()
    server.must("reports", "send", "--day", today())
    base.wait_for(lambda: peer.messages and agreed.messages, lambda: f"the reports; log:\n{server.log_text()[-3000:]}")
    base.wait_for(lambda: not reports_list(server), "an empty list")

    message = bytes(peer.messages[0].data)
    parsed, name, media_type, root = read_aggregate(message)
    assert media_type == "application/gzip" and parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["From"] == f"postmaster@{server.hostname}" and peer.messages[0].sender == f"postmaster@{server.hostname}"
    report_id = value(root, "report_metadata/report_id")
    assert re.fullmatch(r"[0-9a-z]+", report_id)
    assert " ".join(parsed["Subject"].split()) == f"Report Domain: {author.domain} Submitter: {server.hostname} Report-ID: <{report_id}>"
    begin, end = (int(value(root, f"report_metadata/date_range/{w}")) for w in ("begin", "end"))
    assert begin % DAY_S == 0 and begin <= before <= begin + 2 * DAY_S and begin < end < begin + DAY_S
    assert name == f"{server.hostname}!{author.domain}!{begin}!{end}!{report_id}.xml.gz"
    assert {p: value(root, f"policy_published/{p}") for p in ("domain", "p", "sp", "np", "adkim", "aspf", "fo", "testing")} == {
        "domain": author.domain, "p": "quarantine", "sp": "none", "np": "none", "adkim": "s", "aspf": "r", "fo": "1:d", "testing": "n"}
    found = rows(root)
    counts = {at: count for at, (count, _) in found.items()}
    assert counts == {(stranger, author.domain, "quarantine", "fail", "fail"): 2, (stranger, author.domain, "none", "pass", "fail"): 3,
                      (author.ip, author.domain, "none", "fail", "pass"): 1}
    signed = found[(stranger, author.domain, "none", "pass", "fail")][1]
    assert (value(signed, "auth_results/dkim/domain"), value(signed, "auth_results/dkim/selector"),
            value(signed, "auth_results/dkim/result")) == (author.domain, "s", "pass")
    assert value(signed, "auth_results/spf/domain") == "nowhere.example" and value(signed, "identifiers/envelope_from") == "nowhere.example"
    failed = found[(stranger, author.domain, "quarantine", "fail", "fail")][1]
    assert value(failed, "auth_results/spf/result") == "fail" and failed.find(f"{NS}auth_results/{NS}dkim") is None

    # The same file to all; none to whoever did not agree, or takes only small ones; and never twice.
    assert read_aggregate(bytes(agreed.messages[0].data))[3] is not None
    assert {r for m in peer.messages + agreed.messages for r in m.recipients} == {f"agg@{author.domain}", f"dmarc@ok{number}.example"}
    server.must("reports", "send", "--day", today())
    server.wait_log(r"event=report-not-wanted .*ext")
    server.wait_log(r"event=report-too-large .*tiny")
    server.wait_queue_empty()
    assert not external.messages and len(peer.messages) == len(agreed.messages) == 1


def test_override_and_signature(lab, dns, key, make_server, make_peer):
    """Test mode is told as the reason; an external receiver's own address at the same host takes the place of the one in the record; the message is
    signed with the key of our domain."""
    peer, receiver = make_peer(), make_peer()
    number = uuid.uuid4().hex[:8]
    author = Author(lab, dns, key, peer, f"v=DMARC1; p=reject; t=y; rua=mailto:old@ok{number}.example",
                    [f"ok{number} MX 10 mx.ok{number}", f"mx.ok{number} A {receiver.ip}",
                     f"*._report._dmarc.ok{number} TXT \"v=DMARC1; rua=mailto:new@ok{number}.example\""])
    server = make_server()
    made = json.loads(server.must("dkim", "new", server.domain, "--algorithm", "ed25519", "--json"))["keys"][0]
    server.must("dkim", "activate", server.domain, made["selector"])
    stranger = lab.address()
    assert send(server, stranger, f"bob@{author.domain}", letter(author.domain, subject())).startswith("250")
    server.must("reports", "send", "--day", today())
    base.wait_for(lambda: receiver.messages, lambda: f"the report; log:\n{server.log_text()[-3000:]}")
    assert receiver.messages[0].recipients == [f"new@ok{number}.example"]
    parsed, _, _, root = read_aggregate(bytes(receiver.messages[0].data))
    record = root.find(NS + "record")
    assert value(record, "row/policy_evaluated/disposition") == "quarantine"
    assert value(record, "row/policy_evaluated/reason/type") == "policy_test_mode"
    assert value(root, "policy_published/testing") == "y" and value(root, "policy_published/p") == "reject"
    assert f"d={server.domain}" in re.sub(r"\s", "", parsed["DKIM-Signature"])


def test_restart_and_unwanted(lab, dns, key, make_server, make_peer):
    """What was noted survives a restart; rows of domains that want no reports, or whose destination does not agree, go without a message."""
    peer, external = make_peer(), make_peer()
    number = uuid.uuid4().hex[:8]
    wanted = Author(lab, dns, key, peer, "v=DMARC1; p=none; rua=mailto:agg@{me}")
    silent = Author(lab, dns, key, peer, "v=DMARC1; p=none")
    elsewhere = Author(lab, dns, key, peer, f"v=DMARC1; p=none; rua=mailto:x@ext{number}.example",
                       [f"ext{number} MX 10 mx.ext{number}", f"mx.ext{number} A {external.ip}"])
    server = make_server()
    for author in (wanted, silent, elsewhere):
        assert send(server, author.ip, f"bob@{author.domain}", letter(author.domain, subject())).startswith("250")
    server.restart()
    assert {w["domain"] for w in reports_list(server)} == {wanted.domain, elsewhere.domain}
    assert {w["kind"] for w in reports_list(server)} == {"dmarc"} and {w["day"] for w in reports_list(server)} == {today()}
    server.must("reports", "send", "--day", today())
    base.wait_for(lambda: peer.messages, lambda: f"the report; log:\n{server.log_text()[-3000:]}")
    base.wait_for(lambda: not reports_list(server), "an empty list")
    server.wait_queue_empty()
    assert len(peer.messages) == 1 and not external.messages
    assert rows(read_aggregate(bytes(peer.messages[0].data))[3])[(wanted.ip, wanted.domain, "none", "fail", "pass")][0] == 1


def test_without_server_and_bad_days(make_server):
    server = make_server()
    assert server.cli("reports", "send", "--day", "2999-01-01").returncode == 65
    assert "2026-11-23" in server.cli("reports", "send", "--day", "yesterday").stderr
    assert server.cli("dmarc", "report").returncode == 64
    assert server.cli("dmarc", "report", server.domain, "--days", "0").returncode == 64
    assert "Nobody reported" in server.must("dmarc", "report", server.domain)
    server.stop()
    assert "does not run" in server.cli("reports", "send").stderr


# --- reports that come in ---


def aggregate_xml(domain, report_id, sources, organization="Sender & Co"):
    records = "".join(
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition>"
        f"<dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers>"
        f"<auth_results><dkim><domain>{signer}</domain><selector>s</selector><result>pass</result></dkim><spf><domain>{domain}</domain>"
        f"<result>pass</result></spf></auth_results></record>" for ip, count, disposition, dkim, spf, signer in sources)
    now = int(time.time())
    return (f"<?xml version='1.0'?><feedback><report_metadata><org_name>{organization.replace('&', '&amp;')}</org_name><email>d@org.example</email>"
            f"<report_id>{report_id}</report_id><date_range><begin>{now - DAY_S}</begin><end>{now}</end></date_range></report_metadata>"
            f"<policy_published><domain>{domain}</domain><p>reject</p></policy_published>{records}</feedback>").encode()


def with_file(domain, data, name, media_type):
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "d@org.example", f"reports@{domain}", subject()
    message.set_content("See the file.")
    message.add_attachment(data, maintype=media_type.split("/")[0], subtype=media_type.split("/")[1], filename=name)
    return message.as_bytes(policy=email.policy.SMTP)


def zipped(data, name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def here(make_postrider):
    domain = f"in{uuid.uuid4().hex[:8]}.example"
    return make_postrider(domain=domain, accounts={"reports": "x", "joe": "y"},
                          config={"reports": {"mailbox": f"reports@{domain}"}, "limits": {"inline_body": "64K"}})


def report(server, domain=None, *more):
    return json.loads(server.must("dmarc", "report", domain or server.domain, "--json", *more))


def test_reports_come_in(lab, here):
    domain = here.domain
    sources = [("192.0.2.1", 10, "none", "pass", "fail", domain), ("198.51.100.7", 90, "reject", "fail", "fail", "bad.example")]
    one = aggregate_xml(domain, "one", sources)
    two = aggregate_xml(domain, "two", [("192.0.2.1", 5, "none", "fail", "pass", domain), ("2001:db8::1", 1, "none", "pass", "pass", domain)])
    source = lab.address()
    mails = [with_file(domain, gzip.compress(one), f"org!{domain}!1!2.xml.gz", "application/gzip"),
             with_file(domain, gzip.compress(one), f"org!{domain}!1!2.xml.gz", "application/gzip"),  # once more
             with_file(domain, zipped(two, f"org!{domain}!1!2.xml"), "report.zip", "application/zip"),
             with_file(domain, gzip.compress(aggregate_xml("foreign.example", "x", sources)), "x.xml.gz", "application/gzip"),
             with_file(domain, gzip.compress(one)[:-20], "broken.xml.gz", "application/gzip"),
             letter("org.example", subject())]
    for mail in mails:
        assert send(here, source, "d@org.example", mail, "reports").startswith("250")
    # As usual in the mailbox, all of them.
    here.wait_mail("reports", len(mails))
    base.wait_for(lambda: report(here)["messages"] == 106, lambda: f"the rows; has {report(here)}; log:\n{here.log_text()[-3000:]}")
    got = report(here)
    assert got["aligned"] == 16
    assert [(s["ip"], s["messages"], s["aligned"], s["dkim_aligned"], s["spf_aligned"], s["rejected"]) for s in got["sources"]] == [
        ("198.51.100.7", 90, 0, 0, 0, 90), ("192.0.2.1", 15, 15, 10, 5, 0), ("2001:db8::1", 1, 1, 1, 1, 0)]
    assert got["sources"][0]["dkim_domain"] == "bad.example"
    assert [(r["organization"], r["reports"], r["messages"]) for r in got["reporters"]] == [("Sender & Co", 2, 106)]
    here.wait_log(r"event=report-not-read .*not ours")
    here.wait_log(r"event=report-not-read .*damaged")
    text = here.must("dmarc", "report", domain)
    assert "106 messages, 16 of them aligned" in text and "198.51.100.7" in text and "Sender & Co" in text
    # They are kept when the server does not run.
    here.stop()
    assert report(here)["messages"] == 106 and report(here, "foreign.example")["messages"] == 0
    here.start()


def test_large_report_and_bombs(lab, here):
    """One beyond inline_body is read from its spool file; what would grow without end, or has a document type, is not read; the server lives on."""
    domain, source = here.domain, lab.address()
    many = aggregate_xml(domain, "many", [(f"10.{i // 250}.{i % 250}.1", 1, "none", "pass", "pass", domain) for i in range(3000)])
    bomb = gzip.compress(b"<feedback>" + b" " * 200_000_000)
    entities = (b"<?xml version='1.0'?><!DOCTYPE feedback [<!ENTITY a 'aaaaaaaaaaaaaaaa'>" +
                b"".join(b"<!ENTITY %c '&%c;&%c;&%c;&%c;'>" % (98 + i, *([97 + i] * 4)) for i in range(12)) +
                f"]><feedback><policy_published><domain>{domain}</domain><p>&m;</p></policy_published></feedback>".encode())
    for data, name in ((many, "many.xml"), (bomb, "bomb.xml.gz"), (entities, "entities.xml")):
        assert send(here, source, "d@org.example", with_file(domain, data, name, "application/octet-stream"), "reports").startswith("250")
    here.wait_mail("reports", 3)
    base.wait_for(lambda: report(here)["messages"] == 3000, lambda: f"the rows; log:\n{here.log_text()[-3000:]}")
    here.wait_log(r"event=report-not-read .*document type")
    here.wait_log(r"event=report-not-read .*too large")
    assert len(report(here)["sources"]) == 500 and report(here)["source_count"] == 3000
    assert "and 2500 further addresses" in here.must("dmarc", "report", domain)
    base.wait_for(lambda: not here.spool_files(), "no spool files")


def test_failure_and_tls_reports_come_in(lab, here):
    domain, source = here.domain, lab.address()
    failure = (f"From: <d@org.example>\r\nTo: <reports@{domain}>\r\nSubject: failure\r\nMIME-Version: 1.0\r\n"
               "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA failure.\r\n"
               "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\nAuth-Failure: dmarc\r\n"
               f"Source-IP: 203.0.113.5\r\nOriginal-Mail-From: <x@bad.example>\r\nReported-Domain: {domain}\r\nDelivery-Result: reject\r\n"
               "Arrival-Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nIncidents: 4\r\n\r\n"
               f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: boss@{domain}\r\nMessage-ID: <1@{domain}>\r\n--b--\r\n").encode()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tls = {"organization-name": "Org", "date-range": {"start-datetime": now, "end-datetime": now}, "contact-info": "d@org.example", "report-id": "t1",
           "policies": [{"policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": domain},
                         "summary": {"total-successful-session-count": 50, "total-failure-session-count": 3},
                         "failure-details": [{"result-type": "certificate-expired", "receiving-mx-hostname": f"mail.{domain}",
                                              "receiving-ip": "192.0.2.5", "failed-session-count": 3}]}]}
    assert send(here, source, "d@org.example", failure, "reports").startswith("250")
    for _ in range(2):
        mail = with_file(domain, gzip.compress(json.dumps(tls).encode()), f"org!{domain}!1!2.json.gz", "application/tlsrpt+gzip")
        assert send(here, source, "d@org.example", mail, "reports").startswith("250")

    def failures():
        return json.loads(here.must("dmarc", "failures", domain, "--json"))["failures"]

    def tls_sums():
        return json.loads(here.must("reports", "tls", domain, "--json"))

    base.wait_for(lambda: failures() and tls_sums()["reporters"], lambda: f"both; log:\n{here.log_text()[-3000:]}")
    got = failures()[0]
    assert (got["ip"], got["mail_from"], got["header_from"], got["failure"], got["delivery_result"], got["incidents"], got["reporter"]) == (
        "203.0.113.5", "x@bad.example", f"boss@{domain}", "dmarc", "reject", 4, "org.example")
    assert "203.0.113.5" in here.must("dmarc", "failures", domain)
    here.wait_log(r"event=report-received kind=tls .*new=no")
    sums = tls_sums()
    assert sums["reporters"] == [{"organization": "Org", "policy_type": "sts", "successes": 50, "failures": 3, "last_s": sums["reporters"][0]["last_s"]}]
    assert sums["failures"][0]["result"] == "certificate-expired" and sums["failures"][0]["sessions"] == 3
    assert "certificate-expired" in here.must("reports", "tls", domain)


def test_from_one_to_the_other(lab, dns, key, make_server, make_postrider):
    """A forged message at one server; its report reaches the server of the domain that was forged, where `dmarc report` tells of it. Mail to the reports
    mailbox is not reported on itself."""
    label = "own" + uuid.uuid4().hex[:8]
    owner = make_postrider(domain=f"{label}.example", accounts={"reports": "x"},
                           config={"reports": {"mailbox": f"reports@{label}.example"}, "authentication": {"enabled": True}})
    server = make_server()
    dns.add(f"{label} MX 10 mail.{label}", f"mail.{label} A {owner.ip}", f"{label} TXT \"v=spf1 -all\"",
            f"_dmarc.{label} TXT \"v=DMARC1; p=quarantine; rua=mailto:reports@{label}.example\"",
            f"_dmarc.{server.domain.split('.')[0]} TXT \"v=DMARC1; p=none; rua=mailto:reports@{label}.example\"")
    stranger = lab.address()
    for _ in range(3):
        assert send(server, stranger, f"boss@{label}.example", letter(f"{label}.example", subject())).startswith("250")
    server.must("reports", "send", "--day", today())
    base.wait_for(lambda: report(owner)["messages"] == 3, lambda: f"the rows; log:\n{server.log_text()[-2000:]}\n{owner.log_text()[-2000:]}")
    got = report(owner)
    assert got["aligned"] == 0 and [(s["ip"], s["quarantined"]) for s in got["sources"]] == [(stranger, 3)]
    assert got["reporters"][0]["organization"] == server.hostname
    owner.restart()
    assert not reports_list(owner)


def test_alias_for_reports(lab, dns, key, make_postrider, make_peer):
    """Mail to the address for reports is not reported on, though it is an alias, or stands second among the recipients."""
    peer = make_peer()
    domain = f"al{uuid.uuid4().hex[:8]}.example"
    server = make_postrider(domain=domain, accounts={"joe": "x", "ann": "y"}, aliases=[("dmarc", f"joe@{domain}")],
                            config={"authentication": {"enabled": True}, "reports": {"mailbox": f"dmarc@{domain}"}})
    author = Author(lab, dns, key, peer, "v=DMARC1; p=none; rua=mailto:agg@{me}")
    for recipients in (["dmarc"], ["ann", "dmarc"]):
        with Client(author.ip, server.ip, server.mx_port) as client:
            to = [f"{r}@{domain}" for r in recipients]
            assert client.deliver(f"bob@{author.domain}", to, letter(author.domain, subject())).startswith("250")
    server.wait_mail("joe", 2)
    server.restart()
    assert not reports_list(server)
    # That of others is.
    assert send(server, author.ip, f"bob@{author.domain}", letter(author.domain, subject()), "ann").startswith("250")
    base.wait_for(lambda: reports_list(server), "the note")


# --- TLS reports that leave ---


class Collector:
    """An HTTPS server that takes reports; the first `refusals` requests get 503."""

    def __init__(self, ip, authority, name, refusals=0):
        self.posts = []
        certificate = authority.issue([name], [ip])
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.posts.append((self.path, dict(self.headers), body))
                self.send_response(503 if len(collector.posts) <= refusals else 201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in ip else socket.AF_INET

        self.server = Server((ip, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def submit(server, to):
    """Through the local socket, as a program of this machine."""
    done = server.cli("sendmail", "-f", f"joe@{server.domain}", to, input=f"From: joe@{server.domain}\nTo: {to}\nSubject: out\n\nhi\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["mail", "https", "https over IPv6"])
def test_tls_report(lab, dns, authority, make_server, make_peer, how):
    """Sessions with a server that has TLS and with one that lost it: counted by policy domain, sent to whom its record names."""
    server = make_server()
    label, number = "t" + uuid.uuid4().hex[:8], uuid.uuid4().hex[:8]
    certificate = authority.issue([f"mx.{label}.example"], [])
    peer, mailbox = make_peer(certificate=certificate), make_peer()
    is_v6 = how == "https over IPv6"
    collector = Collector("::1" if is_v6 else lab.address(), authority, f"rpt{number}.example", refusals=1)
    rua = f"mailto:tls@rpt{number}.example" if how == "mail" else f"https://rpt{number}.example:{collector.port}/v1?x=y"
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {peer.ip}", f"_smtp._tls.{label} TXT {txt('v=TLSRPTv1; rua=' + rua)}",
            f"rpt{number} MX 10 mx.rpt{number}", f"mx.rpt{number} A {mailbox.ip}", f"rpt{number} {'AAAA' if is_v6 else 'A'} {collector.server.server_address[0]}")
    try:
        submit(server, f"bob@{label}.example")
        base.wait_for(lambda: peer.messages, lambda: f"the message; log:\n{server.log_text()[-3000:]}")
        server.wait_queue_empty()
        base.wait_for(lambda: [w for w in reports_list(server) if w["kind"] == "tls" and w["domain"] == f"{label}.example"],
                      lambda: f"the note; has {reports_list(server)}")
        server.must("reports", "send", "--day", today())
        if how == "mail":
            base.wait_for(lambda: mailbox.messages, lambda: f"the report; log:\n{server.log_text()[-3000:]}")
            parsed, name, media_type, data = attachment(bytes(mailbox.messages[0].data))
            assert parsed.get_content_type() == "multipart/report" and parsed.get_param("report-type") == "tlsrpt"
            assert parsed["TLS-Report-Domain"] == f"{label}.example" and parsed["TLS-Report-Submitter"] == server.hostname
            assert media_type == "application/tlsrpt+gzip" and name.startswith(f"{server.hostname}!{label}.example!") and name.endswith(".json.gz")
        else:
            # Refused once, and tried again.
            server.wait_log(r"event=report-refused .*status=503")
            server.wait_log(r"event=reports-made .*left=1")
            assert [w for w in reports_list(server) if w["kind"] == "tls"]
            server.must("reports", "send", "--day", today())
            base.wait_for(lambda: len(collector.posts) == 2, lambda: f"the report; log:\n{server.log_text()[-3000:]}")
            path, headers, data = collector.posts[1]
            assert path == "/v1?x=y" and headers["Content-Type"] == "application/tlsrpt+gzip"
        base.wait_for(lambda: not [w for w in reports_list(server) if w["domain"] == f"{label}.example"], "nothing left")
        got = json.loads(gzip.decompress(data))
        assert got["organization-name"] == server.hostname and got["contact-info"] == f"postmaster@{server.hostname}" and got["report-id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", got["date-range"]["start-datetime"])
        assert [p["policy"]["policy-domain"] for p in got["policies"]] == [f"{label}.example"]
        assert got["policies"][0]["policy"]["policy-type"] == "no-policy-found"
        assert sum(p["summary"]["total-successful-session-count"] for p in got["policies"]) == 1
        assert sum(p["summary"]["total-failure-session-count"] for p in got["policies"]) == 0
    finally:
        collector.close()


def test_tls_failure_report(lab, dns, authority, make_server, make_peer):
    """A server without STARTTLS is told of, too: each address once, address literals never, and the report's own session is not reported on."""
    server = make_server()
    label = "f" + uuid.uuid4().hex[:8]
    peer = make_peer()
    dns.add(f"{label} MX 10 mx.{label}", f"mx.{label} A {peer.ip}", f"_smtp._tls.{label} TXT {txt(f'v=TLSRPTv1; rua=mailto:tls@{label}.example,mailto:x@[{peer.ip}],mailto:tls@{label}.example')}")
    submit(server, f"bob@{label}.example")
    base.wait_for(lambda: peer.messages, lambda: f"the message; log:\n{server.log_text()[-3000:]}")
    base.wait_for(lambda: reports_list(server), "the note")
    server.must("reports", "send", "--day", today())
    base.wait_for(lambda: len(peer.messages) == 2, lambda: f"the report; log:\n{server.log_text()[-3000:]}")
    got = json.loads(gzip.decompress(attachment(bytes(peer.messages[1].data))[3]))
    policy = got["policies"][0]
    assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
    detail = policy["failure-details"][0]
    assert detail["result-type"] == "starttls-not-supported" and detail["failed-session-count"] == 1
    assert detail["receiving-mx-hostname"] == f"mx.{label}.example" and detail["receiving-ip"] == peer.ip
    assert peer.messages[1].recipients == [f"tls@{label}.example"]
    server.wait_queue_empty()
    server.restart()  # what was noted is written
    assert not reports_list(server) and len(peer.messages) == 2

