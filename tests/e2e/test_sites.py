"""Sites, not domains: what shares connections, limits and back-off, and what must never wait for somebody else's trouble."""
import threading
import time
import uuid

import pytest

from lab import base
from lab.scripted_peer import STALL
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}, "limits": {"messages_per_session": 100000, "recipients_per_message": 1000}}


@pytest.fixture
def here(make_postrider):
    return make_postrider(accounts={"joe": "joe"}, config=TRUSTED)


def send(server, *messages, sender=None, options=""):
    """Each of the messages is a list of recipients; all go over one session. Their subjects."""
    subjects = []
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        for recipients in messages:
            subjects.append(uuid.uuid4().hex)
            wire.expect(250, f"MAIL FROM:<{sender or server.full('joe')}>{options}")
            for recipient in [recipients] if isinstance(recipients, str) else recipients:
                wire.expect(250, f"RCPT TO:<{recipient}>")
            assert wire.data(f"Subject: {subjects[-1]}\r\n\r\nx\r\n.\r\n").startswith("250")
    return subjects


def subject(message):
    return next(line[9:] for line in message.data.decode().split("\r\n") if line.startswith("Subject: "))


def wait_messages(peer, count):
    base.wait_for(lambda: len(peer.messages) >= count, lambda: f"{count} messages at the peer; has {len(peer.messages)}: "
                  f"{[s.commands for s in peer.sessions][:20]}")
    return peer.messages


@pytest.fixture
def make_company(dns):
    """make_company(count, hosts) puts so many domains in DNS with the same MX hosts, which are {name: address}; their names."""

    def make(count, *peers):
        label = "c" + uuid.uuid4().hex[:8]
        records = [f"mx{n}.{label} A {peer if isinstance(peer, str) else peer.ip}" for n, peer in enumerate(peers)]
        for number in range(count):
            # In another order of preference each: the set is what counts.
            records += [f"{label}-{number} MX {10 * ((n + number) % len(peers) + 1)} mx{n}.{label}" for n in range(len(peers))]
        dns.add(*records)
        return [f"{label}-{number}.example" for number in range(count)]

    return make


# --- sharing ---

def test_domains_with_the_same_hosts_share_connections(make_postrider, make_peer, make_company):
    here = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "delivery": {"concurrency_per_destination": 1, "idle": "60s"}})
    peer = make_peer()
    domains = make_company(20, peer)
    send(here, *[f"x@{domain}" for domain in domains])
    wait_messages(peer, 20)
    here.wait_queue_empty()
    # A message to several of them: no transaction has recipients of two domains, which large sites refuse.
    send(here, [f"{user}@{domain}" for domain in domains[:5] for user in ("a", "b")])
    wait_messages(peer, 25)
    assert sorted(m.recipients for m in peer.messages[20:]) == sorted([f"a@{d}", f"b@{d}"] for d in domains[:5])
    assert len(peer.sessions) == 1


@pytest.fixture
def patient(make_postrider):
    """Its connections stay open for as long as a test takes."""
    return make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "delivery": {"idle": "5m"}})


def test_the_same_hosts_in_another_order(patient, dns, make_peer):
    """RFC 5321 §5.1: one's best host is the other's second, and a connection to it is no reason to go there while the best is up."""
    label = "o" + uuid.uuid4().hex[:6]
    first, second = make_peer(), make_peer()
    dns.add(f"a.{label} A {first.ip}", f"b.{label} A {second.ip}",
            f"one.{label} MX 10 a.{label}", f"one.{label} MX 20 b.{label}", f"two.{label} MX 20 a.{label}", f"two.{label} MX 10 b.{label}")
    for _ in range(3):
        for domain in ("one", "two"):
            send(patient, f"x@{domain}.{label}.example")
            patient.wait_queue_empty()
    assert {(peer, m.recipients[0].partition(".")[0]) for peer in (first, second) for m in peer.messages} == {(first, "x@one"), (second, "x@two")}
    assert [len(peer.messages) for peer in (first, second)] == [3, 3]


def test_a_second_host_serves_all_while_the_best_is_down(patient, dns, make_peer):
    """What one connection found out is not found out again for each message, or for the next domain with the same hosts."""
    label = "w" + uuid.uuid4().hex[:6]
    down, up = make_peer(script={"GREETING": lambda session, argument: "421 4.3.2 closed"}), make_peer()
    dns.add(f"a.{label} A {down.ip}", f"b.{label} A {up.ip}",
            *[f"{domain}.{label} MX {preference} {host}.{label}" for domain in ("one", "two") for preference, host in ((10, "a"), (20, "b"))])
    for domain in ("one", "one", "two", "two"):
        send(patient, f"x@{domain}.{label}.example")
        patient.wait_queue_empty()
    assert (len(up.messages), len(up.sessions), len(down.sessions)) == (4, 1, 1)


def test_limit_holds_for_all_of_them_together(make_postrider, make_peer, make_company):
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "delivery": {"concurrency_per_destination": 3}})
    lock, open_now, most, go = threading.Lock(), set(), [0], threading.Event()

    def mail(session, argument):
        with lock:
            open_now.add(session)
            most[0] = max(most[0], len(open_now))
        go.wait(base.PATIENCE_S)

    def body(session, message):
        with lock:
            open_now.discard(session)

    peer = make_peer(script={"MAIL": mail, "BODY": body})
    domains = make_company(30, peer)
    send(server, *[f"x@{domain}" for domain in domains])
    peer_waits = base.wait_for(lambda: len(open_now) >= 2, "connections that are used")
    assert peer_waits
    go.set()
    wait_messages(peer, 30)
    assert most[0] <= 3


def test_back_off_of_one_is_that_of_all(make_postrider, make_peer, make_company):
    """Hosts that turn one domain's mail away are not asked again for the others."""
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "queue": {"retry_first": "1h", "retry_max": "4h"}})
    peer = make_peer(script={"GREETING": "421 4.3.2 closed for today"})
    domains = make_company(10, peer)
    send(server, f"x@{domains[0]}")
    server.wait_log(rf"event=deferred .*to=x@{domains[0]} ")
    asked = len(peer.sessions)
    send(server, *[f"x@{domain}" for domain in domains[1:]])
    for domain in domains[1:]:
        server.wait_log(rf"event=deferred .*to=x@{domain} .*closed for today")
    assert len(peer.sessions) == asked
    peer.script.clear()
    server.must("queue", "retry", "--all")
    wait_messages(peer, 10)


def test_other_hosts_are_another_destination(make_postrider, make_peer, make_company):
    """A dead set of hosts, and one that has one of them among others."""
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "queue": {"retry_first": "1h", "retry_max": "4h"}})
    dead, live = make_peer(script={"GREETING": "421 4.3.2 closed"}), make_peer()
    [alone], [both] = make_company(1, dead), make_company(1, dead, live)
    send(server, f"x@{alone}")
    server.wait_log(rf"event=deferred .*to=x@{alone} ")
    send(server, f"x@{both}")
    wait_messages(live, 1)


# --- trouble of one ---

def test_one_dead_among_a_thousand(here, dns, make_peer):
    """The server that says nothing has a long queue, and the thousand others don't notice."""
    label = "k" + uuid.uuid4().hex[:6]
    dead, live = make_peer(script={"GREETING": lambda session, argument: STALL}), [make_peer() for _ in range(10)]
    dns.add(f"dead.{label} A {dead.ip}", *[f"d{n}.{label} A {live[n % 10].ip}" for n in range(1000)])
    send(here, *[f"x{n}@dead.{label}.example" for n in range(30)])
    assert dead.stalled.wait(base.PATIENCE_S)
    send(here, *[[f"x@d{n}.{label}.example" for n in range(first, first + 50)] for first in range(0, 1000, 50)])
    base.wait_for(lambda: sum(len(peer.messages) for peer in live) >= 1000,
                  lambda: f"the mail to the thousand: {sum(len(peer.messages) for peer in live)}")
    reached = {r for peer in live for m in peer.messages for r in m.recipients}
    assert len(reached) == 1000 and len(dead.sessions) <= 2
    # And those who come later neither.
    send(here, f"late@d7.{label}.example")
    base.wait_for(lambda: any("late@" in r for m in live[7].messages for r in m.recipients), "the late one")


def test_flood_on_disk_holds_up_nobody(make_postrider, make_peer, make_domain):
    """Far more than memory holds waits for a server that takes nothing; what is behind it on disk goes out, and then the flood, all of it once."""
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "queue": {"active_recipients": 50}, "delivery": {"connections": 40}})
    go = threading.Event()
    peer, other = make_peer(script={"BODY": lambda session, message: go.wait(base.PATIENCE_S) and None}), make_peer()
    flooded, domain = make_domain("flooded", peer), make_domain("behind", other)
    rest = [f"x{n}@{domain}" for n in range(20)]
    floods = [f"x{n}@{flooded}" for n in range(400)]
    probe = make_domain("probe", make_peer())
    for suspended in (flooded, domain, probe):
        server.must("queue", "suspend", "--domain", suspended)
    # They are in force soon after: when a message to the last one is kept back.
    base.wait_for(lambda: send(server, f"x@{probe}") and time.sleep(0.5) is None and server.queue_list("--deferred"), "the suspensions")
    server.must("queue", "remove", "--domain", probe)
    send(server, *floods, *rest)
    base.wait_for(lambda: len(server.queue_list("--deferred")) == 420, "all of it on disk", step=0.3)
    server.stop()
    server.start()
    server.must("queue", "resume", "--domain", flooded)
    base.wait_for(lambda: peer.sessions, "the flood to begin")
    server.must("queue", "resume", "--domain", domain)
    wait_messages(other, 20)
    assert len(peer.messages) == 0
    send(server, f"new@{domain}")
    wait_messages(other, 21)
    go.set()
    wait_messages(peer, 400)
    server.wait_queue_empty()
    assert sorted(r for m in peer.messages for r in m.recipients) == sorted(floods)


def test_servers_that_say_nothing_make_room(make_postrider, make_peer, dns):
    """More of them than there may be connections: who has none gets one of theirs."""
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "delivery": {"connections": 8},
                                                             "queue": {"retry_first": "1h", "retry_max": "4h"}})
    label = "s" + uuid.uuid4().hex[:6]
    silent, live = make_peer(script={"GREETING": lambda session, argument: STALL}), make_peer()
    dns.add(*[f"d{n}.{label} A {silent.ip}" for n in range(12)], f"live.{label} A {live.ip}")
    send(server, *[f"x@d{n}.{label}.example" for n in range(12)])
    base.wait_for(lambda: len(silent.sessions) >= 8, "all connections to be taken")
    send(server, f"x@live.{label}.example")
    wait_messages(live, 1)
    server.wait_log("event=deferred .*let us wait for too long")


# --- one connection after the other ---

def test_connections_end_by_age(make_postrider, make_peer, make_domain):
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "delivery": {"connection_age": "2s", "idle": "60s"}})
    peer = make_peer()
    domain = make_domain("age", peer)
    send(server, f"x@{domain}")
    [first] = wait_messages(peer, 1)
    time.sleep(2.5)  # older than it may be, and idle all the time
    send(server, f"y@{domain}")
    second = wait_messages(peer, 2)[1]
    assert first.session is not second.session
    # After a reload as before.
    server.write_config(delivery={"connection_age": "1h"})
    server.reload()
    send(server, f"z@{domain}")
    wait_messages(peer, 3)


def test_higher_priority_goes_first(make_postrider, make_peer, make_domain):
    server = make_postrider(accounts={"joe": "joe"}, config={
        **TRUSTED, "delivery": {"concurrency_per_destination": 1},
        "stream urgent": {"senders": "urgent@here.example", "priority": 5}, "stream bulk": {"senders": "bulk@here.example", "priority": -5}})
    go = threading.Event()
    peer = make_peer(script={"MAIL": lambda session, argument: go.wait(base.PATIENCE_S) and None})
    domain = make_domain("first", peer)
    held = send(server, f"x@{domain}")
    base.wait_for(lambda: peer.sessions and any(c.startswith("MAIL") for c in peer.sessions[0].commands), "the first message under way")
    low = send(server, f"x@{domain}", f"y@{domain}", options=" MT-PRIORITY=-3")
    usual = send(server, f"x@{domain}", f"y@{domain}")
    high = send(server, f"x@{domain}", f"y@{domain}", options=" MT-PRIORITY=4")
    go.set()
    wait_messages(peer, 7)
    assert [subject(m) for m in peer.messages] == held + high + usual + low


def test_trouble_of_one_stream_is_not_anothers(make_postrider, make_peer, make_domain):
    """The same hosts turn one stream's mail away: the other's goes on."""
    server = make_postrider(accounts={"joe": "joe"}, config={
        **TRUSTED, "queue": {"retry_first": "1h", "retry_max": "4h"}, "delivery": {"idle": "0s"},
        "stream shop": {"senders": "shop@here.example", "connections": 1}})
    peer = make_peer(script={"EHLO": lambda session, argument: "421 4.7.0 go away" if not peer.messages else None})
    domain = make_domain("streams", peer)
    send(server, f"x@{domain}", sender="shop@here.example")
    server.wait_log(rf"event=deferred .*to=x@{domain} .*go away")
    peer.script.clear()
    send(server, f"y@{domain}")
    [message] = wait_messages(peer, 1)
    assert message.recipients == [f"y@{domain}"]
    assert len(server.queue_list("--deferred")) == 1


def test_rates_and_limits_wait_for_no_idle_connection(make_postrider, make_peer, make_domain):
    """Connections that are kept for long: who waits for a rate goes on in time, and who waits for a connection gets an idle one's place."""
    server = make_postrider(accounts={"joe": "joe"}, config={
        **TRUSTED, "delivery": {"idle": "5m", "concurrency_per_destination": 1},
        "stream slow": {"senders": "slow@here.example", "rate": "2/s"}, "stream narrow": {"senders": "narrow@here.example", "connections": 1}})
    peers = [make_peer() for _ in range(4)]
    domains = [make_domain("idle", peer) for peer in peers]
    send(server, *[f"x{n}@{domains[0]}" for n in range(8)], sender="slow@here.example")
    wait_messages(peers[0], 8)
    for peer, domain in zip(peers[1:], domains[1:]):
        send(server, f"x@{domain}", sender="narrow@here.example")
        wait_messages(peer, 1)


# --- by a time ---

def test_sender_is_told_when_its_time_is_up(make_postrider, make_peer, make_domain):
    server = make_postrider(accounts={"joe": "joe"}, config={**TRUSTED, "queue": {"retry_first": "1s", "retry_max": "1s"}})
    peer = make_peer(script={"MAIL": "451 4.3.0 not now"})
    send(server, f"x@{make_domain('byn', peer)}", options=" BY=3;N")
    [report] = server.wait_mail("joe")
    assert "Action: delayed" in report.as_string(), report.as_string()
    peer.script.clear()
    wait_messages(peer, 1)
    server.wait_queue_empty()
    assert len(server.mailbox("joe")) == 1
