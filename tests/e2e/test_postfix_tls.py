"""Postfix at the other end, with TLS that is verified: by authority, by DANE, and by Postfix itself when it sends to us."""
import smtplib
import uuid

import pytest

from lab import base, postfix as lab_postfix
from test_transport_security import tlsa

pytestmark = pytest.mark.skipif(not lab_postfix.available(), reason="Postfix needs root to be started")


@pytest.fixture(scope="module")
def secure_postfix(lab, authority, dns):
    """Its host is mx.pfdane.signed, and its certificate says so; it sends only to servers whose certificate is for mail.pfhere.example."""
    names = []
    issue = authority.issue

    def remember(*arguments, **more):
        names.append(issue(*arguments, **more))
        return names[-1]

    authority.issue = remember
    try:
        server = lab_postfix.Postfix(lab, authority, hostname="mx.pfdane.signed",
                                     extra={"smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "mail.pfhere.example"})
    finally:
        authority.issue = issue
    server.certificate = names[0][0]
    dns.add("pfdane MX 10 mx.pfdane", f"mx.pfdane A {server.ip}", "pfother MX 10 mx.pfdane",
            f"_{lab.port(25)}._tcp.mx.pfdane TLSA {tlsa(server.certificate)}", zone="signed.")
    yield server
    server.stop()


@pytest.fixture
def here(make_postrider):
    return make_postrider(domain="pfhere.example", accounts={"joe": "joe"}, config={
        "destination dane": {"domains": ["pfdane.signed"], "tls": "dane"},
        "destination verify": {"domains": ["pfother.signed"], "tls": "verify"}})


def submit(server, recipient):
    about = uuid.uuid4().hex
    with smtplib.SMTP(server.ip, server.submission_port, timeout=base.PATIENCE_S) as smtp:
        smtp.starttls()
        smtp.login("joe@pfhere.example", "joe")
        smtp.sendmail("joe@pfhere.example", [recipient], f"Subject: {about}\r\nFrom: joe@pfhere.example\r\n\r\nx\r\n")
    return about


@pytest.mark.parametrize("domain", ["pfdane.signed", "pfother.signed"])
def test_to_postfix(here, secure_postfix, domain):
    user = f"u{uuid.uuid4().hex[:8]}@{domain}"
    about = submit(here, user)
    [mail] = secure_postfix.wait_mail(user)
    assert mail["Subject"] == about
    assert "using TLSv1.3" in mail.get_all("Received")[0]


def test_to_postfix_with_another_key(here, secure_postfix, dns, lab, authority):
    """The same host under a name whose TLSA record is another key's: nothing is sent."""
    other = authority.issue(["mx.pfwrong.signed"])[0]
    dns.add("pfwrong MX 10 mx.pfwrong", f"mx.pfwrong A {secure_postfix.ip}", f"_{lab.port(25)}._tcp.mx.pfwrong TLSA {tlsa(other)}", zone="signed.")
    user = f"u{uuid.uuid4().hex[:8]}@pfwrong.signed"
    submit(here, user)
    here.wait_log(rf"event=deferred .*to={user} .*no TLSA record matches its certificate")
    assert not secure_postfix.mailbox(user)


def test_from_postfix_that_verifies(here, secure_postfix):
    secure_postfix.route("pfhere.example", here.ip, here.mx_port)
    about = uuid.uuid4().hex
    with smtplib.SMTP(secure_postfix.ip, secure_postfix.port, timeout=base.PATIENCE_S) as smtp:
        smtp.sendmail("bob@pfdane.signed", ["joe@pfhere.example"], f"Subject: {about}\r\nFrom: bob@pfdane.signed\r\n\r\nx\r\n")
    here.wait_mail("joe", 1, about)
    assert "Verified TLS connection established to" in base.read_text(secure_postfix.log)
