"""Shaping rules: the commands that test them, and a running server that keeps them."""
import json
import threading
import uuid

import pytest

from lab import base
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


def write_rules(lab, text):
    path = lab.path("rules", f"{uuid.uuid4().hex[:8]}.rules")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def send(server, recipient):
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.expect(250, f"MAIL FROM:<{server.full('joe')}>")
        wire.expect(250, f"RCPT TO:<{recipient}>")
        wire.expect(354, "DATA")
        wire.send(f"From: {server.full('joe')}\r\nSubject: {about}\r\n\r\nhello\r\n.\r\n")
        wire.expect(250)
    return about


def wait_messages(peer, count):
    base.wait_for(lambda: len(peer.messages) >= count, lambda: f"{count} messages at the peer; has {len(peer.messages)}: "
                  f"{[s.commands for s in peer.sessions]}")


# --- the commands ---

@pytest.fixture(scope="module")
def idle(lab, authority, dns):
    """A configuration, and no server that runs."""
    from lab.postrider import Postrider
    return Postrider(lab, authority, dns=dns, domain="idle.example", start=False)


def shaping(server, *arguments):
    return json.loads(server.must("shaping", *arguments, "--json"))


def test_built_in_rules_without_a_server(idle):
    told = shaping(idle, "test", "--host", "alt1.gmail-smtp-in.l.google.com", "--host", "gmail-smtp-in.l.google.com",
                   "421 4.7.28 Our system has detected an unusual rate of unsolicited mail", "451 4.7.1 Greylisted, come back later")
    assert told["site"]["name"] == "google" and told["site"]["connections"] > 0
    rate, grey = told["replies"]
    assert rate["action"] == "slow" and rate["percent"] < 100 and rate["for_s"] >= 60 and rate["source"] == "built in"
    assert grey["action"] == "nothing"
    text = idle.must("shaping", "test", "--site", "yahoo", "421 4.7.0 [TSS04] Messages temporarily deferred")
    assert "nothing is sent to the site for" in text


def test_rules_of_a_file(idle, lab):
    rules = write_rules(lab, "site ours\n  mx *.ours.example\n  rate 5/s\n  when 450 4.7.* \"slow  down\" slow 10% for 2m\n"
                             "site google\n  when 421 4.7.28 nothing\n")
    told = shaping(idle, "test", "--file", rules, "--host", "mx1.ours.example", "450 4.7.1 Please SLOW\tDOWN now", "450 4.2.1 slow down")
    assert told["site"] == {"name": "ours", "connections": 0, "messages_per_connection": 0, "rates": ["5/s"]}
    assert told["replies"][0] == {"reply": "450 4.7.1 Please SLOW\tDOWN now", "code": 450, "enhanced": "4.7.1", "action": "slow",
                                  "percent": 10, "for_s": 120, "rule": 'when 450 4.7.* "slow  down" slow 10% for 2m',
                                  "source": f"{rules}:4"}
    assert told["replies"][1]["action"] == "nothing" and "rule" not in told["replies"][1]
    told = shaping(idle, "test", "--file", rules, "--site", "google", "421 4.7.28 rate")
    assert told["replies"][0]["action"] == "nothing" and told["replies"][0]["source"] == f"{rules}:6"
    # One foreign host: not theirs.
    assert shaping(idle, "test", "--file", rules, "--host", "mx1.ours.example", "--host", "mx.else.example")["site"] is None
    listed = idle.must("shaping", "list", "--file", rules)
    assert listed.index("site ours") < listed.index("# Built in.") < listed.index("site yahoo")


def test_the_hosts_of_a_domain(idle, lab, dns, make_peer, make_domain):
    domain = make_domain("shaped", lab.address(), lab.address())
    rules = write_rules(lab, f"site mine\n  mx *.{domain}\n")
    told = shaping(idle, "test", "--file", rules, "--domain", domain)
    assert told["site"]["name"] == "mine" and told["hosts"] == [f"mx0.{domain}", f"mx1.{domain}"]
    done = idle.cli("shaping", "test", "--domain", "nothing-here.example", "421 x")
    assert done.returncode == 67 and "does not exist" in done.stderr, done


@pytest.mark.parametrize("text, error", [
    ("site a\n  mx *.a.example\n  conections 5\n", ":3: `conections` is no key, did you mean `connections`?"),
    ("when 421 nothing\n", ":1: `when` stands before the first site"),
    ("site *\n  when 421 suspend\n", ":2: for how long?"),
])
def test_errors_say_where_and_what(idle, lab, text, error):
    rules = write_rules(lab, text)
    done = idle.cli("shaping", "check", rules)
    assert done.returncode == 65 and rules + error in done.stderr, done
    assert "is fine: 1 site, 1 rule" in idle.must("shaping", "check", write_rules(lab, "site *\n  when 421 nothing\n"))
    # The same when the configuration names the file.
    idle.write_config(delivery={"shaping": rules})
    try:
        done = idle.cli("check")
        assert done.returncode == 78 and rules + error in done.stderr, done
        idle.start(wait=False)
        assert idle.wait_end() == 78 and rules + error in idle.log_text()
    finally:
        idle.process = None
        idle.write_config(delivery={"shaping": None})


def test_a_reload_with_bad_rules_changes_nothing(make_postrider, lab, make_peer, make_domain):
    rules = write_rules(lab, "site *\n  when 421 nothing\n")
    server = make_postrider(config={**TRUSTED, "delivery": {"shaping": rules}})
    with open(rules, "w", encoding="utf-8") as f:
        f.write("sight *\n")
    server.reload()
    server.wait_log(r"reload-failed .*sight")
    peer = make_peer()
    send(server, f"a@{make_domain('reload', peer)}")
    wait_messages(peer, 1)


# --- a server that keeps them ---

class Together:
    """How many sessions are in the middle of a message at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = 0

    def script(self):
        return {"MAIL": self.begin, "BODY": self.end}

    def begin(self, *_):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def end(self, *_):
        with self.lock:
            self.now -= 1


def test_connections_and_messages_per_connection(make_postrider, lab, make_peer, make_domain):
    together = Together()
    peer = make_peer(script=together.script())
    one, two = make_domain("limits", peer), make_domain("limits", peer)
    rules = write_rules(lab, f"site both\n  mx *.{one} *.{two}\n  connections 1\n  messages-per-connection 3\n")
    server = make_postrider(config={**TRUSTED, "delivery": {"shaping": rules}})
    for number in range(20):
        send(server, f"a@{(one, two)[number % 2]}")
    wait_messages(peer, 20)
    server.wait_queue_empty()
    # Two domains with hosts of different names: one site all the same.
    assert together.most == 1
    carried = [sum(c.upper().startswith("MAIL") for c in s.commands) for s in peer.sessions]
    assert max(carried) <= 3 and sum(carried) == 20, carried


def test_slow_by_a_rule(make_postrider, lab, make_peer, make_domain):
    peer = make_peer(script={"MAIL": ["451 4.7.0 you are too eager"]})
    domain = make_domain("slow", peer)
    rules = write_rules(lab, f"site eager\n  mx *.{domain}\n  connections 4\n  when 451 4.7.* \"too eager\" slow 25% for 1h\n")
    server = make_postrider(config={**TRUSTED, "delivery": {"shaping": rules}})
    send(server, f"a@{domain}")
    server.wait_log(r"site-slowed .*site=eager .*percent=25")
    wait_messages(peer, 1)
    together = Together()
    peer.script.update(together.script())
    for _ in range(20):
        send(server, f"a@{domain}")
    wait_messages(peer, 21)
    assert together.most == 1


def test_suspended_by_a_rule(make_postrider, lab, make_peer, make_domain):
    blocked, other = make_peer(script={"RCPT": "550 5.7.1 your address is on our block list"}), make_peer()
    domain, another = make_domain("blocked", blocked), make_domain("fine", other)
    rules = write_rules(lab, f"site strict\n  mx *.{domain}\n  when 5xx * \"block list\" suspend 1h\n")
    server = make_postrider(config={**TRUSTED, "delivery": {"shaping": rules}})
    send(server, f"a@{domain}")
    server.wait_log(r"site-suspended .*site=strict")
    # That one message was refused for good; the others are kept back instead of being refused, too.
    server.wait_mail("joe", 1)
    for _ in range(3):
        send(server, f"a@{domain}")

    def kept():
        waiting = [r for m in server.queue_list() for r in m["recipients"] if "suspended" in (r.get("last_reply") or "")]
        return len(waiting) == 3

    base.wait_for(kept, lambda: f"three that wait: {server.queue_list()}", step=0.3)
    send(server, f"a@{another}")
    wait_messages(other, 1)
    assert len(blocked.sessions) == 1 and len(server.mailbox("joe")) == 1


def test_greylisting_stops_nobody(make_postrider, make_peer, make_domain):
    seen = set()

    def rcpt(session, argument):
        if argument in seen:
            return None
        seen.add(argument)
        return "450 4.2.0 Recipient address rejected: Greylisted, try again in a while"

    peer = make_peer(script={"RCPT": rcpt})
    domain = make_domain("grey", peer)
    server = make_postrider(config=TRUSTED)
    for number in range(10):
        send(server, f"a{number}@{domain}")
    wait_messages(peer, 10)
    assert "site-suspended" not in server.log_text() and "site-slowed" not in server.log_text()


def test_next_host_by_a_rule(make_postrider, lab, make_peer, make_domain):
    first, second = make_peer(script={"RCPT": "450 4.3.2 this host is full, try another"}), make_peer()
    domain = make_domain("next", first, second)
    rules = write_rules(lab, f"site pair\n  mx *.{domain}\n  when 4xx * \"try another\" next-host\n")
    server = make_postrider(config={**TRUSTED, "delivery": {"shaping": rules}, "queue": {"retry_first": "1h", "retry_max": "1h"}})
    send(server, f"a@{domain}")
    wait_messages(second, 1)
    server.wait_queue_empty()
