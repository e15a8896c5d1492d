"""What `listen https` tells a mail program is true: it reads the file, then submits a message to the server that is named there."""
import http.client
import smtplib
import ssl
import uuid
import xml.etree.ElementTree as ElementTree

import pytest

from lab import base
from lab.postrider import make_readable

HTTPS_PORT = 10443


@pytest.fixture
def provider(make_postrider, lab, authority):
    domain, ip = f"auto{uuid.uuid4().hex[:8]}.example", lab.address()
    certificate, key = authority.issue([f"mail.{domain}", f"autoconfig.{domain}", domain], [ip])
    make_readable(key)
    server = make_postrider(domain=domain, ip=ip, config={
        "tls": {"certificate": certificate, "key": key}, "listen https": {"address": f"{ip}:{HTTPS_PORT}"},
        "clients": {"imap": f"imap.{domain}:1993", "display_name": "Über <Post> & Co"}})
    base.wait_for_port(ip, HTTPS_PORT, "listen https")
    return server


def fetch(server, authority, host, path, method="GET"):
    context = ssl.create_default_context(cafile=authority.ca)
    connection = http.client.HTTPSConnection(server.ip, HTTPS_PORT, context=context, timeout=20)
    # The certificate of the name that a program would have asked DNS for.
    connection.connect = lambda: setattr(connection, "sock", context.wrap_socket(
        connection._create_connection((server.ip, HTTPS_PORT), 20), server_hostname=host))
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), answer.read()


def test_a_program_finds_its_servers(provider, authority):
    d = provider.domain
    status, kind, text = fetch(provider, authority, f"autoconfig.{d}", f"/mail/config-v1.1.xml?emailaddress=joe%40{d}")
    assert (status, kind) == (200, "text/xml; charset=utf-8")
    assert fetch(provider, authority, d, "/.well-known/autoconfig/mail/config-v1.1.xml")[2] == text
    assert fetch(provider, authority, d, "/.well-known/autoconfig/mail/config-v1.1.xml", "HEAD") == (200, kind, b"")
    root = ElementTree.fromstring(text)
    assert root.tag == "clientConfig" and root.get("version") == "1.1"
    only = root.find("emailProvider")
    assert only.get("id") == only.findtext("domain") == d and only.findtext("displayName") == "Über <Post> & Co"
    reading = only.findall("incomingServer")
    assert [(s.get("type"), s.findtext("hostname"), s.findtext("port"), s.findtext("socketType")) for s in reading] == \
        [("imap", f"imap.{d}", "1993", "SSL")]
    sending = only.findall("outgoingServer")
    assert [(s.findtext("port"), s.findtext("socketType")) for s in sending] == \
        [(str(provider.submissions_port), "SSL"), (str(provider.submission_port), "STARTTLS")]
    context = ssl.create_default_context(cafile=authority.ca)
    for server in sending:
        assert server.findtext("hostname") == provider.hostname and server.findtext("authentication") == "password-cleartext"
        login = server.findtext("username").replace("%EMAILADDRESS%", f"joe@{d}")
        implicit = server.findtext("socketType") == "SSL"
        kind = smtplib.SMTP_SSL if implicit else smtplib.SMTP
        with kind(provider.ip, int(server.findtext("port")), timeout=20, **({"context": context} if implicit else {})) as smtp:
            if not implicit:
                smtp.starttls(context=context)
            smtp.login(login, "joe's password")
            about = uuid.uuid4().hex
            smtp.sendmail(f"joe@{d}", [f"joe@{d}"], f"From: joe@{d}\r\nSubject: {about}\r\n\r\nx\r\n")
        provider.wait_mail("joe", subject=about)


def test_nothing_to_tell(provider, authority):
    d = provider.domain
    assert fetch(provider, authority, f"mail.{d}", "/mail/config-v1.1.xml")[0] == 404
    assert fetch(provider, authority, f"autoconfig.{d}", "/mail/config-v1.1.xml", "POST")[0] == 405
    provider.write_config(clients=None)
    provider.must("reload")
    assert fetch(provider, authority, f"autoconfig.{d}", "/mail/config-v1.1.xml")[0] == 404
