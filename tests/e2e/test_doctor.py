"""`postrider dns` prints what a domain needs; once that is published, `postrider doctor` finds nothing wrong with it; and it finds what is."""
import json
import re

import pytest


def records(server):
    text = server.must("dns", server.domain)
    return [line for line in text.splitlines() if line and not line.startswith(";")]


def examine(server, *options):
    done = server.cli("doctor", server.domain, "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert (done.returncode == 1) == (result["worst"] == "failure")
    return result["findings"]


def findings(found, topic, level):
    return [f["text"] for f in found if f["topic"] == topic and f["level"] == level]


@pytest.fixture
def doc(make_postrider, dns, lab):
    number = lab.address().rsplit(".", 1)[1]
    server = make_postrider(domain=f"doc{number}.example", accounts={"joe": "secret", "reports": "secret"},
                            config={"reports": {"mailbox": f"reports@doc{number}.example"}})
    dns.add(f"mail.doc{number} A {server.ip}")
    return server


def test_published_as_printed(doc, dns):
    doc.must("dkim", "new", doc.domain)
    printed = records(doc)
    assert [line.split()[3] for line in printed if line.startswith(doc.domain + ". ")] == ["MX", "TXT"]
    assert sum("_domainkey" in line for line in printed) == 2
    assert any(re.match(rf"_25\._tcp\.mail\.{doc.domain}\. 3600 IN TLSA 3 1 1 [0-9a-f]{{64}}$", line) for line in printed)
    dns.add(*printed)
    found = examine(doc)
    # The lab has no zone for addresses: that is the one thing to be found wrong.
    assert {f["topic"] for f in found if f["level"] == "failure"} == {"ptr"}, found
    assert "has no name (PTR)" in findings(found, "ptr", "failure")[0]
    assert findings(found, "mx", "ok") and "1 host" in findings(found, "mx", "ok")[0]
    assert any("220" in text or "ESMTP" in text for text in findings(found, "mx", "ok"))
    assert "valid for its name" in findings(found, "tls", "ok")[0]
    assert "passes" in findings(found, "spf", "ok")[0]
    assert len(findings(found, "dkim", "ok")) == 2
    assert "p=none" in findings(found, "dmarc", "ok")[0]
    assert findings(found, "tlsrpt", "ok") == ["TLS reports are asked for"]
    # example. is not signed: the record is there, and nobody may believe it.
    assert "not signed" in findings(found, "dane", "note")[0]
    # For people: a line each, with what to publish.
    text = doc.cli("doctor", doc.domain, "--dns-only").stdout
    assert re.search(r"^failure  ptr ", text, re.M) and re.search(r"^ok       spf ", text, re.M)


def test_nothing_published(doc):
    doc.must("dkim", "new", doc.domain)
    found = examine(doc, "--dns-only")
    failed = {f["topic"]: f for f in found if f["level"] == "failure"}
    assert {"mx", "spf", "dmarc"} <= set(failed)
    # What to publish is what `postrider dns` prints.
    printed = records(doc)
    for topic in ("mx", "spf", "dmarc"):
        assert failed[topic].get("publish") in printed, failed[topic]
    # A new key that is not published yet does not sign, so nothing is lost: a warning.
    assert len(findings(found, "dkim", "warning")) == 2


def test_what_is_wrong(doc, dns, make_peer):
    label = doc.domain.split(".")[0]
    other = make_peer()
    dns.add(f"{label} MX 10 mx.other.{label}", f"mx.other.{label} A {other.ip}",
            f'{label} TXT "v=spf1 include:nowhere.example +all"', f'_dmarc.{label} TXT "v=DMARC1; p=oops"',
            f'_mta-sts.{label} TXT "v=STSv1; id=a; id=b"')
    found = examine(doc)
    assert any("not to this server" in t for t in findings(found, "mx", "failure"))
    assert any("+all" in t for t in findings(found, "spf", "failure"))
    assert any("can't be followed (permerror)" in t for t in findings(found, "spf", "failure")), found
    assert findings(found, "dmarc", "failure"), found
    assert any("no STARTTLS" in t for t in findings(found, "tls", "failure")), found
    assert any("has no key" in t for t in findings(found, "dkim", "failure"))


def test_mail_programs(doc, dns):
    """Where to read mail is told only when it is known; then by SRV and, with `listen https`, by autoconfig."""
    printed = records(doc)
    for service in ("imaps", "pop3s"):
        assert f"_{service}._tcp.{doc.domain}. 3600 IN SRV 0 0 0 ." in printed
    assert not any("autoconfig" in line for line in printed)
    assert not any("imaps" in f["text"] for f in examine(doc, "--dns-only"))
    doc.write_config(clients={"imap": f"imap.{doc.domain}:1993"}, **{"listen https": {"address": f"{doc.ip}:10443"}})
    printed = records(doc)
    wanted = {f"_imaps._tcp.{doc.domain}. 3600 IN SRV 0 1 1993 imap.{doc.domain}.", f"_pop3s._tcp.{doc.domain}. 3600 IN SRV 0 0 0 .",
              f"autoconfig.{doc.domain}. 3600 IN CNAME {doc.hostname}."}
    assert wanted <= set(printed), printed
    missing = {f["text"].split()[-4]: f for f in examine(doc, "--dns-only") if f["topic"] == "clients"}
    names = {f"{name}.{doc.domain}" for name in ("_submissions._tcp", "_submission._tcp", "_imaps._tcp", "autoconfig")}
    assert set(missing) == names
    assert all(f["level"] == "note" and f["publish"] in printed for f in missing.values()), missing
    dns.add(*printed)
    found = examine(doc, "--dns-only")
    assert set(findings(found, "clients", "ok")) == {f"{name} is published" for name in names}


def test_alignment(doc, dns):
    """What a stream signs for, and its signed return addresses, must count as the domain to DMARC."""
    label = doc.domain.split(".")[0]
    other = f"x{label}.example"
    doc.write_config(bounces={"domain": f"b.{doc.domain}"}, **{
        "stream own": {"dkim_domain": f"news.{doc.domain}", "senders": f"@{doc.domain}", "bounces": "signed"},
        "stream foreign": {"dkim_domain": other, "accounts": f"shop@{doc.domain}"},
        "stream others": {"dkim_domain": other, "senders": [f"@{other}"]}})
    dns.add(f'_dmarc.{label} TXT "v=DMARC1; p=none; rua=mailto:a@{doc.domain}"')
    found = examine(doc, "--dns-only")
    good, bad = findings(found, "dmarc", "ok"), findings(found, "dmarc", "warning")
    assert any("stream own" in t and "DKIM is aligned" in t for t in good) and any("SPF is aligned" in t for t in good), found
    assert len(bad) == 1 and "Stream foreign" in bad[0] and "does not count as" in bad[0], found
    # A subdomain is not enough for a record that is strict.
    dns.add(f'_dmarc.{label}2 TXT "v=DMARC1; p=none; rua=mailto:a@{doc.domain}; adkim=s; aspf=s"')
    doc.must("domain", "add", f"{label}2.example")
    doc.write_config(bounces={"domain": f"b.{label}2.example"}, **{
        "stream own": {"dkim_domain": f"news.{label}2.example", "senders": None}, "stream foreign": None, "stream others": None})
    done = json.loads(doc.cli("doctor", f"{label}2.example", "--json", "--dns-only").stdout)["findings"]
    bad = findings(done, "dmarc", "warning")
    assert len(bad) == 2 and any("adkim=s" in t for t in bad) and any("aspf=s" in t for t in bad), done


def test_block_lists(doc, dns):
    a, b, c, d = doc.ip.split(".")
    doc.write_config(dns={"block_lists": ["list.example", "clean.example"]})
    dns.add(f"{d}.{c}.{b}.{a}.list A 127.0.0.2")
    found = examine(doc, "--dns-only")
    assert any("is on the list list.example" in t for t in findings(found, "block-list", "failure")), found
    assert any("is not on clean.example" in t for t in findings(found, "block-list", "ok"))


def test_arguments(doc):
    for words in (["dns"], ["doctor"], ["dns", "a", "b"], ["doctor", "-"]):
        done = doc.cli(*words)
        assert done.returncode == 64 or done.returncode == 65, (words, done)
        assert done.stderr.startswith("postrider: "), done.stderr
    assert "no valid domain" in doc.cli("dns", "under_score..example").stderr
