"""Sites that a shaping rule suspended because of what they said: shown with the reason and the end, kept over a restart, lifted by an operator."""
import json
import re
import threading
import time
import uuid

import pytest

from lab import base
from lab.wire import Wire

REPLY = "421 4.7.28 Unusual rate of mail, session s1"


SELDOM = {"retry_first": "1h", "retry_max": "1h"}


@pytest.fixture
def make_here(make_postrider, make_peer, make_domain, lab):
    """make_here(time) → server, peer, domain, domain elsewhere, peer elsewhere; the first peer's site is `strict`, and suspended for so long when it says 421."""
    def make(how_long="1h", **more):
        peer, other = make_peer(script={"MAIL": REPLY}), make_peer()
        domain, elsewhere = make_domain("strict", peer), make_domain("free", other)
        rules = lab.path("rules", f"{uuid.uuid4().hex[:8]}.rules")
        with open(rules, "w", encoding="utf-8") as f:
            f.write(f"site strict\n  mx *.{domain}\n  when 421 4.7.28 \"unusual rate\" suspend {how_long}\n")
        config = {
            "listen mx": {"relay_from": ["127.0.0.0/8"]},
            "delivery": {"shaping": rules},
            "queue": {"retry_first": "1s", "retry_max": "1s"},
            "stream shop": {"senders": ["shop@here.example"]},
            "stream news": {"senders": ["news@here.example"]},
        }
        config.update(more)
        return make_postrider(domain="here.example", accounts={"joe": "joe"}, config=config), peer, domain, elsewhere, other
    return make


def send(server, *recipients, sender="joe@here.example"):
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.envelope(sender, *recipients)
        answer = wire.data(f"From: {sender}\r\nSubject: x\r\n\r\nx\r\n.\r\n")
        assert answer.startswith("250"), answer


def suspensions(server):
    return json.loads(server.must("queue", "suspended", "--json"))["suspensions"]


def mails(peer):
    """How often it was asked to take a message."""
    return sum(c.upper().startswith("MAIL") for s in list(peer.sessions) for c in list(s.commands))


def wait_suspended(server, count=1):
    return base.wait_for(lambda: len(found := suspensions(server)) == count and found,
                         lambda: f"{count} suspensions; has {server.must('queue', 'suspended')}", step=0.2)


def wait_kept_back(server, count):
    """So many recipients wait for it, put off on disk."""
    base.wait_for(lambda: sum(len(m["recipients"]) for m in server.queue_list("--suspended")) == count,
                  lambda: f"{count} suspended recipients; has {server.must('queue', 'list')}", step=0.2)


def wait_messages(peer, count):
    base.wait_for(lambda: len(peer.messages) >= count, lambda: f"{count} messages at the peer; has {len(peer.messages)}")


def test_shown_kept_and_lifted(make_here):
    here, peer, domain, elsewhere, other = make_here()
    begun_ms = time.time() * 1000
    send(here, f"first@{domain}")
    [one] = wait_suspended(here)
    assert {k: one.get(k) for k in ("kind", "name", "stream", "source", "reason")} == {
        "kind": "site", "name": "strict", "stream": None, "source": "rule", "reason": REPLY}
    assert begun_ms + 3590_000 < one["until_ms"] < time.time() * 1000 + 3600_000
    for text in (here.must("queue", "suspended"), here.must("queue", "summary")):
        assert re.search(rf"site strict: for \d+ min.*, until 20.*, by a shaping rule: {re.escape(REPLY)}", text), text
    live = json.loads(here.must("queue", "watch", "--count", "1", "--json").splitlines()[0])
    assert live["suspensions"] == [one]
    send(here, f"second@{domain}")
    send(here, f"other@{elsewhere}")
    wait_messages(other, 1)
    base.wait_for(lambda: "rule: site strict" in here.must("queue", "list"), "what came later to be kept back")

    # The provider said an hour: a restart, however it comes, is no excuse.
    asked = mails(peer)
    peer.script.clear()
    here.kill()
    here.start()
    assert suspensions(here) == [one]
    here.must("queue", "retry", "--all")
    send(here, f"third@{domain}")
    wait_kept_back(here, 3)
    here.restart()
    assert suspensions(here) == [one]
    here.must("queue", "retry", "--all")
    send(here, f"fourth@{domain}")
    wait_kept_back(here, 4)
    assert mails(peer) == asked and peer.messages == []
    waiting = here.queue_list("--suspended")
    assert all(f"a shaping rule: site strict ({REPLY})" in r["last_reply"] and r["due_at_ms"] >= one["until_ms"] - 1000
               for m in waiting for r in m["recipients"])
    assert json.loads(here.must("queue", "summary", "--json"))["suspended"] == 4

    said = here.must("queue", "resume", "--site", "STRICT")
    assert "4 recipients to be tried now" in said and "a shaping rule had suspended it until 20" in said and REPLY in said, said
    wait_messages(peer, 4)
    here.wait_queue_empty()
    assert "Nothing is suspended" in here.must("queue", "suspended")
    here.restart()
    send(here, f"fifth@{domain}")
    wait_messages(peer, 5)
    assert here.cli("queue", "resume", "--site", "strict").returncode == 67


def test_lifted_while_stopped(make_here):
    here, peer, domain, elsewhere, other = make_here(queue=SELDOM)
    send(here, f"first@{domain}")
    [one] = wait_suspended(here)
    send(here, f"second@{domain}")
    wait_kept_back(here, 1)
    here.stop()
    assert suspensions(here) == [one]
    peer.script.clear()
    assert "1 recipient to be tried now" in here.must("queue", "resume", "--site", "strict")
    assert suspensions(here) == []
    here.start()
    wait_messages(peer, 1)
    assert peer.messages[0].recipients == [f"second@{domain}"]
    here.must("queue", "retry", "--all")  # the first was told 421 itself, and waits for its time
    here.wait_queue_empty()


def test_told_again_it_is_suspended_again(make_here):
    here, peer, domain, elsewhere, other = make_here()
    send(here, f"first@{domain}")
    [one] = wait_suspended(here)
    asked = mails(peer)
    here.must("queue", "resume", "--site", "strict")
    [two] = wait_suspended(here)
    base.wait_for(lambda: mails(peer) > asked, "a try")
    assert two["until_ms"] > one["until_ms"]
    here.kill()
    here.start()
    assert suspensions(here) == [two]


def test_it_ends_by_itself(make_here):
    here, peer, domain, elsewhere, other = make_here("4s")
    send(here, f"first@{domain}")
    wait_suspended(here)
    here.kill()
    peer.script.clear()
    here.start()
    wait_messages(peer, 1)
    here.wait_queue_empty()
    assert suspensions(here) == []


def test_streams_apart(make_here):
    """One stream's trouble is its own; and what is lifted is what was named."""
    here, peer, domain, elsewhere, other = make_here(queue=SELDOM)
    for name in ("shop", "news", "joe"):
        send(here, f"{name}@{domain}", sender=f"{name}@here.example")
    wait_suspended(here, 3)
    for name in ("shop", "news", "joe"):
        send(here, f"{name}.later@{domain}", sender=f"{name}@here.example")
    wait_kept_back(here, 3)
    peer.script.clear()
    assert {s.get("stream") for s in suspensions(here)} == {None, "shop", "news"}
    here.restart()
    said = here.must("queue", "resume", "--site", "strict", "--stream", "shop")
    assert "site strict, stream shop is resumed: 1 recipient to be tried now" in said, said
    base.wait_for(lambda: f"shop.later@{domain}" in [r for m in peer.messages for r in m.recipients], "the shop's mail")
    here.must("queue", "suspend", "--site", "strict", "--stream", "shop", "--reason", "wrong prices")
    listed = here.must("queue", "suspended")
    assert "site strict, stream shop: until it is resumed (wrong prices)" in listed and len(listed.splitlines()) == 3, listed
    send(here, f"shop.last@{domain}", sender="shop@here.example")
    send(here, f"shop.free@{elsewhere}", sender="shop@here.example")
    wait_messages(other, 1)
    wait_kept_back(here, 3)
    assert "site strict, stream shop (wrong prices)" in here.must("queue", "list", "--stream", "shop", "--suspended")
    said = here.must("queue", "resume", "--stream", "news")
    assert "stream news is resumed: 1 recipient" in said and "site strict, stream news: a shaping rule had suspended it" in said, said
    here.must("queue", "suspend", "--stream", "shop")
    said = here.must("queue", "resume", "--site", "strict", "--stream", "shop")
    assert "stream shop is suspended still" in said, said
    assert {s["kind"] for s in suspensions(here)} == {"site", "stream"}
    here.must("queue", "resume", "--stream", "shop")
    here.must("queue", "resume", "--site", "strict")
    assert suspensions(here) == []
    here.must("queue", "retry", "--all")  # those that were told 421 themselves, and wait for their time
    wait_messages(peer, 7)
    here.wait_queue_empty()


def test_answers_are_plain(make_here):
    here, peer, domain, elsewhere, other = make_here()
    send(here, f"first@{domain}")
    wait_suspended(here)
    done = here.cli("queue", "resume", "--domain", domain)
    assert done.returncode == 67 and f"domain {domain} was not suspended itself, see: postrider queue suspended" in done.stderr, done
    for word in ("suspend", "resume"):
        done = here.cli("queue", word, "--site", "strict@shop")
        assert done.returncode in (65, 67) and "no site has an '@' in its name" in done.stderr and done.stdout == "", done
    done = here.cli("queue", "resume", "--site", "strict", "--stream", "shop")
    assert done.returncode == 67 and "site strict, stream shop was not suspended" in done.stderr, done
    assert len(suspensions(here)) == 1


def test_resumed_under_fire(make_here):
    """Mail comes all the time; what was put off in the moment of resuming is not forgotten until the end of an hour."""
    here, peer, domain, elsewhere, other = make_here(queue=SELDOM)
    send(here, f"first@{domain}")
    wait_suspended(here)
    peer.script.clear()
    here.must("queue", "resume", "--site", "strict")
    stop, sent = threading.Event(), [0, 0]

    def fire(number):
        with Wire(here.ip, here.mx_port) as wire:
            wire.hello()
            while not stop.is_set() and sent[number] < 2000:
                wire.envelope("joe@here.example", f"u{number}.{sent[number]}@{domain}")
                assert wire.data("Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
                sent[number] += 1
    threads = [threading.Thread(target=fire, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            here.must("queue", "suspend", "--site", "strict", "--for", "1h")
            here.must("queue", "resume", "--site", "strict")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    wait_messages(peer, sum(sent))
    here.must("queue", "retry", "--all")  # the first of all was told 421 itself
    here.wait_queue_empty()
