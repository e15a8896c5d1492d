"""Streams: which mail belongs to one, what addresses it is sent from, and that one stream's trouble is not another's."""
import datetime
import json
import smtplib
import ssl
import threading
import uuid

import pytest

from lab import base, scripted_peer
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


def send(server, recipient, sender="joe@here.example", headers=""):
    """Submits over the mx listener from a trusted network; the subject."""
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.expect(250, f"MAIL FROM:<{sender}>")
        wire.expect(250, f"RCPT TO:<{recipient}>")
        wire.expect(354, "DATA")
        wire.send(f"From: {sender}\r\nTo: {recipient}\r\nSubject: {about}\r\n{headers}\r\nhello\r\n.\r\n")
        wire.expect(250)
    return about


def submit(server, login, recipient):
    """With a login, on port 587."""
    about = "Test " + uuid.uuid4().hex[:12]
    context = ssl.create_default_context(cafile=server.ca)
    with smtplib.SMTP(server.ip, server.submission_port) as client:
        client.starttls(context=context)
        client.login(server.full(login), server.passwords[server.full(login)])
        client.sendmail(server.full(login), [recipient], f"From: {server.full(login)}\r\nSubject: {about}\r\n\r\nhello\r\n")
    return about


def subject(message):
    return next(line[9:] for line in message.data.decode().split("\r\n") if line.startswith("Subject: "))


def wait_message(peer, about):
    def found():
        return next((m for m in list(peer.messages) if subject(m) == about), None)

    return base.wait_for(found, lambda: f"{about} at the peer; has {[subject(m) for m in peer.messages]}")


def came_from(message):
    """(address, EHLO name) of the connection that brought it."""
    return message.source, message.session.helo


@pytest.fixture
def make_sourced_peer(make_peer):
    """A peer that keeps of each message where its connection came from."""

    def make(**more):
        script = dict(more.pop("script", {}))
        inner = script.get("MAIL")

        def mail(session, argument):
            session.source = session.socket.getpeername()[0]
            return inner(session, argument) if callable(inner) else inner

        script["MAIL"] = mail
        peer = make_peer(script=script, **more)
        record = peer.record

        def keep(message):
            message.source = message.session.source
            record(message)

        peer.record = keep
        return peer

    return make


@pytest.fixture
def addresses(lab):
    return [lab.address() for _ in range(4)]


def egress(number, addresses, **more):
    return {f"egress ip{number}": {"source_ipv4": addresses[number], "ehlo_name": f"out{number}.here.example", **more}}


def test_the_rules_choose_the_stream_and_it_its_address(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    domain, other = make_domain("streams", peer), make_domain("other", peer)
    names = ["campaign", "sender", "account", "recipient"]
    config = {**TRUSTED}
    rules = [{"headers": ["List-Unsubscribe", "X-Campaign: spring*"]}, {"senders": ["@news.example", "alerts@here.example"]},
             {"listeners": ["submission"], "accounts": ["ann@here.example"]}, {"recipients": [other]}]
    sources = {}
    for number, (name, rule) in enumerate(zip(names, rules)):
        sources[name] = (addresses[number], f"{name}.here.example")
        config[f"egress {name}"] = {"source_ipv4": addresses[number], "ehlo_name": f"{name}.here.example"}
        config[f"stream {name}"] = {**rule, "egress": [name]}
    server = make_postrider(domain="here.example", accounts={"joe": "joe", "ann": "ann"}, config=config)
    sent = {
        send(server, f"a@{domain}", headers="X-Campaign: Spring sale\r\n"): "campaign",
        send(server, f"a@{domain}", headers="List-Unsubscribe: <https://here.example/u>\r\n", sender="x@news.example"): "campaign",
        send(server, f"a@{domain}", headers="X-Campaign: autumn\r\n", sender="x@news.example"): "sender",
        send(server, f"a@{domain}", sender="alerts@here.example"): "sender",
        send(server, f"a@{domain}"): None,
        send(server, f"a@{other}"): "recipient",
        submit(server, "ann", f"a@{domain}"): "account",
        submit(server, "joe", f"a@{domain}"): None,
    }
    for about, stream in sent.items():
        source, name = came_from(wait_message(peer, about))
        if stream is None:
            assert name == server.hostname and source not in [ip for ip, _ in sources.values()], about
        else:
            assert (source, name) == sources[stream], (about, stream)
    server.wait_queue_empty()


def test_one_message_may_go_two_ways(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    one, two = make_domain("one", peer), make_domain("two", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses), **egress(2, addresses),
        "stream one": {"recipients": [one], "egress": ["ip1"]}, "stream two": {"recipients": [two], "egress": ["ip2"]}})
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        wire.expect(250, "MAIL FROM:<joe@here.example>")
        wire.expect(250, f"RCPT TO:<a@{one}>")
        wire.expect(250, f"RCPT TO:<b@{two}>")
        wire.expect(250, "RCPT TO:<joe@here.example>")
        wire.expect(354, "DATA")
        wire.send("Subject: both\r\n\r\nhello\r\n.\r\n")
        wire.expect(250)
    base.wait_for(lambda: len(peer.messages) == 2, lambda: f"two copies: {peer.messages}")
    assert {m.recipients[0].split("@")[1].rstrip(">"): m.source for m in peer.messages} == {one: addresses[1], two: addresses[2]}
    server.wait_mail("joe", subject="both")
    server.wait_queue_empty()


def test_weights(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    domain = make_domain("weights", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses, weight=3), **egress(2, addresses, weight=1), **egress(0, addresses, weight=0),
        "delivery": {"messages_per_connection": 1}, "stream all": {"egress": ["ip0", "ip1", "ip2"]}})
    for _ in range(80):
        send(server, f"a@{domain}")
    base.wait_for(lambda: len(peer.messages) == 80, lambda: f"80 messages; has {len(peer.messages)}")
    counts = [sum(m.source == ip for m in peer.messages) for ip in addresses[:3]]
    # Of 80 with three chances in four: fewer than 40, or all, is less likely than one in a million.
    assert counts[0] == 0 and counts[1] + counts[2] == 80 and 40 <= counts[1] < 80, counts
    assert {m.session.helo for m in peer.messages} == {"out1.here.example", "out2.here.example"}


def test_a_new_address_has_a_ceiling(make_postrider, make_sourced_peer, make_domain, addresses):
    now = datetime.datetime.now(datetime.timezone.utc)
    if (now + datetime.timedelta(minutes=10)).date() != now.date():
        pytest.skip("the day ends while this runs")
    peer = make_sourced_peer()
    domain = make_domain("ceiling", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses, warm_up=[3, 10], warm_up_start=now.strftime("%Y-%m-%d")), **egress(2, addresses),
        "stream new": {"senders": ["new@here.example"], "egress": ["ip1"]},
        "stream old": {"senders": ["old@here.example"], "egress": ["ip2"]}})
    for _ in range(8):
        send(server, f"a@{domain}", sender="new@here.example")

    def deferred():
        waiting = [r for m in server.queue_list("--stream", "new") for r in m["recipients"] if r.get("last_reply")]
        return waiting if len(waiting) == 5 else None

    waiting = base.wait_for(deferred, lambda: f"five that wait: {server.queue_list()}", step=0.3)
    for recipient in waiting:
        assert "ceiling" in recipient["last_reply"] and "ip1" in recipient["last_reply"], recipient
    # The other stream, to the same hosts, does not notice.
    wait_message(peer, send(server, f"a@{domain}", sender="old@here.example"))
    assert sum(m.source == addresses[1] for m in peer.messages) == 3

    def listed():
        [one] = [e for e in json.loads(server.must("stream", "list", "--json"))["egress"] if e["name"] == "ip1"]
        return one if one["sent_today"] == 3 else None

    one = base.wait_for(listed, "the count in the store", step=0.3)
    assert (one["ceiling"], one["plan_day"], one["plan_days"]) == (3, 1, 2), one
    assert "today 3 messages of 3 (day 1 of 2" in server.must("stream", "list")
    # After a restart it is still the same day.
    server.restart()
    send(server, f"a@{domain}", sender="new@here.example")
    wait_message(peer, send(server, f"a@{domain}", sender="old@here.example"))
    base.wait_for(lambda: len([r for m in server.queue_list("--stream", "new") for r in m["recipients"] if r.get("last_reply")]) == 6,
                  lambda: f"six that wait: {server.queue_list()}", step=0.3)
    assert sum(m.source == addresses[1] for m in peer.messages) == 3


def test_trouble_of_one_stream_is_not_anothers(make_postrider, lab, make_sourced_peer, make_domain, addresses):
    def mail(session, _):
        return "421 4.7.0 too much mail from you today" if session.helo == "out1.here.example" else None

    peer = make_sourced_peer(script={"MAIL": mail})
    domain = make_domain("trouble", peer)
    rules = lab.path("rules", f"{domain}.rules")
    with open(rules, "w", encoding="utf-8") as f:
        f.write(f"site partner\n  mx *.{domain}\n  connections 5\n  when 421 4.7.0 \"too much mail\" suspend 1h\n")
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses), **egress(2, addresses), "delivery": {"shaping": rules},
        "stream bulk": {"headers": ["X-Bulk"], "egress": ["ip1"]}, "stream team": {"egress": ["ip2"]}})
    for _ in range(5):
        send(server, f"a@{domain}", headers="X-Bulk: yes\r\n")

    def kept(count):
        # Those that were tried before it was known come back once more.
        replies = [r.get("last_reply") or "" for m in server.queue_list("--stream", "bulk") for r in m["recipients"]]
        return sum("suspended by a shaping rule: site partner, stream bulk" in reply for reply in replies) == count

    base.wait_for(lambda: kept(5), lambda: f"five that wait: {server.queue_list()}", step=0.3)
    server.wait_log(r"site-suspended .*site=partner .*stream=bulk")
    for _ in range(5):
        wait_message(peer, send(server, f"a@{domain}"))
    assert {m.source for m in peer.messages} == {addresses[2]}
    # New mail of the stream is not tried, either.
    tries = len(peer.sessions)
    send(server, f"a@{domain}", headers="X-Bulk: yes\r\n")
    base.wait_for(lambda: kept(6), lambda: f"six that wait: {server.queue_list()}", step=0.3)
    assert not [s for s in peer.sessions[tries:] if s.helo == "out1.here.example"]


def test_a_rate_holds_back_its_stream_only(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    domain = make_domain("rate", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses), "stream slow": {"headers": ["X-Slow"], "egress": ["ip1"], "rate": ["2/d"]},
        "stream fast": {"egress": ["ip1"]}})
    slow = [send(server, f"a@{domain}", headers="X-Slow: yes\r\n") for _ in range(3)]
    base.wait_for(lambda: peer.messages, "the first")
    for _ in range(10):
        wait_message(peer, send(server, f"a@{domain}"))
    # Two a day: one now, the next in half a day.
    assert sum(subject(m) in slow for m in peer.messages) == 1
    assert len(server.queue_list()) == 2


def test_egress_limits_are_shared_by_streams(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    domain = make_domain("shared", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, **egress(1, addresses, rate=["2/d"]), **egress(2, addresses),
        "stream one": {"headers": ["X-One"], "egress": ["ip1"]}, "stream two": {"headers": ["X-Two"], "egress": ["ip1"]},
        "stream rest": {"egress": ["ip2"]}})
    first = send(server, f"a@{domain}", headers="X-One: yes\r\n")
    wait_message(peer, first)
    second = send(server, f"a@{domain}", headers="X-Two: yes\r\n")
    for _ in range(5):
        wait_message(peer, send(server, f"a@{domain}"))
    assert not [m for m in peer.messages if subject(m) == second]


def count_open(peer):
    """Notes in peer.most how many connections it had at one time. One that said QUIT ends in a moment."""
    lock, peer.most = threading.Lock(), 0

    def ehlo(session, argument):
        with lock:
            others = [s for s in peer.sessions if s is not session and not s.ended.wait(0 if peer.most > 1 else 5)]
            peer.most = max(peer.most, 1 + len(others))

    peer.script["EHLO"] = ehlo


def send_all(server, recipients, sender="joe@here.example"):
    """A message to each, over one session."""
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        for recipient in recipients:
            wire.expect(250, f"MAIL FROM:<{sender}>")
            wire.expect(250, f"RCPT TO:<{recipient}>")
            wire.expect(354, "DATA")
            wire.send(f"Subject: {recipient}\r\n\r\nx\r\n.\r\n")
            wire.expect(250)


def test_many_destinations_for_one_connection(make_postrider, make_sourced_peer, dns, addresses):
    """A connection that has nothing more to do is not kept, however long it might be, while others wait for one from the same address."""
    label = "e" + uuid.uuid4().hex[:6]
    peer = make_sourced_peer()
    count_open(peer)
    dns.add(*[f"d{n}.{label} A {peer.ip}" for n in range(60)])
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "delivery": {"idle": "5m"}, "limits": {"messages_per_session": 1000}, **egress(1, addresses, connections=1),
        "stream all": {"egress": ["ip1"]}})
    send_all(server, [f"x@d{n}.{label}.example" for n in range(60) for _ in range(2)])
    base.wait_for(lambda: len(peer.messages) == 120, lambda: f"120 messages; has {len(peer.messages)}")
    assert {m.source for m in peer.messages} == {addresses[1]} and peer.most == 1


def test_many_destinations_of_a_stream_for_one_connection(make_postrider, make_sourced_peer, dns):
    """The same where it is the stream that has one."""
    label = "f" + uuid.uuid4().hex[:6]
    peer = make_sourced_peer()
    count_open(peer)
    dns.add(*[f"d{n}.{label} A {peer.ip}" for n in range(40)])
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "delivery": {"idle": "5m"}, "limits": {"messages_per_session": 1000}, "stream all": {"connections": 1}})
    send_all(server, [f"x@d{n}.{label}.example" for n in range(40) for _ in range(2)])
    base.wait_for(lambda: len(peer.messages) == 80, lambda: f"80 messages; has {len(peer.messages)}")
    assert peer.most == 1


def test_a_connection_is_kept_until_the_rate_lets_the_next_message_go(make_postrider, make_sourced_peer, make_domain, addresses):
    peer = make_sourced_peer()
    domain = make_domain("kept", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "delivery": {"idle": "1m", "concurrency_per_destination": 1}, "limits": {"messages_per_session": 1000},
        **egress(1, addresses, rate=["200/m"]), "stream all": {"egress": ["ip1"]}})
    send_all(server, [f"x{n}@{domain}" for n in range(30)])
    base.wait_for(lambda: len(peer.messages) == 30, lambda: f"30 messages; has {len(peer.messages)}")
    assert len(peer.sessions) == 1


def test_a_stalled_stream_with_a_thousand_destinations(make_postrider, make_sourced_peer, dns, addresses):
    """All places of one stream's address are taken by servers that say nothing; the other stream's mail to the same servers' neighbours flows, and that
    of the first goes on when there is a place again."""
    label = "g" + uuid.uuid4().hex[:6]
    go = threading.Event()
    stalled = make_sourced_peer(script={"BODY": lambda session, message: go.wait(base.PATIENCE_S) and None})
    live = make_sourced_peer()
    dns.add(*[f"s{n}.{label} A {stalled.ip}" for n in range(4)], *[f"d{n}.{label} A {live.ip}" for n in range(1000)])
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "limits": {"messages_per_session": 10000}, **egress(1, addresses, connections=4), **egress(2, addresses, connections=2),
        "stream bulk": {"senders": ["bulk@here.example"], "egress": ["ip1"]},
        "stream team": {"senders": ["team@here.example"], "egress": ["ip2"]}})
    send_all(server, [f"x@s{n}.{label}.example" for n in range(4)], sender="bulk@here.example")
    base.wait_for(lambda: sum(s.message is None and bool(s.commands) for s in stalled.sessions) >= 4, "four that stall")
    send_all(server, [f"x@d{n}.{label}.example" for n in range(1000)], sender="bulk@here.example")
    for n in range(0, 1000, 100):
        send_all(server, [f"y@d{n + m}.{label}.example" for m in range(10)], sender="team@here.example")
        base.wait_for(lambda: len(live.messages) >= n // 10 + 10, lambda: f"{n // 10 + 10} of the team's; has {len(live.messages)}")
    assert {m.source for m in live.messages} == {addresses[2]}
    go.set()
    base.wait_for(lambda: len(live.messages) == 1100, lambda: f"all of it; has {len(live.messages)}")
    assert len(stalled.messages) == 4 and {m.source for m in stalled.messages} == {addresses[1]}


@pytest.mark.parametrize("troubled", ["bulk", "none"])
def test_one_stream_does_not_take_all_connections(make_postrider, make_sourced_peer, make_domain, dns, troubled):
    """More servers that say nothing than there are connections: some are left for the others, and nobody has to lose his first."""
    label = "h" + uuid.uuid4().hex[:6]
    silent, live = make_sourced_peer(script={"GREETING": scripted_peer.STALL}), make_sourced_peer()
    domain = make_domain("others", live)
    dns.add(*[f"s{n}.{label} A {silent.ip}" for n in range(40)])
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "delivery": {"connections": 16}, "limits": {"messages_per_session": 1000},
        "stream bulk": {"senders": ["bulk@here.example"]}, "stream team": {"senders": ["team@here.example"]}})
    send_all(server, [f"x@s{n}.{label}.example" for n in range(40)], sender=f"{troubled}@here.example")
    base.wait_for(lambda: len(silent.sessions) >= 14, lambda: f"14 that stall; has {len(silent.sessions)}")
    for n in range(5):
        send_all(server, [f"x{n}@{domain}"], sender="team@here.example")
        base.wait_for(lambda: len(live.messages) > n, lambda: f"{n + 1} of the team's; has {len(live.messages)}")
    assert "let us wait for too long" not in server.log_text()
    # Those behind the silent ones have their turn, too.
    base.wait_for(lambda: len(silent.sessions) >= 20, lambda: f"20 that stall; has {len(silent.sessions)}")


@pytest.fixture
def one_a_day(make_postrider, make_sourced_peer, make_domain, addresses):
    """A server that may send one message today, as three counts say; (server, bad peer, good peer, send to the bad one, to the good one)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if (now + datetime.timedelta(minutes=10)).date() != now.date():
        pytest.skip("the day ends while this runs")
    bad, good = make_sourced_peer(), make_sourced_peer()
    bad.domain, good.domain = make_domain("bad", bad), make_domain("good", good)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "queue": {"retry_first": "1h", "retry_max": "1h"},
        **egress(1, addresses, rate=["1/d"], warm_up=[1, 10], warm_up_start=now.strftime("%Y-%m-%d")),
        "stream one": {"senders": ["one@here.example"], "egress": ["ip1"], "rate": ["1/d"]}})

    def to_bad():
        send(server, f"bad@{bad.domain}", sender="one@here.example")

    def to_good():
        return send(server, f"good@{good.domain}", sender="one@here.example")

    return server, bad, good, to_bad, to_good


@pytest.mark.parametrize("script", [{"GREETING": scripted_peer.CLOSE}, {"GREETING": "421 4.3.2 closed"}, {"EHLO": scripted_peer.RESET},
                                    {"MAIL": scripted_peer.CLOSE}], ids=["closed", "421", "reset", "no answer"])
def test_what_nobody_saw_is_no_message(one_a_day, script):
    """Rates and ceilings count messages: an attempt that came to none leaves room for one."""
    server, bad, good, to_bad, to_good = one_a_day
    bad.script.update(script)
    to_bad()
    server.wait_log(r"event=deferred .*to=bad@")
    wait_message(good, to_good())
    [one] = base.wait_for(lambda: [e for e in json.loads(server.must("stream", "list", "--json"))["egress"] if e["sent_today"]], "the count")
    assert one["sent_today"] == 1


@pytest.mark.parametrize("script", [{"MAIL": "451 4.7.1 not from you"}, {"RCPT": "450 4.2.0 not now"}, {"RCPT": scripted_peer.RESET},
                                    {"BODY": scripted_peer.RESET}], ids=["MAIL", "RCPT", "after MAIL", "end"])
def test_what_the_other_side_saw_counts(one_a_day, script):
    server, bad, good, to_bad, to_good = one_a_day
    bad.script.update(script)
    to_bad()
    server.wait_log(r"event=deferred .*to=bad@")
    kept = to_good()
    for _ in range(3):
        wait_message(good, send(server, f"good@{good.domain}"))
    assert kept not in [subject(m) for m in good.messages]
    [one] = base.wait_for(lambda: [e for e in json.loads(server.must("stream", "list", "--json"))["egress"] if e["sent_today"]], "the count")
    assert one["sent_today"] == 1


def test_retries_of_its_own(make_postrider, make_sourced_peer, make_domain):
    """One stream gives up soon, the other waits as usual."""
    peer = make_sourced_peer(script={"RCPT": "450 4.2.1 not now"})
    domain = make_domain("retries", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "queue": {"retry_first": "1h", "retry_max": "1h"},
        "stream hasty": {"headers": ["X-Code"], "retry_first": "200ms", "retry_max": "200ms", "expire": "2s"}})
    patient = send(server, f"patient@{domain}")
    send(server, f"hasty@{domain}", headers="X-Code: 123456\r\n")
    [bounce] = server.wait_mail("joe")
    assert f"hasty@{domain}" in bounce.as_string() and patient not in bounce.as_string()
    base.wait_for(lambda: [r for m in server.queue_list() for r in m["recipients"] if r["attempts"] == 1], "the patient one", step=0.3)
    tries = [c for s in peer.sessions for c in s.commands if c.upper().startswith("RCPT")]
    assert sum("<hasty@" in c for c in tries) >= 2 and sum("<patient@" in c for c in tries) == 1, tries


def test_an_address_that_is_not_ours(make_postrider, make_sourced_peer, make_domain):
    """It is no verdict on the mail: the reason can be read, and other streams go on."""
    peer = make_sourced_peer()
    domain = make_domain("notours", peer)
    server = make_postrider(domain="here.example", config={
        **TRUSTED, "egress gone": {"source_ipv4": "192.0.2.77"}, "stream gone": {"headers": ["X-Gone"], "egress": ["gone"]}})
    send(server, f"a@{domain}", headers="X-Gone: yes\r\n")
    wait_message(peer, send(server, f"a@{domain}"))
    [message] = base.wait_for(lambda: server.queue_list("--deferred"), "a deferred message", step=0.3)
    assert message["recipients"][0]["last_reply"].startswith("4"), message
    assert not server.mailbox("joe")


def test_unknown_names_are_errors(make_postrider):
    server = make_postrider(start=False)
    server.write_config(**{"stream s": {"egress": ["nowhere"]}})
    done = server.cli("check")
    assert done.returncode == 78 and "there is no egress section `nowhere`" in done.stderr, done
