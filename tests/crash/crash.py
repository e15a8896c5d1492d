#!/usr/bin/env python3
"""The crash test: load from several clients, SIGKILL at a random moment, restart, many rounds. In the end, every message that was answered
250 has arrived at least once, none is corrupted, and nothing arrived that was never sent.

usage: crash.py [--binary FILE] [--rounds N] [--seed N]
"""
import argparse
import hashlib
import os
import random
import re
import socket
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Ledger:
    """What was sent, what was answered 250, and what arrived where."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # id → digest of the body
        self.accepted = set()
        self.remote = {}  # id → how often
        self.wrong = []

    def new(self, body):
        name = uuid.uuid4().hex
        with self.lock:
            self.sent[name] = hashlib.sha256(body).digest()
        return name

    def accept(self, name):
        with self.lock:
            self.accepted.add(name)

    def check(self, data):
        """The id of a message that arrived; None (and noted as wrong) if it is not as it was sent."""
        head, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"^X-Crash-Id: ([0-9a-f]{32})$", head.replace(b"\r\n", b"\n"), re.M)
        name = found.group(1).decode() if found else None
        with self.lock:
            expected = self.sent.get(name)
            if expected is None:
                self.wrong.append(f"never sent: {head[:300]!r}")
                return None
            if hashlib.sha256(body).digest() != expected:
                self.wrong.append(f"{name} is corrupted: {len(body)} bytes arrived")
                return None
        return name

    def arrived_remote(self, data):
        name = self.check(data)
        if name is not None:
            with self.lock:
                self.remote[name] = self.remote.get(name, 0) + 1


def make_sink(ip, port, ledger):
    from lab.scripted_peer import ScriptedPeer

    class Sink(ScriptedPeer):
        def record(self, message):
            ledger.arrived_remote(message.data)
            message.data = b""

    return Sink(ip, port)


def random_body(rng):
    size = rng.choice((60, 400, 4000, 4000, 4000, 30_000, 150_000))
    lines = []
    while size > 0:
        length = min(size, rng.randint(0, 76))
        line = bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz .=", k=length))
        lines.append(line)
        size -= length + 2
    return b"\r\n".join(lines) + b"\r\n"


class Client(threading.Thread):
    """Sends messages as fast as it is let, over and over, whatever happens to the server."""

    def __init__(self, server, ledger, stop, seed):
        super().__init__(daemon=True)
        self.server, self.ledger, self.stop_event = server, ledger, stop
        self.rng = random.Random(seed)
        self.bodies = [random_body(self.rng) for _ in range(40)]

    def run(self):
        while not self.stop_event.is_set():
            try:
                self.session()
            except (OSError, EOFError):
                time.sleep(0.02)

    def session(self):
        with socket.create_connection((self.server.ip, self.server.mx_port), 30) as connection:
            stream = connection.makefile("rb")

            def answer():
                while True:
                    line = stream.readline()
                    if not line:
                        raise EOFError
                    if line[3:4] != b"-":
                        return line

            answer()
            connection.sendall(b"EHLO crash.example\r\n")
            answer()
            while not self.stop_event.is_set():
                body = self.rng.choice(self.bodies)
                name = self.ledger.new(body)
                to = f"box+{name[:4]}@{self.server.domain}" if self.rng.random() < 0.25 else "sink@crash-sink.example"
                data = f"X-Crash-Id: {name}\r\nSubject: crash\r\n\r\n".encode() + body
                start = f"MAIL FROM:<box@{self.server.domain}>\r\nRCPT TO:<{to}>\r\n".encode()
                if self.rng.random() < 0.5:
                    connection.sendall(start + b"BDAT %d LAST\r\n" % len(data) + data)
                    codes = [answer() for _ in range(3)]
                else:
                    connection.sendall(start + b"DATA\r\n")
                    codes = [answer() for _ in range(3)]
                    if not codes[2].startswith(b"354"):
                        return
                    connection.sendall(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
                    codes.append(answer())
                if codes[-1].startswith(b"250"):
                    self.ledger.accept(name)
                elif codes[-1].startswith(b"421"):
                    return


def mailbox_ids(server, ledger):
    """The ids in the local mailbox; its files are checked like what arrives at the sink."""
    found = []
    base_folder = os.path.join(server.data, "mail", server.domain, "box")
    for sub in ("new", "cur"):
        folder = os.path.join(base_folder, sub)
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            if b"\r\n\r\n" not in data:
                data = data.replace(b"\n", b"\r\n")
            identity = ledger.check(data)
            if identity is not None:
                found.append(identity)
    return found


def run(rounds, seed=None, clients=6, say=print):
    """True when everything is as it must be."""
    from lab import base
    from lab.certificates import Authority
    from lab.postrider import Postrider
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    lab = base.Lab()
    ledger = Ledger()
    try:
        sink = make_sink(lab.address(), 2525, ledger)
        server = Postrider(lab, Authority(lab.subfolder("ca")), domain="crash.example", accounts={"box": "box"}, config={
            "listen mx": {"relay_from": ["127.0.0.0/8"]}, "listen submission": None, "listen submissions": None,
            "limits": {"inline_body": "20K", "messages_per_session": 999999, "commands_per_session": 10000000},
            "queue": {"retry_first": "200ms", "retry_max": "1s"},
            "smarthost sink": {"host": sink.ip, "port": sink.port, "tls": "clear"},
            "dns": {"servers": ["127.0.0.1@9"], "timeout": "1s"}}, start=False)
        stop = threading.Event()
        threads = [Client(server, ledger, stop, rng.random()) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for number in range(rounds):
            server.start(wait=False)
            if rng.random() < 0.85:
                server.wait_ready()
                time.sleep(rng.uniform(0.02, 0.6))
            else:
                time.sleep(rng.uniform(0, 0.15))  # in the middle of starting
            server.kill()
            if (number + 1) % 20 == 0 or number + 1 == rounds:
                say(f"crash: {number + 1} kills, {len(ledger.sent)} sent, {len(ledger.accepted)} answered 250, "
                    f"{len(ledger.remote)} at the sink", flush=True)
        server.start()
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join(60)

        def missing():
            with ledger.lock:
                return ledger.accepted - set(ledger.remote)

        base.wait_for(lambda: not server.queue_list(), lambda: f"an empty queue:\n{server.log_text()[-3000:]}", seconds=300, step=0.3)
        local = mailbox_ids(server, ledger)
        lost = missing() - set(local)
        spool = server.spool_files()
        server.stop()
        copies = sum(n - 1 for n in ledger.remote.values()) + len(local) - len(set(local))
        sane = len(ledger.accepted) > rounds and bool(local) and bool(ledger.remote)
        if not sane:
            ledger.wrong.append("too few messages went through for the test to mean anything")
        if spool:
            ledger.wrong.append(f"spool files are left although the queue is empty: {spool[:5]}")
        for line in ledger.wrong[:10]:
            say("crash: WRONG: " + line)
        for name in sorted(lost)[:10]:
            say(f"crash: LOST: {name}")
        say(f"crash: {rounds} rounds, {len(ledger.sent)} sent, {len(ledger.accepted)} answered 250, {len(lost)} lost, {len(ledger.wrong)} wrong, "
            f"{copies} repeated, seed {seed}", flush=True)
        sink.close()
        return not lost and not ledger.wrong
    finally:
        lab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    if arguments.binary:
        os.environ["POSTRIDER"] = os.path.abspath(arguments.binary)
    return 0 if run(arguments.rounds, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
