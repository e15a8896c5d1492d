"""Other servers that answer as no server should, at every step; the mail to everybody else goes out meanwhile."""
import os
import socket
import struct
import threading
import uuid

import pytest

from lab import base
from lab.scripted_peer import STALL
from lab.wire import Wire

FLOOD_BYTES = 32 * 1024 * 1024
STEPS = {"GREETING": b"220", "EHLO": b"250", "MAIL": b"250", "RCPT": b"250", "BODY": b"250"}


@pytest.fixture
def here(make_postrider):
    return make_postrider(accounts={"joe": "joe"}, config={"listen mx": {"relay_from": ["127.0.0.0/8"]}, "delivery": {"connections": 40},
                                                           "queue": {"retry_first": "2s", "retry_max": "4s"}, "limits": {"messages_per_session": 100000}})


def send(server, recipients):
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        for recipient in recipients:
            wire.envelope(server.full("joe"), recipient)
            assert wire.data(f"Subject: {uuid.uuid4().hex}\r\n\r\nx\r\n.\r\n").startswith("250")


def test_tarpits(here, make_peer, make_domain):
    """Servers that say nothing more, each at another step, hold a few connections only, however much mail waits for them."""
    tarpits = [make_peer(script={step: lambda session, argument: STALL}) for step in ("GREETING", "EHLO", "MAIL", "RCPT", "BODY", "GREETING",
                                                                                       "EHLO", "MAIL", "RCPT", "BODY")]
    domains = [make_domain("tarpit", peer) for peer in tarpits]
    good = make_peer()
    good_domain = make_domain("good", good)
    send(here, [f"x{n}@{domain}" for n in range(15) for domain in domains])
    for peer in tarpits:
        assert peer.stalled.wait(base.PATIENCE_S)
    send(here, [f"x{n}@{good_domain}" for n in range(5)])
    base.wait_for(lambda: len(good.messages) == 5, "the mail to the server that works")
    assert all(len(peer.sessions) <= 3 for peer in tarpits), [len(peer.sessions) for peer in tarpits]


class Rude:
    """Answers like a server, but at one step as `behave(socket)` does."""

    def __init__(self, ip, port, step, behave):
        self.ip, self.step, self.behave = ip, step, behave
        self.listener = socket.create_server((ip, port), backlog=64)
        self.listener.settimeout(None)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(base.PATIENCE_S)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _say(self, connection, step):
        if step == self.step:
            self.behave(connection, STEPS[step])
        else:
            connection.sendall(STEPS[step] + b" fine\r\n")

    def _run(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                self._say(connection, "GREETING")
                while line := stream.readline():
                    verb = line.split()[0].upper().decode()
                    if verb == "DATA":
                        connection.sendall(b"354 go\r\n")
                        while stream.readline() not in (b".\r\n", b""):
                            pass
                        self._say(connection, "BODY")
                    elif verb == "QUIT":
                        return
                    else:
                        self._say(connection, verb if verb in STEPS else "RCPT")
        except (OSError, ValueError, IndexError):
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _flood(piece):
    def behave(connection, code):
        for _ in range(FLOOD_BYTES // 65536):
            connection.sendall(piece(code) * (65536 // len(piece(code))))
    return behave


def _reset(connection, code):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(code)
    os.close(connection.detach())
    raise OSError


def _byte_by_byte(connection, code):
    for byte in code + b"-one\r\n" + code + b" two\r\n":
        connection.sendall(bytes([byte]))


RUDE = {
    "garbage": (lambda c, code: c.sendall(os.urandom(3000) + b"\r\n"), "deferred"),
    "NULs": (lambda c, code: c.sendall(b"\0" * 500 + b"\r\n"), "deferred"),
    "a reply without end": (_flood(lambda code: code + b"-and again\r\n"), "deferred"),
    "a line without end": (_flood(lambda code: code + b" " + b"y" * 1000), "deferred"),
    "two codes in one reply": (lambda c, code: c.sendall(code + b"-a\r\n550 b\r\n"), "deferred"),
    "a code that is none": (lambda c, code: c.sendall(b"999 x\r\n"), "deferred"),
    "reset": (_reset, "deferred"),
    "half a reply, closed": (lambda c, code: (c.sendall(code), c.shutdown(socket.SHUT_RDWR)), "deferred"),
    "byte by byte": (_byte_by_byte, "delivered"),
}


@pytest.mark.parametrize("manner", RUDE)
def test_rude_servers(here, lab, make_peer, make_domain, manner):
    """Whatever they say is bounded and gets a reason in the log; nothing that was not clearly taken counts as delivered."""
    behave, outcome = RUDE[manner]
    servers = [Rude(lab.address(), lab.port(25), step, behave) for step in STEPS]
    domains = [make_domain("rude", server.ip) for server in servers]
    good = make_peer()
    send(here, [f"x@{domain}" for domain in domains] + [f"x@{make_domain('good', good)}"])
    base.wait_for(lambda: good.messages, "the mail to the server that works")
    for domain in domains:
        here.wait_log(rf"event={outcome} .*to=x@{domain.replace('.', '[.]')} ")
    assert outcome == "delivered" or not any("event=delivered" in line and "rude-" in line for line in here.log_text().splitlines())
    for server in servers:
        server.close()
