"""Everything at once: clients that send, a peer that fails, and an operator who stops, kills, freezes, reloads and rearranges. Then the account:
every message that was answered 250 is where it belongs, nothing is anywhere else, and only deaths explain a second copy."""
import json
import os
import random
import re
import signal
import threading
import time
import uuid

from lab import base
from lab.scripted_peer import CLOSE, RESET
from lab.wire import Closed, Wire

CLIENTS = 3
ACTIONS = 30
BAD = ["", "hostname = \n", "\0\0", "x" * 100000, 'include("/nonexistent")\n']


class Client(threading.Thread):
    """Sends until it is told to stop; knows which messages were taken, and which were not answered."""

    def __init__(self, server, addresses, seed):
        super().__init__(daemon=True)
        self.server, self.addresses, self.random = server, addresses, random.Random(seed)
        self.taken, self.unanswered = {}, set()
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                with Wire(self.server.ip, self.server.mx_port) as wire:
                    wire.hello()
                    for _ in range(5):
                        self._one(wire)
            except (OSError, Closed, AssertionError):
                time.sleep(0.05)  # it is away at the moment

    def _one(self, wire):
        token = uuid.uuid4().hex
        recipients = self.random.sample(self.addresses, self.random.randint(1, 3))
        wire.envelope(self.server.full("joe"), *recipients)
        body = f"Subject: {token}\r\n\r\n" + ("x" * 70 + "\r\n") * self.random.choice([1, 10, 1000])
        self.unanswered.add(token)
        if self.random.random() < 0.5:
            answer = wire.data(body + ".\r\n")
        else:
            wire.send(f"BDAT {len(body)} LAST\r\n{body}")
            answer = wire.answer()
        self.unanswered.discard(token)
        if answer.startswith("250"):
            self.taken[token] = set(recipients)


def _freeze(server, chance):
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(chance.random())
    os.kill(server.pid, signal.SIGCONT)


def _reload(server, chance):
    for _ in range(20):
        server.reload()


def _reload_bad(server, chance):
    good = base.read_text(server.config)
    for text in (chance.choice(BAD), good):
        with open(server.config, "w", encoding="utf-8") as f:
            f.write(text)
        server.reload()


def _stop(server, chance):
    server.restart()


def _kill(server, chance):
    server.kill()
    server.start()


def _queue(server, chance):
    ids = [m["id"] for m in json.loads(server.must("queue", "list", "--json"))["messages"]]
    for one in chance.sample(ids, min(4, len(ids))):
        server.cli("queue", chance.choice(["hold", "release", "retry"]), one)


def test_storm(make_postrider, make_peer, make_domain):
    chance = random.Random(int(os.environ.get("POSTRIDER_SEED", "1")))
    failing = {"BODY": lambda session, argument: chance.choice(["451 4.3.0 later", RESET, CLOSE, None, None, None, None, None, None]),
               "RCPT": lambda session, argument: chance.choice(["450 4.2.0 busy"] + [None] * 9)}
    peer = make_peer(script=failing)
    far = make_domain("storm", peer)
    server = make_postrider(accounts={"joe": "joe", "ann": "ann"}, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]}, "stop_timeout": "10s", "limits": {"messages_per_session": 100000}})
    here = [server.full("joe"), server.full("ann")]
    clients = [Client(server, here + [f"a@{far}", f"b@{far}"], seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    deaths = 0
    for _ in range(ACTIONS):
        act = chance.choice([_freeze, _reload, _reload_bad, _stop, _kill, _queue, _queue, _queue])
        act(server, chance)
        deaths += act is _kill
        time.sleep(chance.random() * 0.2)
    for client in clients:
        client.stopping = True
    for client in clients:
        client.join()
    peer.script = {}
    server.must("queue", "release", "--held")
    server.must("queue", "retry", "--all")
    server.wait_queue_empty()
    _account(server, peer, clients, deaths)
    assert not server.spool_files()


def _account(server, peer, clients, deaths):
    found = {}
    for user in ("joe", "ann"):
        for mail in server.mailbox(user):
            found.setdefault((str(mail["Subject"]), server.full(user)), []).append("mailbox")
    for message in peer.messages:
        token = re.search(rb"^Subject: (\w+)", message.data, re.M).group(1).decode()
        for recipient in message.recipients:
            found.setdefault((token, recipient), []).append("peer")
    taken = {token: to for client in clients for token, to in client.taken.items()}
    unanswered = set().union(*(client.unanswered for client in clients))
    assert len(taken) > 50
    lost = [(token, to) for token, recipients in taken.items() for to in recipients if (token, to) not in found]
    assert not lost, f"{len(lost)} of {len(taken)} lost: {lost[:5]}"
    strange = [(token, to) for token, to in found if to not in taken.get(token, ()) and token not in unanswered]
    assert not strange, f"nobody was told that these were taken: {strange[:5]}"
    twice = [key for key, places in found.items() if len(places) > 1]
    # Each death may repeat what was under way: at most what all connections and workers had in hand.
    assert len(twice) <= deaths * 40, f"{len(twice)} twice after {deaths} deaths: {twice[:5]}"
