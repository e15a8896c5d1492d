"""FUTURERELEASE (RFC 4865) at smart hosts: what they are left to hold, and what waits here because they can't."""
import datetime
import re
import smtplib
import ssl
import time

import pytest

from lab import base

HOUR = 3600
FAR = "2090-01-01T00:00:00Z"
HOLDS = f"FUTURERELEASE 2592000 {FAR}"
LATER = "451 4.7.1 not now"


def date(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def section(peer, **more):
    return {"host": peer.ip, "port": peer.port, "tls": "clear", "hand_on_holds": True, **more}


@pytest.fixture
def make_hub(make_peer, lab):
    def make(*extensions, script=None):
        return make_peer(ip=lab.address(), port=lab.port(2525), extensions=("PIPELINING", "ENHANCEDSTATUSCODES", "DSN", *extensions), script=script or {})

    return make


@pytest.fixture
def start(make_postrider):
    def make(sections, queue=None):
        return make_postrider(domain="here.example", accounts={"joe": "pass", "ann": "pass"}, config={
            **({"queue": queue} if queue else {}),
            **{f"smarthost {name}": value for name, value in sections.items()}})

    return make


def send(server, to, *options, rcpt=(), sender=None, header=""):
    to = [to] if isinstance(to, str) else to
    with smtplib.SMTP(server.ip, server.submission_port) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.login(server.full("joe"), "pass")
        sender = server.full("joe") if sender is None else sender
        return client.sendmail(sender, to, f"From: {server.full('joe')}\r\n{header}Subject: later\r\n\r\nx\r\n", mail_options=list(options), rcpt_options=list(rcpt))


def arrived(peer, count=1):
    return base.wait_for(lambda: list(peer.messages) if len(peer.messages) >= count else None,
                         lambda: f"{count} messages; sessions {[s.commands for s in peer.sessions]}")


def kept(server, count=1, why=None):
    """The recipients that wait for their time here, and were not counted as tried."""

    def look():
        rows = [r for m in server.queue_list() for r in m["recipients"] if r["due_at_ms"] / 1000 > time.time() + HOUR / 2]
        return rows if len(rows) >= count and all(why is None or why in r.get("last_reply", "") for r in rows) else None

    rows = base.wait_for(look, lambda: f"{count} that wait: {server.queue_list()}")
    assert all(r["attempts"] == 0 for r in rows), rows
    return rows


def test_an_interval_is_handed_on(start, make_hub):
    hub = make_hub(HOLDS)
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    [message] = arrived(hub)
    left = int(re.search(r"HOLDFOR=(\d+)", message.mail_parameters).group(1))
    assert HOUR - 2 * base.PATIENCE_S < left <= HOUR and "HOLDUNTIL" not in message.mail_parameters
    server.wait_queue_empty()
    assert len(hub.messages) == 1


def test_a_date_is_handed_on(start, make_hub):
    hub = make_hub(HOLDS)
    server = start({"hub": section(hub)})
    until = date(HOUR)
    send(server, "a@far.example", f"HOLDUNTIL={until}")
    [message] = arrived(hub)
    assert f"HOLDUNTIL={until}" in message.mail_parameters.split() and "HOLDFOR" not in message.mail_parameters
    server.wait_queue_empty()


@pytest.mark.parametrize("extension, option, why", [
    (None, f"HOLDFOR={HOUR}", "does not offer to hold it"),
    (f"FUTURERELEASE {HOUR // 2} {FAR}", f"HOLDFOR={HOUR}", "does not hold it that long"),
    (f"FUTURERELEASE {HOUR * 2} 2020-01-01T00:00:00Z", "HOLDUNTIL", "does not hold it that long"),
    ("FUTURERELEASE soon", f"HOLDFOR={HOUR}", "does not offer to hold it"),
    ("FUTURERELEASE", f"HOLDFOR={HOUR}", "does not offer to hold it")])
def test_kept_here_where_it_is_not_offered(start, make_hub, extension, option, why):
    hub = make_hub(*([extension] if extension else []))
    server = start({"hub": section(hub)})
    send(server, "a@far.example", option if "=" in option else f"{option}={date(HOUR)}")
    kept(server, why=why)
    assert not hub.messages and not server.mailbox("joe")
    assert not any(c.startswith("MAIL") for s in hub.sessions for c in s.commands)


def test_a_date_within_the_limits_though_the_interval_is_not(start, make_hub):
    """Each form has a limit of its own (section 4.1)."""
    hub = make_hub(f"FUTURERELEASE 60 {FAR}")
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDUNTIL={date(HOUR)}")
    arrived(hub)


def test_kept_here_without_the_key(start, make_hub):
    hub = make_hub(HOLDS)
    server = start({"hub": section(hub, hand_on_holds=False)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    kept(server)
    assert not hub.sessions


def test_released_here_at_its_time(start, make_hub):
    hub = make_hub()
    server = start({"hub": section(hub)})
    sent = time.time()
    send(server, "a@far.example", "HOLDFOR=4")
    [message] = arrived(hub)
    assert time.time() >= sent + 4 and "HOLD" not in message.mail_parameters
    server.wait_queue_empty()


@pytest.mark.parametrize("reply", ["552 5.2.2 too much is held for you", "501 5.5.4 no", "555 5.5.4 what?"])
def test_a_refused_hold_is_kept_here(start, make_hub, reply):
    """A quota (section 6), a clock that goes wrong: no reason to return it."""
    hub = make_hub(HOLDS, script={"MAIL": lambda session, argument: reply if "HOLD" in argument else None})
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    [row] = kept(server, why=reply[:3])
    assert not server.mailbox("joe")
    [message] = server.queue_list()
    server.must("queue", "retry", message["id"])
    [message] = arrived(hub)
    assert "HOLD" not in message.mail_parameters


def test_a_refused_recipient_is_told_at_once(start, make_hub):
    hub = make_hub(HOLDS, script={"RCPT": lambda session, argument: "550 5.1.1 nobody" if "nobody" in argument else None})
    server = start({"hub": section(hub)})
    send(server, ["a@far.example", "nobody@far.example"], f"HOLDFOR={HOUR}")
    [message] = arrived(hub)
    assert message.recipients == ["a@far.example"]
    [bounce] = server.wait_mail("joe")
    assert "550 5.1.1 nobody" in bounce.as_string() and f"Future-Release-Request: for;{HOUR}" in bounce.as_string()
    server.wait_queue_empty()


def test_tried_again_when_the_smart_host_is_busy_but_no_longer_than_its_time(start, make_hub):
    hub = make_hub(HOLDS, script={"MAIL": lambda session, argument: LATER if "HOLD" in argument else None})
    server = start({"hub": section(hub)}, queue={"retry_first": "1h", "retry_max": "1h"})
    sent = time.time()
    send(server, "a@far.example", "HOLDFOR=5")
    [message] = arrived(hub)
    assert time.time() >= sent + 5 and "HOLD" not in message.mail_parameters
    server.wait_queue_empty()


def test_handed_on_when_the_smart_host_is_well_again(start, make_hub):
    hub = make_hub(HOLDS, script={"MAIL": [LATER]})
    server = start({"hub": section(hub)}, queue={"retry_first": "1s"})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    [message] = arrived(hub)
    assert "HOLDFOR=" in message.mail_parameters
    server.wait_queue_empty()


def test_each_recipient_by_its_next_hop(start, make_hub):
    able, unable = make_hub(HOLDS), make_hub()
    server = start({"able": section(able, domains=["able.example"]), "unable": section(unable, domains=["unable.example"]),
                    "never": section(able, domains=["never.example"], hand_on_holds=False)})
    to = ["a@able.example", "b@unable.example", "c@never.example", server.full("ann"), "d@able.example"]
    send(server, to, f"HOLDFOR={HOUR}", rcpt=["NOTIFY=FAILURE,DELAY"])
    [message] = arrived(able)
    assert sorted(message.recipients) == ["a@able.example", "d@able.example"]
    assert message.rcpt_parameters == ["NOTIFY=FAILURE,DELAY"] * 2
    kept(server, 3)
    assert not server.mailbox("ann") and not unable.messages
    [message] = server.queue_list()
    server.must("queue", "retry", message["id"])
    arrived(unable)
    arrived(able, 2)
    server.wait_mail("ann")
    server.wait_queue_empty()
    assert not server.mailbox("joe"), "nothing to report"


def test_reports_are_not_held_by_others(start, make_hub):
    """Section 5.1.1."""
    hub = make_hub(HOLDS)
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}", sender="")
    kept(server)
    assert not hub.sessions


def test_over_a_restart(start, make_hub):
    busy = [True]
    hub = make_hub(HOLDS, script={"MAIL": lambda session, argument: LATER if busy else None})
    server = start({"hub": section(hub)}, queue={"retry_first": "1s", "retry_max": "1s"})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    base.wait_for(lambda: [c for s in hub.sessions for c in s.commands if "HOLDFOR" in c], "a try")
    server.restart()
    busy.clear()
    [message] = arrived(hub)
    assert "HOLDFOR=" in message.mail_parameters
    server.wait_queue_empty()


def test_kept_over_a_restart(start, make_hub):
    hub = make_hub()
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    before = kept(server)
    server.restart()
    assert [r["due_at_ms"] for r in kept(server)] == [r["due_at_ms"] for r in before]
    assert not hub.messages


def test_an_operator_who_releases_does_not_deliver_before_its_time(start, make_hub):
    """His own hold ends; the sender's does not, but for `queue retry`."""
    hub = make_hub()
    server = start({"hub": section(hub)})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    kept(server)
    [message] = server.queue_list()
    server.must("queue", "hold", message["id"])
    server.must("queue", "release", message["id"])
    kept(server)
    assert not hub.messages
    server.must("queue", "retry", message["id"])
    arrived(hub)


def test_sent_elsewhere_by_an_operator_it_is_handed_on_there(start, make_hub):
    unable, able = make_hub(), make_hub(HOLDS)
    server = start({"unable": section(unable), "able": section(able, domains=["nowhere.example"])})
    send(server, "a@far.example", f"HOLDFOR={HOUR}")
    kept(server, why="does not offer")
    [message] = server.queue_list()
    server.must("queue", "rebind", message["id"], "--to-smarthost", "able")
    [message] = arrived(able)
    assert "HOLDFOR=" in message.mail_parameters and message.recipients == ["a@far.example"]
    server.wait_queue_empty()


def test_its_age_counts_from_the_release(start, make_hub):
    """Else it would expire at its first failure."""
    hub = make_hub(script={"MAIL": lambda session, argument: LATER})
    server = start({"hub": section(hub)}, queue={"expire": "6s", "retry_first": "1s", "retry_max": "1s", "warn_after": "0"})
    sent = time.time()
    send(server, "a@far.example", "HOLDFOR=4")
    server.wait_mail("joe")
    assert time.time() >= sent + 4 + 6
    assert len([c for s in hub.sessions for c in s.commands if c.startswith("MAIL")]) > 1
