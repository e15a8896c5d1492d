"""Delivery status notifications: RFC 3461 asks, RFC 3464 answers, checked with Python's own parser."""
import uuid

import pytest

from lab import base
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


@pytest.fixture
def here(make_postrider):
    return make_postrider(domain="here.example", accounts={"joe": "joe"}, config=TRUSTED)


def send(server, recipient, parameters="", rcpt="", sender=None, body="the original body\r\n"):
    sender = server.full("joe") if sender is None else sender
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.expect(250, f"MAIL FROM:<{sender}> {parameters}".rstrip())
        wire.expect(250, f"RCPT TO:<{recipient}> {rcpt}".rstrip())
        assert wire.data(f"From: joe@here.example\r\nTo: {recipient}\r\nSubject: {about}\r\n\r\n{body}.\r\n").startswith("250")
    return about


def parts(report):
    """(human text, per-message fields, list of per-recipient fields, third part) of a report, after checking its shape."""
    assert report.get_content_type() == "multipart/report", report.as_string()
    assert report.get_param("report-type") == "delivery-status"
    assert not report.defects
    assert str(report["Auto-Submitted"]).startswith("auto-replied")
    assert report.raw.startswith(b"Return-Path: <>")
    assert report["From"] and report["To"] and report["Date"] and report["Message-ID"] and report["MIME-Version"]
    human, status, original = list(report.iter_parts())
    assert human.get_content_type() in ("text/plain", "multipart/alternative")
    assert status.get_content_type() == "message/delivery-status"
    blocks = status.get_payload()
    assert blocks[0]["Reporting-MTA"].startswith("dns;")
    for block in blocks[1:]:
        for field in ("Final-Recipient", "Action", "Status"):
            assert block[field], status.as_string()
    return human.get_content(), blocks[0], blocks[1:], original


def refusing(make_peer, make_domain, code="550 5.1.1 no such user here"):
    peer = make_peer(script={"RCPT": code})
    return make_domain("refuse", peer)


def test_failure(here, make_peer, make_domain):
    to = f"nobody@{refusing(make_peer, make_domain)}"
    about = send(here, to)
    [report] = here.wait_mail("joe")
    human, message, [recipient], original = parts(report)
    assert to in human and "no such user here" in human
    assert message["Arrival-Date"]
    assert recipient["Final-Recipient"] == f"rfc822; {to}" or recipient["Final-Recipient"] == f"rfc822;{to}"
    assert recipient["Action"] == "failed" and recipient["Status"] == "5.1.1"
    assert recipient["Diagnostic-Code"].replace("; ", ";").startswith("smtp;550 5.1.1 no such user here")
    assert recipient["Remote-MTA"].startswith("dns;")
    assert original.get_content_type() in ("message/rfc822", "message/global", "text/rfc822-headers")
    assert about in original.as_string()
    here.wait_queue_empty()


def test_full_or_headers_back(here, make_peer, make_domain):
    domain = refusing(make_peer, make_domain)
    for ret, kind, has_body in (("RET=FULL", "message/rfc822", True), ("RET=HDRS", "text/rfc822-headers", False)):
        about = send(here, f"x@{domain}", ret, body="the original body\r\n")
        report = base.wait_for(lambda: next((m for m in here.mailbox("joe") if about in m.as_string()), None), "the report")
        original = parts(report)[3]
        assert original.get_content_type() == kind
        assert ("the original body" in original.as_string()) == has_body


def test_envelope_id_and_original_recipient(here, make_peer, make_domain):
    to = f"x@{refusing(make_peer, make_domain)}"
    send(here, to, "RET=HDRS ENVID=id+2B42", "NOTIFY=FAILURE ORCPT=rfc822;Old+2BName@first.example")
    [report] = here.wait_mail("joe")
    _, message, [recipient], _ = parts(report)
    assert message["Original-Envelope-Id"] == "id+42"
    assert recipient["Original-Recipient"].replace("; ", ";") == "rfc822;Old+Name@first.example"


def test_notify_never_and_null_sender_get_nothing(here, make_peer, make_domain):
    domain = refusing(make_peer, make_domain)
    send(here, f"x@{domain}", rcpt="NOTIFY=NEVER")
    send(here, f"x@{domain}", sender="")
    send(here, f"x@{domain}", rcpt="NOTIFY=DELAY")
    about = send(here, f"x@{domain}")
    here.wait_queue_empty()
    [report] = here.wait_mail("joe")
    assert about in report.as_string()


def test_success(here):
    send(here, "joe@here.example", rcpt="NOTIFY=SUCCESS")
    report = base.wait_for(lambda: next((m for m in here.mailbox("joe") if m.get_content_type() == "multipart/report"), None), "the report")
    _, _, [recipient], original = parts(report)
    assert recipient["Action"] == "delivered" and recipient["Status"].startswith("2.")
    assert original.get_content_type() == "text/rfc822-headers"


def test_relayed_where_the_next_server_has_no_dsn(here, make_peer, make_domain):
    peer = make_peer(extensions=("PIPELINING", "8BITMIME"))
    to = f"x@{make_domain('nodsn', peer)}"
    send(here, to, rcpt="NOTIFY=SUCCESS,FAILURE")
    [report] = here.wait_mail("joe")
    _, _, [recipient], _ = parts(report)
    assert recipient["Action"] == "relayed" and recipient["Status"].startswith("2.")
    assert peer.messages[0].rcpt_parameters == [""]


def test_dsn_requests_travel_on(here, make_peer, make_domain):
    peer = make_peer()
    to = f"x@{make_domain('dsn', peer)}"
    send(here, to, "RET=HDRS ENVID=abc", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@first.example")
    base.wait_for(lambda: peer.messages, "the message")
    [message] = peer.messages
    assert "RET=HDRS" in message.mail_parameters and "ENVID=abc" in message.mail_parameters
    assert "NOTIFY=SUCCESS,FAILURE" in message.rcpt_parameters[0] and "ORCPT=rfc822;first@first.example" in message.rcpt_parameters[0]
    here.wait_queue_empty()
    assert not here.mailbox("joe"), "the next server reports, not we"


def test_delay_warning_then_failure(make_postrider, make_peer, make_domain):
    """With short times in the configuration: a warning first, then the mail is given up."""
    server = make_postrider(accounts={"joe": "joe"}, config=dict(TRUSTED, queue={
        "retry_first": "200ms", "retry_max": "400ms", "warn_after": "1s", "expire": "6s"}))
    peer = make_peer(script={"RCPT": "450 4.2.1 try again later"})
    to = f"slow@{make_domain('slow', peer)}"
    send(server, to)
    first = server.wait_mail("joe")[0]
    human, _, [recipient], _ = parts(first)
    assert recipient["Action"] == "delayed" and recipient["Status"].startswith("4.")
    assert recipient["Will-Retry-Until"]
    assert to in human
    reports = server.wait_mail("joe", 2)
    _, _, [recipient], _ = parts(reports[1])
    assert recipient["Action"] == "failed" and "try again later" in recipient["Diagnostic-Code"]
    server.wait_queue_empty()
    assert len(server.mailbox("joe")) == 2, "one warning, one failure"


def test_bounce_to_a_remote_sender(here, postfix, make_peer, make_domain):
    sender = f"s{uuid.uuid4().hex[:8]}@remote.example"
    send(here, f"x@{refusing(make_peer, make_domain)}", sender=sender)
    [report] = postfix.wait_mail(sender)
    parts(report)


def test_report_that_cannot_be_delivered_ends(here, make_peer, make_domain):
    domain = refusing(make_peer, make_domain)
    send(here, f"x@{domain}", sender=f"gone@{domain}")
    here.wait_queue_empty()
    assert not here.mailbox("joe")
