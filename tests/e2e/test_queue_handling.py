"""Handling the queue: every command of `postrider queue` against a running server and a stopped one; by id, site, domain, sender and stream; what is
suspended waits while the rest flows; what was ordered survives a restart; the trace tells who did it."""
import json
import os
import pty
import select
import subprocess
import time
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.wire import Wire

LATER = "451 4.7.1 Greylisted, come back in 300 seconds, session {}"


def config(**more):
    tree = {
        "listen mx": {"relay_from": ["127.0.0.0/8"]},
        "queue": {"retry_first": "1h", "retry_max": "4h"},
        "stream shop": {"senders": ["shop@here.example"]},
        "stream news": {"senders": ["news@here.example"]},
    }
    tree.update(more)
    return tree


@pytest.fixture
def here(make_postrider):
    return make_postrider(domain="here.example", accounts={"joe": "joe"}, config=config())


def send(server, *recipients, sender="joe@here.example"):
    """The queue id of what was sent."""
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope(sender, *recipients)
        answer = wire.data(f"From: {sender}\r\nSubject: {about}\r\n\r\nx\r\n.\r\n")
        assert answer.startswith("250"), answer
    return about


def deferred(server, count):
    return base.wait_for(lambda: (found := server.queue_list("--deferred")) and sum(len(m["recipients"]) for m in found) >= count and found,
                         lambda: f"{count} deferred recipients; has {server.must('queue', 'list')}", step=0.2)


def refusing(session, argument):
    return LATER.format(uuid.uuid4().hex[:6] + "7")


def summary(server, *options):
    return json.loads(server.must("queue", "summary", *options, "--json"))


def arrived(peer):
    return sorted(r for m in peer.messages for r in m.recipients)


def events_of(server, message_id):
    return [e["event"] for e in server.trace(message_id)["events"]]


def wait_event(server, message_id, event):
    base.wait_for(lambda: event in events_of(server, message_id), lambda: f"the event {event}; has {server.must('trace', message_id)}", step=0.2)


def id_for(server, recipient):
    [found] = [m["id"] for m in server.queue_list() if recipient in [r["address"] for r in m["recipients"]]]
    return found


# --- looking ---

def test_summary(here, make_peer, make_domain):
    peer = make_peer(script={"RCPT": refusing})
    one, other = make_domain("sum", peer), make_domain("sum", peer)
    send(here, f"a@{one}", f"b@{one}")
    send(here, f"c@{one}", sender="shop@here.example")
    send(here, f"d@{other}")
    deferred(here, 4)
    found = summary(here)
    assert (found["messages"], found["recipients"], found["deferred"], found["held"]) == (3, 4, 4, 0)
    assert found["complete"] and sum(a["recipients"] for a in found["ages"]) == 4 and found["ages"][0]["recipients"] == 4
    assert found["domains"]["groups"] == [{"name": one, "recipients": 3}, {"name": other, "recipients": 1}]
    assert found["streams"]["groups"] == [{"name": "shop", "recipients": 1}]
    [reply] = found["replies"]["groups"]
    assert reply == {"name": "451 4.7.1 Greylisted, come back in # seconds, session #", "recipients": 4}
    assert summary(here, "--domain", one)["recipients"] == 3
    assert summary(here, "--stream", "shop")["recipients"] == 1
    assert summary(here, "--sender", "shop@here.example")["recipients"] == 1
    assert summary(here, "--held")["recipients"] == 0
    text = here.must("queue", "summary")
    for word in (one, "shop", "Greylisted", "3 messages for 4 recipients", "below 5 min"):
        assert word in text, f"{word} is not in\n{text}"
    here.stop()
    assert summary(here)["recipients"] == 4, "and without a server"


def test_a_site_is_all_its_domains(here, make_peer, make_domain, dns, lab):
    """Domains with the same hosts are one site, whatever they are called."""
    peer, elsewhere = make_peer(script={"MAIL": LATER}), make_peer(script={"MAIL": LATER})
    label = f"site{uuid.uuid4().hex[:6]}"
    dns.add(f"{label} A {peer.ip}", f"{label}-a MX 10 {label}", f"{label}-b MX 10 {label}")
    third = make_domain("site", elsewhere)
    for domain in (f"{label}-a.example", f"{label}-b.example", third):
        send(here, f"u@{domain}")
    deferred(here, 3)
    sites = {g["name"]: g["recipients"] for g in summary(here)["sites"]["groups"]}
    site = f"{label}.example"
    assert sites.get(site) == 2, sites
    assert {m["recipients"][0]["address"] for m in here.queue_list("--site", site)} == {f"u@{label}-a.example", f"u@{label}-b.example"}
    assert "held: 2 recipients" in here.must("queue", "hold", "--site", site)
    assert len(here.queue_list("--held")) == 2
    here.stop()
    assert "released: 2 recipients" in here.must("queue", "release", "--site", site), "the site is known without a server, too"
    assert summary(here, "--site", third)["recipients"] + summary(here, "--site", site)["recipients"] >= 2


def test_a_site_is_known_from_memory(here, make_peer, dns):
    """Mail that was never tried, to domains that never deferred any: a running server has sent there, and knows."""
    peer = make_peer()
    label = f"known{uuid.uuid4().hex[:6]}"
    dns.add(f"{label} A {peer.ip}", f"{label}-a MX 10 {label}", f"{label}-b MX 10 {label}")
    one, other, site = f"{label}-a.example", f"{label}-b.example", f"{label}.example"
    for domain in (one, other):
        send(here, f"first@{domain}")
    base.wait_for(lambda: len(peer.messages) == 2, "what teaches it the way")
    here.wait_queue_empty()
    for domain in (one, other):
        here.must("queue", "suspend", "--domain", domain)
        send(here, f"u@{domain}")
    deferred(here, 2)
    assert {m["recipients"][0]["address"] for m in here.queue_list("--site", site)} == {f"u@{one}", f"u@{other}"}
    assert here.queue_list("--site", one) == []
    assert {g["name"]: g["recipients"] for g in summary(here)["sites"]["groups"]} == {site: 2}
    assert "held: 2 recipients" in here.must("queue", "hold", "--site", site.upper())


# --- changing ---

@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_bounce(here, make_peer, make_domain, running):
    peer = make_peer(script={"RCPT": lambda session, argument: LATER if "keep" not in argument else None})
    domain = make_domain("bounce", peer)
    send(here, f"gone@{domain}", f"also@{domain}")
    message_id = deferred(here, 2)[0]["id"]
    if not running:
        here.stop()
    assert here.cli("queue", "bounce", message_id).returncode == 64, "senders are told why"
    assert "to be returned: 2 recipients" in here.must("queue", "bounce", message_id, "--reason", "The company has closed")
    if not running:
        [waiting] = here.queue_list()
        assert all(r.get("returning") for r in waiting["recipients"])
        here.start()
    dsn = here.wait_mail("joe", count=1)[0]
    text = dsn.as_string()
    assert "The company has closed" in text and f"gone@{domain}" in text and f"also@{domain}" in text and "Action: failed" in text
    here.wait_queue_empty()
    assert peer.messages == []
    wait_event(here, message_id, "failed")
    assert "returning" in events_of(here, message_id) and "The company has closed" in here.must("trace", message_id)


def test_bounce_of_a_held_one(here, make_peer, make_domain):
    peer = make_peer(script={"RCPT": LATER})
    domain = make_domain("bounce", peer)
    send(here, f"a@{domain}")
    deferred(here, 1)
    here.must("queue", "hold", "--all")
    here.must("queue", "bounce", "--held", "--reason", "No more")
    assert "No more" in here.wait_mail("joe", count=1)[0].as_string()
    here.wait_queue_empty()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_hold_release_retry_remove(here, make_peer, make_domain, running):
    peer = make_peer(script={"RCPT": LATER})
    domains = {name: make_domain(name, peer) for name in ("hold", "retry", "remove")}
    for domain in domains.values():
        send(here, f"u@{domain}")
    deferred(here, 3)
    ids = {name: id_for(here, f"u@{domain}") for name, domain in domains.items()}
    if not running:
        here.stop()
    assert "held: 1 recipient" in here.must("queue", "hold", "--domain", domains["hold"].upper())
    assert "removed: 1 recipient" in here.must("queue", "remove", ids["remove"])
    assert "removed: 0 recipients" in here.must("queue", "remove", "--domain", domains["remove"])
    peer.script.clear()
    assert "to be tried now: 1 recipient" in here.must("queue", "retry", "--sender", "JOE@here.example", "--deferred")
    if running:
        here.restart()
    else:
        here.start()
    base.wait_for(lambda: arrived(peer) == [f"u@{domains['retry']}"], lambda: f"what was retried; {arrived(peer)}")
    base.wait_for(lambda: len(here.queue_list()) == 1, "the held one alone")
    if not running:
        here.stop()
    assert "released: 1 recipient" in here.must("queue", "release", "--held")
    if not running:
        here.start()
    base.wait_for(lambda: len(peer.messages) == 2, "what was released")
    here.wait_queue_empty()
    wait_event(here, ids["hold"], "delivered")
    assert [e for e in events_of(here, ids["hold"]) if e in ("held", "released")] == ["held", "released"]
    wait_event(here, ids["remove"], "removed")
    assert "by=operator" in here.must("trace", ids["remove"])


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_rebind(make_postrider, make_peer, make_domain, running):
    relay, peer = make_peer(), make_peer(script={"RCPT": LATER})
    here = make_postrider(domain="here.example", config=config(**{
        "smarthost relay": {"host": relay.ip, "port": relay.port, "tls": "clear", "domains": ["nowhere.example"]}}))
    one, other = make_domain("rebind", peer), make_domain("rebind", peer)
    send(here, f"u@{one}")
    send(here, f"v@{other}")
    deferred(here, 2)
    rebound = id_for(here, f"u@{one}")
    if not running:
        here.stop()
    failed = here.cli("queue", "rebind", "--all", "--to-smarthost", "relais")
    assert failed.returncode != 0 and "no smart host 'relais'" in failed.stderr
    assert here.cli("queue", "rebind", "--all").returncode == 64
    assert "rebound: 1 recipient" in here.must("queue", "rebind", "--domain", other, "--to-stream", "shop")
    assert here.queue_list("--stream", "shop")[0]["recipients"][0]["stream"] == "shop"
    assert "rebound: 1 recipient" in here.must("queue", "rebind", rebound, "--to-smarthost", "relay")
    if not running:
        here.start()
    base.wait_for(lambda: arrived(relay) == [f"u@{one}"], "the message at the smart host")
    here.must("queue", "rebind", "--stream", "shop", "--to-stream", "none")
    assert here.queue_list("--stream", "shop") == []
    assert len(here.queue_list()) == 1
    wait_event(here, rebound, "rebound")


# --- suspending ---

KINDS = ["site", "domain", "stream", "smarthost"]


@pytest.fixture
def two_ways(make_postrider, make_peer, make_domain):
    """A server, its mail to be suspended by one of four ways, and other mail: (server, options, sending of the one, of the other, peer)."""
    def make(kind):
        peer, other = make_peer(), make_peer()
        here = make_postrider(domain="here.example", accounts={"joe": "joe"}, config=config(**{
            "smarthost relay": {"host": peer.ip, "port": peer.port, "tls": "clear", "domains": ["relayed.example"]}}))
        domain, second = make_domain("suspend", peer), make_domain("suspend", other)
        target = {"site": f"mx0.{domain}", "domain": domain, "stream": "shop", "smarthost": "relay"}[kind]
        sender = "shop@here.example" if kind == "stream" else "joe@here.example"
        address = "u@relayed.example" if kind == "smarthost" else f"u@{domain}"

        def suspended_mail():
            return send(here, address, sender=sender)

        def other_mail():
            return send(here, f"v@{second}")
        return here, (f"--{kind}", target), suspended_mail, other_mail, peer, other
    return make


@pytest.mark.parametrize("kind", KINDS)
def test_suspend_and_resume(two_ways, kind):
    here, target, suspended_mail, other_mail, peer, other = two_ways(kind)
    said = here.must("queue", "suspend", *target, "--reason", "moving house")
    assert "until it is resumed (moving house)" in said
    suspended_mail()
    other_mail()
    base.wait_for(lambda: len(other.messages) == 1, "mail that has nothing to do with it")
    [waiting] = deferred(here, 1)
    assert "moving house" in waiting["recipients"][0]["last_reply"] and "uspended" in waiting["recipients"][0]["last_reply"]
    assert [m["id"] for m in here.queue_list("--suspended")] == [waiting["id"]]
    assert summary(here)["suspended"] == 1
    assert "moving house" in here.must("queue", "suspended") and target[1] in here.must("queue", "suspended")
    assert "moving house" in here.must("trace", waiting["id"])

    here.restart()
    here.must("queue", "retry", "--all")  # it is not tried for being asked
    suspended_mail()
    deferred(here, 2)
    assert len(peer.messages) == 0

    assert "2 recipients to be tried now" in here.must("queue", "resume", *target)
    base.wait_for(lambda: len(peer.messages) == 2, lambda: f"what was suspended; {here.must('queue', 'list')}")
    here.wait_queue_empty()
    suspended_mail()
    base.wait_for(lambda: len(peer.messages) == 3, "what comes after")
    assert "Nothing is suspended" in here.must("queue", "suspended")
    again = here.cli("queue", "resume", *target)
    assert again.returncode == 67 and "was not suspended" in again.stderr


def test_suspension_expires(two_ways):
    here, target, suspended_mail, other_mail, peer, other = two_ways("domain")
    here.must("queue", "suspend", *target, "--for", "4s")
    begun = time.monotonic()
    suspended_mail()
    other_mail()
    base.wait_for(lambda: len(other.messages) == 1, "other mail")
    base.wait_for(lambda: len(peer.messages) == 1, lambda: f"the mail, when the suspension is over; {here.must('queue', 'list')}")
    assert time.monotonic() - begun > 3, "not before"
    here.wait_queue_empty()
    assert "Nothing is suspended" in here.must("queue", "suspended")


def test_suspend_while_stopped_and_in_the_queue(two_ways):
    """What waits in memory for its turn is suspended with the rest; and so is what a start finds."""
    here, target, suspended_mail, other_mail, peer, other = two_ways("site")
    peer.script["MAIL"] = LATER
    suspended_mail()
    deferred(here, 1)
    here.stop()
    here.must("queue", "suspend", *target)
    here.must("queue", "retry", "--all")
    peer.script.clear()
    here.start()
    base.wait_for(lambda: here.queue_list("--suspended"), "what was found suspended")
    assert peer.messages == []
    here.stop()
    assert "1 recipient to be tried now" in here.must("queue", "resume", *target)
    here.start()
    base.wait_for(lambda: len(peer.messages) == 1, "the mail")


# --- many ---

def fill(server, count, kind="deferred"):
    """queue_fill of bench/, if it is built beside the program."""
    helper = os.path.join(os.path.dirname(lab_postrider.BINARY), "src", "store", "queue_fill")
    if not os.access(helper, os.X_OK):
        pytest.skip(f"{helper} is not built")
    done = subprocess.run([helper, server.data, str(count), kind], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if base.is_root():
        subprocess.run(["chown", "-R", f"{lab_postrider.RUN_AS}:", server.data], check=True)


def test_a_hundred_thousand(make_postrider):
    here = make_postrider(domain="here.example", config=config(), start=False)
    fill(here, 100_000)
    here.start()
    found = summary(here, "--top", "5")
    assert found["recipients"] == found["deferred"] == 100_000 and found["complete"]
    assert sum(a["recipients"] for a in found["ages"]) == 100_000
    big = found["domains"]["groups"][0]
    assert big["name"] in ("gmail.example", "outlook.example", "yahoo.example") and big["recipients"] > 10_000
    assert len(found["replies"]["groups"]) == 5 and sum(g["recipients"] for g in found["replies"]["groups"]) == 100_000
    assert f"held: {big['recipients']} recipients" in here.must("queue", "hold", "--domain", big["name"])
    assert summary(here)["held"] == big["recipients"]
    assert f"removed: {big['recipients']} recipients" in here.must("queue", "remove", "--held")
    assert summary(here)["recipients"] == 100_000 - big["recipients"]
    assert len(here.queue_list("--limit", "3", "--domain", found["domains"]["groups"][1]["name"])) == 3
    listed = here.must("queue", "list", "--limit", "1")
    assert "recipients" in listed
    here.stop()
    stopped = summary(here)
    assert stopped["recipients"] == 100_000 - big["recipients"]


# --- watching ---

def test_watch_prints_lines_on_a_pipe(here):
    text = here.must("queue", "watch", "--count", "2")
    lines = text.splitlines()
    assert len(lines) == 2 and all("delivered" in l and "connections" in l for l in lines), text
    live = [json.loads(l) for l in here.must("queue", "watch", "--count", "1", "--json").splitlines()]
    assert live and live[0]["connections"] == 0 and live[0]["suspensions"] == []
    here.stop()
    stopped = here.cli("queue", "watch", "--count", "1")
    assert stopped.returncode != 0 and "not running" in stopped.stderr


def read_terminal(fd, until, what):
    text = b""

    def grown():
        nonlocal text
        if select.select([fd], [], [], 0)[0]:
            try:
                text += os.read(fd, 65536)
            except OSError:
                pass
        return until in text
    base.wait_for(grown, lambda: f"{what}; has {text!r}", step=0.05)
    return text


def test_watch_draws_on_a_terminal(here, make_peer, make_domain):
    here.must("queue", "suspend", "--domain", "quiet.example", "--reason", "for the night")
    master, slave = pty.openpty()
    command = [lab_postrider.BINARY, "queue", "watch", "--config", here.config]
    watch = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=here.env)
    try:
        os.close(slave)
        read_terminal(master, b"q ends it", "the page")
        read_terminal(master, b"quiet.example for the night", "what is suspended")
        os.write(master, b"q")
        assert watch.wait(base.PATIENCE_S) == 0
    finally:
        watch.kill()
        watch.wait()
        os.close(master)


# --- sentences ---

WRONG = [
    (("hold",), 64, "say which messages"),
    (("bounce", "--all"), 64, "--reason"),
    (("bounce", "--all", "--reason", "two\nlines"), 65, "one line"),
    (("rebind", "--all"), 64, "say where to"),
    (("rebind", "--all", "--to-stream", "shops"), 67, "no stream 'shops'"),
    (("suspend",), 64, "say one of"),
    (("suspend", "--site", "a", "--domain", "b.example"), 64, "say one of"),
    (("suspend", "--site", "a", "--stream", "shop", "--domain", "b.example"), 64, "say one of"),
    (("suspend", "--site", "a", "--stream", "shops"), 67, "no stream 'shops'"),
    (("suspend", "--site", "a@shop"), 65, "no site has an '@'"),
    (("suspend", "--stream", "shops"), 67, "no stream 'shops'"),
    (("suspend", "--smarthost", "nobody"), 67, "no smarthost 'nobody'"),
    (("suspend", "--domain", "no domain"), 65, "domain"),
    (("suspend", "--site", "google", "--for", "a while"), 64, "--for needs a time"),
    (("suspend", "--site", "google", "--for", "0s"), 64, "--for needs a time"),
    (("resume",), 64, "say one of"),
    (("resume", "--site", "google"), 67, "was not suspended"),
    (("summary", "--top", "0"), 64, "--top needs a number"),
    (("watch", "--count", "many"), 64, "--count needs a number"),
    (("remove", "not-an-id!"), 65, "no queue id"),
    (("retry", "006d9qk2v8000"), 67, "is not in the queue"),
    (("holt", "--all"), 64, "hold"),
]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_wrong_arguments_get_a_sentence(make_postrider, running):
    here = make_postrider(domain="here.example", config=config(), start=running)
    for arguments, code, sentence in WRONG:
        done = here.cli("queue", *arguments)
        assert done.returncode == code and sentence in done.stderr, (arguments, done.returncode, done.stderr)
        assert done.stderr.count("\n") <= 2, done.stderr
