"""Return addresses of our making: SRS for what is forwarded, signed ones for a stream's bounces; and what is counted of what comes back."""
import json
import re
import smtplib

import pytest

from lab import base


def send(server, sender, recipients, text="Subject: x\r\nFrom: a@sender.example\r\n\r\nhello\r\n"):
    with smtplib.SMTP(server.ip, server.mx_port, timeout=base.PATIENCE_S) as smtp:
        smtp.ehlo("client.example")
        return smtp.sendmail(sender, recipients, text)


def refused(server, sender, recipient):
    with smtplib.SMTP(server.ip, server.mx_port, timeout=base.PATIENCE_S) as smtp:
        smtp.ehlo("client.example")
        smtp.mail(sender)
        return smtp.rcpt(recipient)


def arrived(peer, count):
    base.wait_for(lambda: len(peer.messages) >= count, lambda: f"{count} messages; has {peer.messages}")
    return list(peer.messages)


def report(action, status, diagnostic, final):
    return ("From: mailer-daemon@far.example\r\nTo: x\r\nSubject: report\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.example\r\n\r\n"
            f"Final-Recipient: rfc822; {final}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {diagnostic}\r\n\r\n"
            "--b--\r\n")


def complaint(recipient):
    return ("From: fbl@far.example\r\nTo: x\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nSpam, they say.\r\n"
            "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n"
            f"Original-Rcpt-To: <{recipient}>\r\n\r\n"
            "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--b--\r\n")


def bounces(server, *options):
    return [json.loads(line) for line in server.must("bounces", "list", "--json", *options).splitlines()]


# What these tests are about is not whether strangers are who they say.
OPEN = {"authentication": {"enabled": False}}


@pytest.fixture
def forwarder(make_postrider, make_peer, make_domain):
    """An alias here leads to far; mail comes from near."""
    far, near = make_peer(), make_peer()
    far.domain, near.domain = make_domain("far", far), make_domain("near", near)
    server = make_postrider(domain="fwd.example", aliases=[("out", f"ann@{far.domain}")], config=OPEN)
    return server, far, near


def test_srs_there_and_back(forwarder):
    server, far, near = forwarder
    send(server, f"joe@{near.domain}", ["out@fwd.example"])
    message = arrived(far, 1)[0]
    assert re.fullmatch(rf"SRS0=[a-z2-7]{{6}}=[a-z2-7]{{2}}={re.escape(near.domain)}=joe@fwd\.example", message.sender), message.sender
    assert message.recipients == [f"ann@{far.domain}"]
    # A bounce to it goes on to joe.
    send(server, "", [message.sender], report("failed", "5.1.1", "550 5.1.1 unknown", f"ann@{far.domain}"))
    back = arrived(near, 1)[0]
    assert (back.sender, back.recipients) == ("", [f"joe@{near.domain}"])
    # Nobody else can use it, or another one.
    assert refused(server, "spam@spam.example", message.sender)[0] == 550
    assert refused(server, "", message.sender.replace("=joe@", "=ann@"))[0] == 550
    server.wait_queue_empty()


def test_srs_is_for_forwarded_mail_only(forwarder, make_peer, make_domain):
    server, far, near = forwarder
    with smtplib.SMTP(server.ip, server.submission_port, timeout=base.PATIENCE_S) as smtp:
        smtp.starttls()
        smtp.login("joe@fwd.example", "joe's password")
        smtp.sendmail("joe@fwd.example", [f"ann@{far.domain}", "out@fwd.example"], "Subject: mine\r\n\r\nx\r\n")
    assert {m.sender for m in arrived(far, 1)} == {"joe@fwd.example"}
    # The same when it is switched off.
    server.write_config(forwarding={"srs": False})
    server.reload()
    server.wait_log(r"event=reloaded")
    send(server, f"joe@{near.domain}", ["out@fwd.example"])
    base.wait_for(lambda: any(m.sender == f"joe@{near.domain}" for m in far.messages), "the message as it was")


def test_each_recipient_has_the_return_address_that_is_his(make_postrider, make_peer, make_domain):
    """Who is written to directly, and who is reached through aliases of two domains of ours, are at the same far domain: three transactions."""
    far, near = make_peer(), make_peer()
    far.domain, near.domain = make_domain("far", far), make_domain("near", near)
    server = make_postrider(domain="fwd.example", config={**OPEN, "listen mx": {"relay_from": ["127.0.0.0/8"]}},
                            aliases=[("out", f"ann@{far.domain}"), ("two", f"cy@{far.domain}"), ("two", f"di@{far.domain}")])
    server.must("domain", "add", "other.example")
    server.must("alias", "add", "out@other.example", f"eve@{far.domain}")
    sender = f"joe@{near.domain}"

    def check(recipients, expected):
        before = len(far.messages)
        send(server, sender, recipients)
        base.wait_for(lambda: sum(len(m.recipients) for m in far.messages[before:]) == sum(len(to) for _, to in expected), lambda: far.messages)
        found = sorted((m.sender.rpartition("=")[2] if m.sender.startswith("SRS0=") else m.sender, sorted(m.recipients))
                       for m in far.messages[before:])
        assert found == sorted((who, sorted(f"{name}@{far.domain}" for name in to)) for who, to in expected)
        server.wait_queue_empty()

    ours, others, own = "joe@fwd.example", "joe@other.example", sender
    check([f"bob@{far.domain}", "out@fwd.example"], [(own, ["bob"]), (ours, ["ann"])])
    check(["out@fwd.example", f"bob@{far.domain}"], [(own, ["bob"]), (ours, ["ann"])])
    check(["two@fwd.example", f"bob@{far.domain}", "out@other.example", "out@fwd.example", f"al@{far.domain}"],
          [(own, ["bob", "al"]), (ours, ["ann", "cy", "di"]), (others, ["eve"])])
    # Where they have the same return address they still share a transaction.
    server.write_config(forwarding={"domain": "other.example"}, **{"listen mx": {"relay_from": ["127.0.0.0/8"]}})
    server.reload()
    server.wait_log(r"event=reloaded")
    check(["out@fwd.example", "out@other.example"], [(others, ["ann", "eve"])])


@pytest.fixture
def newsletter(make_postrider, make_peer, make_domain):
    far = make_peer()
    far.domain = make_domain("far", far)
    config = {**OPEN, "stream news": {"senders": ["news@shop.example"], "bounces": "signed"}}
    server = make_postrider(domain="shop.example", accounts={"news": "secret", "boss": "secret"}, config=config)
    return server, far


def submit(server, account, recipients):
    with smtplib.SMTP(server.ip, server.submission_port, timeout=base.PATIENCE_S) as smtp:
        smtp.starttls()
        smtp.login(f"{account}@shop.example", "secret")
        smtp.sendmail(f"{account}@shop.example", recipients, f"Subject: from {account}\r\nFrom: {account}@shop.example\r\n\r\nx\r\n")


def test_signed_bounces(newsletter):
    server, far = newsletter
    recipients = [f"a@{far.domain}", f"b@{far.domain}"]
    submit(server, "news", recipients)
    copies = {m.recipients[0]: m.sender for m in arrived(far, 2)}
    assert sorted(copies) == recipients and len(set(copies.values())) == 2
    for sender in copies.values():
        assert re.fullmatch(r"news\+bounce-[0-9a-z]{13}-\d+-[a-z2-7]{6}@shop\.example", sender), sender
    server.wait_queue_empty()
    # The report says something of somebody else: only the address it came to counts.
    send(server, "", [copies[recipients[1]]], report("failed", "5.1.1", "550 5.1.1 User unknown", "victim@else.example"))
    server.wait_mail("news", 1, "report")
    found = base.wait_for(lambda: bounces(server), "the bounce in the list")
    assert [(f["address"], f["hard"], f["soft"], f["complaints"], f["last_class"]) for f in found] == [
        (recipients[1], 1, 0, 0, "bad-mailbox")]
    message_id = re.search(r"bounce-(\w+)-", copies[recipients[1]]).group(1)
    events = base.wait_for(lambda: [e for e in server.trace(message_id)["events"] if e["event"] == "bounced"], "the event in the trace")
    assert json.dumps(events[0]).count(recipients[1]) == 1 and "bad-mailbox" in json.dumps(events[0])
    # A complaint, and a report of a mere delay.
    send(server, "fbl@far.example", [copies[recipients[0]]], complaint("redacted"))
    server.wait_mail("news", 1, "complaint")
    base.wait_for(lambda: any(f["address"] == recipients[0] and f["complaints"] == 1 for f in bounces(server)), "the complaint")
    send(server, "", [copies[recipients[0]]], report("delayed", "4.2.2", "452 4.2.2 full", recipients[0]))
    server.wait_mail("news", 2, "report")
    assert bounces(server, "--hard") == [f for f in bounces(server) if f["hard"]]
    # Addresses that we did not sign are nobody's.
    forged = copies[recipients[0]].replace("-0-", "-7-").replace("-1-", "-7-")
    assert refused(server, "", forged)[0] == 550
    server.must("bounces", "forget", recipients[1].upper())
    assert server.cli("bounces", "show", recipients[1]).returncode != 0
    # Mail of the team goes with its own address.
    submit(server, "boss", recipients)
    assert base.wait_for(lambda: [m for m in far.messages if m.sender == "boss@shop.example"], "the boss's mail")[0].recipients == recipients


def test_refusals_are_counted(newsletter):
    server, far = newsletter
    far.script["RCPT"] = lambda session, argument: ("550 5.1.1 User unknown" if "gone" in argument else
                                                    "552 5.2.2 Mailbox full" if "full" in argument else None)
    submit(server, "boss", [f"gone@{far.domain}", f"full@{far.domain}", f"fine@{far.domain}"])
    server.wait_queue_empty()
    found = {f["address"].split("@")[0]: f for f in base.wait_for(lambda: len(bounces(server)) == 2 and bounces(server), "two bounces")}
    assert (found["gone"]["hard"], found["gone"]["last_class"]) == (1, "bad-mailbox")
    assert (found["full"]["hard"], found["full"]["soft"], found["full"]["last_class"]) == (0, 1, "full")
    text = server.must("bounces", "show", f"gone@{far.domain}")
    assert "hard 1" in text and "550 5.1.1 User unknown" in text
    assert re.search(r"event=failed.*class=bad-mailbox", server.log_text())
