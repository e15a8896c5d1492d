"""Smart hosts as people use them: each kind of login against a server that checks it, tokens that end, fallbacks, client certificates."""
import itertools
import os
import re
import smtplib
import uuid

import pytest

from lab import base
from lab.auth_peer import AuthPeer, TokenEndpoint, issue_client, token
from lab.certificates import Authority, tlsa
from lab.postrider import make_readable

ME = "me@client.example"
PASSWORD = "pass,word=1"
counter = itertools.count(1)


@pytest.fixture
def make_hub(lab, authority):
    """Smart hosts that check logins, with a certificate for their address."""
    made = []

    def make(signer=authority, **more):
        ip = lab.address()
        more.setdefault("passwords", {ME: PASSWORD})
        hub = AuthPeer(ip, lab.port(587), certificate=signer.issue(["hub.example"], [ip]), **more)
        made.append(hub)
        return hub

    yield make
    for hub in made:
        hub.close()


@pytest.fixture
def make_endpoint():
    made = []

    def make(*answers):
        made.append(TokenEndpoint(answers))
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.close()


@pytest.fixture
def secret(lab):
    """A file with a secret, which the server's user can read and write."""

    def make(text):
        path = lab.path(f"secret-{next(counter)}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        make_readable(path)
        return path

    return make


def section(hub, **more):
    return {"host": hub.ip, "port": hub.port, **more}


@pytest.fixture
def start(make_postrider):
    """A server that sends everything through the smart hosts given."""

    def make(**sections):
        config = {f"smarthost {name}": value for name, value in sections.items()}
        return make_postrider(domain="client.example", accounts={"me": "me"}, dns=None,
                              config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, **config})

    return make


def send(server, to="you@elsewhere.example", sender=ME):
    about = f"mail {next(counter)}"
    with smtplib.SMTP(server.ip, server.mx_port) as client:
        client.sendmail(sender, [to], f"From: {sender}\r\nTo: {to}\r\nSubject: {about}\r\n\r\nhello\r\n")
    return about


def wait_for_mail(hub, about):
    base.wait_for(lambda: any(f"Subject: {about}".encode() in m.data for m in hub.messages),
                  lambda: f"{about}; logins {hub.logins}, sessions {[s.commands for s in hub.sessions]}")


def wait_deferred(server, pattern):
    """Until a recipient waits for a reason like this; returns its message's id. The trace says the same."""

    def found():
        for message in server.queue_list("--deferred"):
            for recipient in message["recipients"]:
                if re.search(pattern, recipient.get("last_reply", "")):
                    return message["id"]
        return None

    identity = base.wait_for(found, lambda: f"/{pattern}/ in {server.queue_list()}; log:\n{server.log_text()[-3000:]}", step=0.2)
    base.wait_for(lambda: re.search(pattern, str(server.trace(identity))), lambda: f"/{pattern}/ in {server.trace(identity)}", step=0.2)
    return identity


def check_no_secrets(server, *secrets):
    for text in secrets:
        assert text not in server.log_text()
        assert text not in str(server.queue_list())


# --- passwords ---

@pytest.mark.parametrize("auth, offered, used", [
    ("any", ("LOGIN", "PLAIN", "SCRAM-SHA-256"), "SCRAM-SHA-256"),
    ("any", ("LOGIN", "PLAIN"), "PLAIN"),
    ("any", ("CRAM-MD5", "LOGIN"), "LOGIN"),
    ("login", ("LOGIN", "PLAIN", "SCRAM-SHA-256"), "LOGIN"),
    ("plain", ("LOGIN", "PLAIN", "SCRAM-SHA-256"), "PLAIN"),
    ("scram-sha-256", ("PLAIN", "SCRAM-SHA-256"), "SCRAM-SHA-256"),
])
def test_each_kind_of_password(start, make_hub, secret, auth, offered, used):
    hub = make_hub(mechanisms=offered)
    server = start(hub=section(hub, login=ME, password_file=secret(PASSWORD), auth=auth))
    for _ in range(2):
        wait_for_mail(hub, send(server))
    assert set(hub.logins) == {(used, ME)}
    assert all(m.tls for m in hub.messages)
    check_no_secrets(server, PASSWORD)


def test_the_kind_that_is_wanted_is_not_offered(start, make_hub, secret):
    hub = make_hub(mechanisms=("PLAIN", "LOGIN"))
    server = start(hub=section(hub, login=ME, password_file=secret(PASSWORD), auth="scram-sha-256"))
    send(server)
    wait_deferred(server, "offers no login by SCRAM-SHA-256")
    assert not hub.logins


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_is_told_in_words_and_mended(start, make_hub, secret, mechanism):
    hub = make_hub(mechanisms=(mechanism,))
    file = secret("wrong")
    server = start(hub=section(hub, login=ME, password_file=file))
    about = send(server)
    wait_deferred(server, f"451 4.7.8 Smart host hub refused the login of {ME}: 535 5.7.8 bad credentials")
    assert not hub.messages
    with open(file, "w", encoding="utf-8") as f:
        f.write(PASSWORD + "\n")
    server.reload()
    wait_for_mail(hub, about)
    server.wait_queue_empty()
    check_no_secrets(server, PASSWORD, "wrong\n")


@pytest.mark.parametrize("impostor, reason", [("guesses", "could not prove that it knows the password"), ("silent", "without proof")])
def test_a_server_that_does_not_know_the_password_gets_no_mail(start, make_hub, secret, impostor, reason):
    hub = make_hub(mechanisms=("SCRAM-SHA-256",), passwords={ME: "another one"}, impostor=impostor)
    server = start(hub=section(hub, login=ME, password_file=secret(PASSWORD)))
    send(server)
    wait_deferred(server, reason)
    assert not hub.messages


def test_no_password_without_tls(start, make_hub, secret):
    """STARTTLS is gone, as if somebody in between took it out."""
    hub = make_hub(mechanisms=("PLAIN",), clear=True)
    extensions = hub.extensions
    hub.extensions = lambda session: [e for e in extensions(session) if e != "STARTTLS"]
    server = start(hub=section(hub, login=ME, password_file=secret(PASSWORD)))
    send(server)
    wait_deferred(server, "TLS is required")
    assert not hub.logins


# --- tokens ---

def by_token(endpoint, secret, **more):
    return {"login": ME, "auth": "xoauth2", "oauth_token_url": endpoint.url, "oauth_client_id": "id-17",
            "oauth_client_secret_file": secret("client secret&"), **more}


def test_xoauth2_with_a_refresh_token(start, make_hub, make_endpoint, secret):
    endpoint = make_endpoint(token("token-1"))
    hub = make_hub(mechanisms=("PLAIN", "XOAUTH2"), token_is_good=lambda t: t == "token-1")
    server = start(hub=section(hub, **by_token(endpoint, secret, oauth_refresh_token_file=secret("1//refresh"),
                                               oauth_scope="https://mail.example/")))
    abouts = [send(server) for _ in range(10)]
    for about in abouts:
        wait_for_mail(hub, about)
    assert set(hub.logins) == {("XOAUTH2", ME)}
    # One request for all.
    assert endpoint.requests == [{"grant_type": "refresh_token", "refresh_token": "1//refresh", "client_id": "id-17",
                                  "client_secret": "client secret&", "scope": "https://mail.example/",
                                  "content-type": "application/x-www-form-urlencoded"}]
    check_no_secrets(server, "token-1", "1//refresh", "client secret")


def test_oauthbearer_with_client_credentials_and_a_long_token(start, make_hub, make_endpoint, secret):
    long = "e" * 2000 + "~+/-._=="
    endpoint = make_endpoint(token(long))
    hub = make_hub(mechanisms=("OAUTHBEARER", "XOAUTH2"), token_is_good=lambda t: t == long)
    server = start(hub=section(hub, **by_token(endpoint, secret, auth="oauthbearer")))
    wait_for_mail(hub, send(server))
    assert hub.logins == [("OAUTHBEARER", ME)]
    assert endpoint.requests[0]["grant_type"] == "client_credentials"
    assert "refresh_token" not in endpoint.requests[0]


def test_a_token_that_has_ended_is_renewed(start, make_hub, make_endpoint, secret):
    numbers = itertools.count(1)
    endpoint = make_endpoint(lambda _: token(f"token-{next(numbers)}", expires_in=0))
    hub = make_hub(mechanisms=("XOAUTH2",), token_is_good=lambda t: t.startswith("token-"))
    server = start(hub=section(hub, **by_token(endpoint, secret)))
    wait_for_mail(hub, send(server))
    base.wait_for(lambda: hub.sessions[0].ended.is_set(), "the first connection's end")
    wait_for_mail(hub, send(server))
    assert hub.tokens_seen == ["token-1", "token-2"]


def test_a_token_that_was_taken_back_is_renewed_at_once(start, make_hub, make_endpoint, secret):
    endpoint = make_endpoint(token("token-1"), token("token-2"))
    hub = make_hub(mechanisms=("XOAUTH2",), token_is_good=lambda t: t == "token-2")
    server = start(hub=section(hub, **by_token(endpoint, secret)))
    wait_for_mail(hub, send(server))
    assert hub.tokens_seen == ["token-1", "token-2"]
    assert not any(r.get("attempts", 0) > 1 for m in server.queue_list() for r in m["recipients"])


def test_a_token_that_is_never_liked_is_asked_for_once_more_only(start, make_hub, make_endpoint, secret):
    endpoint = make_endpoint(token("token-1"))
    hub = make_hub(mechanisms=("XOAUTH2",))
    server = start(hub=section(hub, **by_token(endpoint, secret)))
    server.write_config(queue={"retry_first": "1h", "retry_max": "1h"})
    server.restart()
    send(server)
    wait_deferred(server, r"Smart host hub refused the login .*535 5.7.8 bad credentials.*invalid_token")
    assert len(hub.tokens_seen) == 2 and len(endpoint.requests) == 2
    check_no_secrets(server, "token-1")


def test_a_refresh_token_that_is_replaced_is_kept(start, make_hub, make_endpoint, secret):
    endpoint = make_endpoint(token("token-1", expires_in=0, refresh_token="refresh-2"), token("token-2", expires_in=0))
    hub = make_hub(mechanisms=("XOAUTH2",), token_is_good=lambda t: True)
    file = secret("refresh-1")
    server = start(hub=section(hub, **by_token(endpoint, secret, oauth_refresh_token_file=file)))
    wait_for_mail(hub, send(server))
    base.wait_for(lambda: base.read_text(file) == "refresh-2\n", "the new refresh token in its file")
    base.wait_for(lambda: hub.sessions[0].ended.is_set(), "the first connection's end")
    wait_for_mail(hub, send(server))
    server.restart()
    wait_for_mail(hub, send(server))
    assert [r["refresh_token"] for r in endpoint.requests] == ["refresh-1", "refresh-2", "refresh-2"]
    assert os.stat(file).st_mode & 0o777 == 0o600
    check_no_secrets(server, "refresh-1", "refresh-2")


@pytest.mark.parametrize("answer, reason", [
    ((400, {"error": "invalid_grant", "error_description": "Token has been revoked."}),
     r"451 4.7.8 No access token can be had for smart host hub: invalid_grant: Token has been revoked\.; log in there anew"),
    ((401, {"error": "invalid_client"}), "invalid_client; look at oauth_client_id"),
    ((503, "<html>busy</html>"), "HTTP status 503, and no JSON; look at oauth_token_url"),
])
def test_an_endpoint_that_gives_no_token(start, make_hub, make_endpoint, secret, answer, reason):
    endpoint = make_endpoint(answer)
    hub = make_hub(mechanisms=("XOAUTH2",), token_is_good=lambda t: t == "token-1")
    server = start(hub=section(hub, **by_token(endpoint, secret)))
    about = send(server)
    wait_deferred(server, reason)
    assert not hub.sessions
    endpoint.answers[:] = [token("token-1")]
    wait_for_mail(hub, about)


def test_an_endpoint_that_is_not_there(start, make_hub, make_endpoint, secret):
    endpoint = make_endpoint(token("x"))
    endpoint.close()
    hub = make_hub(mechanisms=("XOAUTH2",))
    server = start(hub=section(hub, **by_token(endpoint, secret)))
    send(server)
    wait_deferred(server, "451 4.7.8 No access token can be had for smart host hub: .*; look at oauth_token_url")


# --- fallbacks ---

def test_fallbacks_in_their_order(start, make_hub, lab):
    """Nobody listens at the first, the second turns everybody away, the third takes the mail; later mail does not knock at the first two again."""
    nobody = AuthPeer(lab.address(), lab.port(587))
    nobody.close()
    rude = make_hub(script={"GREETING": "554 5.7.1 not you"})
    good = make_hub()
    allow_all(good)
    server = start(first=section(nobody, fallbacks=["second", "third"]), second=section(rude), third=section(good))
    wait_for_mail(good, send(server))
    assert len(rude.sessions) == 1
    server.wait_log("smarthost-fallback")
    base.wait_for(lambda: good.sessions[0].ended.is_set(), "the first connection's end")
    wait_for_mail(good, send(server))
    assert len(rude.sessions) == 1, "it was in trouble a moment ago"
    server.wait_queue_empty()


def allow_all(hub):
    """No login is asked for."""
    original = hub.extensions

    def extensions(session):
        session.login = ""
        return [e for e in original(session) if not e.startswith("AUTH")]

    hub.extensions = extensions


def test_a_wrong_login_falls_back_too_and_all_that_fail_defer(start, make_hub, secret):
    first = make_hub(mechanisms=("PLAIN",))
    second = make_hub(script={"GREETING": ["421 4.3.2 not now"]})
    allow_all(second)
    server = start(first=section(first, login=ME, password_file=secret("wrong"), fallbacks=["second"]), second=section(second))
    about = send(server)
    identity = wait_deferred(server, "421 4.3.2 not now")
    assert "refused the login" in str(server.trace(identity))
    wait_for_mail(second, about)
    server.wait_queue_empty()


# --- which one ---

def test_by_sender(start, make_hub, secret):
    hubs = {name: make_hub(mechanisms=("PLAIN",), passwords={f"{name}@client.example": name}) for name in ("ann", "ben", "rest")}
    server = start(**{name: section(hub, login=f"{name}@client.example", password_file=secret(name),
                                    senders={"ann": ["ann@client.example"], "ben": ["@ben.example"]}.get(name))
                      for name, hub in hubs.items()})
    wait_for_mail(hubs["ann"], send(server, sender="ann@client.example"))
    wait_for_mail(hubs["ben"], send(server, sender="anybody@ben.example"))
    wait_for_mail(hubs["rest"], send(server, sender="zoe@client.example"))
    assert {name: (len(hub.messages), hub.messages[0].login) for name, hub in hubs.items()} == {
        name: (1, f"{name}@client.example") for name in hubs}


# --- certificates ---

def test_a_client_certificate_is_demanded(start, make_hub, authority):
    hub = make_hub(client_ca=authority.ca)
    allow_all(hub)
    server = start(hub=section(hub))
    about = send(server)
    wait_deferred(server, "certificate|closed|TLS|alert")
    assert not hub.messages
    certificate, key = issue_client(authority, "client.example")
    make_readable(key)
    server.write_config(**{"smarthost hub": {"certificate": certificate, "key": key}})
    server.reload()
    wait_for_mail(hub, about)
    assert hub.messages[0].tls


def test_authorities_of_its_own(start, make_hub, lab):
    other = Authority(lab.subfolder("other-ca"))
    hub = make_hub(signer=other)
    allow_all(hub)
    server = start(hub=section(hub))
    about = send(server)
    wait_deferred(server, "certificate")
    server.write_config(**{"smarthost hub": {"ca_file": other.ca}})
    server.reload()
    wait_for_mail(hub, about)


# --- DANE ---

@pytest.fixture
def dane_hub(lab, dns, authority, make_postrider, secret):
    """dane_hub(records) makes a smart host with a name in a zone and these TLSA records there, and a server that sends through it by DANE."""
    made = []

    def make(*records, zone="signed", tls="dane", alias=False, fallback=None, certificate=None, **more):
        label = "h" + uuid.uuid4().hex[:8]
        ip, port = lab.address(), lab.port(587)
        certificate = certificate(f"{label}.{zone}") if certificate else authority.issue(["somebody.else.example"])
        hub = AuthPeer(ip, port, certificate=certificate, implicit_tls=tls.startswith("implicit"), passwords={ME: PASSWORD}, **more)
        made.append(hub)
        dns.add(f"{label} A {ip}", *[f"_{port}._tcp.{label} TLSA {r(certificate[0]) if callable(r) else r}" for r in records],
                *([f"alias{label} CNAME {label}"] if alias else []), zone=zone + ".")
        name = f"{'alias' if alias else ''}{label}.{zone}"
        password = secret(PASSWORD)
        sections = {"smarthost hub": {"host": name, "port": port, "tls": tls, "login": ME, "password_file": password,
                                      **({"fallbacks": ["other"]} if fallback else {})}}
        if fallback:
            sections["smarthost other"] = {"host": fallback.ip, "port": fallback.port, "login": ME, "password_file": password}
        server = make_postrider(domain="client.example", accounts={"me": "me"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, **sections})
        return server, hub, name

    yield make
    for hub in made:
        hub.close()


def refused(server, hub, *words):
    """Its mail is deferred with a reply that has these words, and the smart host got neither login nor mail."""

    def reply():
        replies = [r.get("last_reply", "") for m in server.queue_list() for r in m["recipients"]]
        return [r for r in replies if all(w in r for w in words)]

    base.wait_for(reply, lambda: f"a deferral with {words}; {server.queue_list()}")
    assert not hub.messages
    assert not any(c.upper().startswith(("AUTH", "MAIL")) for s in hub.sessions for c in s.commands)


@pytest.mark.parametrize("tls", ["dane", "implicit-dane"])
def test_dane_by_key(dane_hub, tls):
    """The key alone counts: the certificate is for another name. The login goes over it."""
    server, hub, _ = dane_hub(tlsa, tls=tls)
    wait_for_mail(hub, send(server))
    assert all(m.tls and m.login == ME for m in hub.messages)
    server.wait_queue_empty()


@pytest.mark.parametrize("right", [True, False])
def test_dane_by_authority(dane_hub, authority, right):
    """Usage 2: the name counts, and it is the smart host's."""

    def chain(name):
        certificate, key = authority.issue([name if right else "wrong.example"])
        with open(certificate[:-4] + "-chain.pem", "w", encoding="ascii") as f:
            f.write(base.read_text(certificate) + base.read_text(authority.ca))
        return certificate[:-4] + "-chain.pem", key

    server, hub, _ = dane_hub(lambda _: tlsa(authority.ca, usage=2, selector=0), certificate=chain)
    about = send(server)
    if right:
        wait_for_mail(hub, about)
    else:
        refused(server, hub, "451 4.7.5", "no TLSA record matches its certificate", "hostname mismatch")


def test_dane_behind_an_alias(dane_hub):
    server, hub, _ = dane_hub(tlsa, alias=True)
    wait_for_mail(hub, send(server))


def test_dane_of_another_key(dane_hub, authority):
    server, hub, name = dane_hub(lambda _: tlsa(authority.issue(["x.example"])[0]))
    send(server)
    refused(server, hub, f"451 4.7.5 {name}: no TLSA record matches its certificate")


@pytest.mark.parametrize("records, zone, why", [
    ((), "signed", "demands DANE, but there are no secure TLSA records"),
    ((lambda c: tlsa(c),), "example", "there are no secure TLSA records: its address records are not signed"),
    ((lambda c: tlsa(c, usage=1),), "signed", "none of its TLSA records is usable")])
def test_dane_without_records_that_count(dane_hub, records, zone, why):
    server, hub, name = dane_hub(*records, zone=zone)
    send(server)
    refused(server, hub, f"451 4.7.5 {name}: our policy for {name} demands DANE, but ", why)


def test_dane_at_the_port_that_is_spoken_to(dane_hub, dns, authority, lab):
    """Records of another port say nothing."""
    server, hub, name = dane_hub()
    dns.add(f"_25._tcp.{name.split('.')[0]} TLSA {tlsa(authority.issue(['x.example'])[0])}", zone="signed.")
    send(server)
    refused(server, hub, "there are no secure TLSA records")


def test_dane_without_starttls(dane_hub):
    server, hub, name = dane_hub(tlsa, script={"STARTTLS": "454 4.7.0 not now"})
    send(server)
    refused(server, hub, f"451 4.7.5 {name}: STARTTLS came to nothing (454 4.7.0 not now), but its TLSA records demand TLS")


def test_dane_fails_and_a_fallback_takes_it(dane_hub, make_hub, authority, lab):
    other = make_hub()
    server, hub, _ = dane_hub(lambda _: tlsa(authority.issue(["x.example"])[0]), fallback=other)
    server.write_config(**{"smarthost other": {"ca_file": authority.ca}})
    server.must("reload")
    wait_for_mail(other, send(server))
    assert not hub.messages and not hub.logins
