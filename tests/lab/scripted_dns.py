"""A small DNS server in front of the lab's: it passes questions on (with or without DNSSEC records in the answers), and says what a script says
about names of its own, however wrong.

    server = ScriptedDns(lab, dns.ip, strip=True, script={"loop.example": lambda q: q.answer((q.name, CNAME, name("loop.example")))})
"""
import socket
import struct
import threading

A, NS, CNAME, MX, AAAA = 1, 2, 5, 15, 28
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def mx(preference, host):
    return struct.pack("!H", preference) + name(host)


class Question:
    def __init__(self, message, over_tcp):
        self.message = message
        self.over_tcp = over_tcp
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1").lower())
            at += 1 + message[at]
        self.name = ".".join(labels)
        self.end = at + 5
        self.type = struct.unpack("!H", message[at + 1:at + 3])[0]

    def head(self, count=0, rcode=0, truncated=False, identity=None):
        flags = 0x8180 | rcode | (0x0200 if truncated else 0)
        own = struct.unpack("!H", self.message[:2])[0]
        return struct.pack("!6H", own if identity is None else identity, flags, 1, count, 0, 0) + self.message[12:self.end]

    def answer(self, *records, rcode=0, **more):
        """Records are (name, type, data)."""
        out = self.head(len(records), rcode, **more)
        for owner, kind, data in records:
            out += name(owner) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        return out


class ScriptedDns:
    def __init__(self, lab, upstream_ip, strip=False, script=None, port=5353):
        self.upstream = (upstream_ip, port)
        self.strip = strip
        self.script = dict(script or {})
        self.asked = []
        self.ip = lab.address()
        self.server = f"{self.ip}@{port}"
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.ip, port))
        self.udp.settimeout(None)
        self.tcp = socket.create_server((self.ip, port))
        self.tcp.settimeout(None)
        self.closing = False
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def _scripted(self, question):
        """The script's entry for the name or what it is below of."""
        labels = question.name.split(".")
        for i in range(len(labels)):
            entry = self.script.get(".".join(labels[i:]))
            if entry is not None:
                return entry
        return None

    def _answers(self, message, over_tcp):
        question = Question(message, over_tcp)
        self.asked.append((question.name, question.type))
        entry = self._scripted(question)
        if entry is not None:
            answers = entry(question)
            return answers if isinstance(answers, list) else [] if answers is None else [answers]
        # Without its OPT record a question does not ask for DNSSEC records: this is how dumb forwarders strip them.
        passed = message[:10] + b"\0\0" + message[12:question.end] if self.strip else message
        return [self._ask_upstream(passed)]

    def _ask_upstream(self, message):
        with socket.create_connection(self.upstream, 10) as s:
            s.sendall(struct.pack("!H", len(message)) + message)
            stream = s.makefile("rb")
            return stream.read(struct.unpack("!H", stream.read(2))[0])

    def _serve_udp(self):
        while not self.closing:
            try:
                message, peer = self.udp.recvfrom(65535)
                threading.Thread(target=self._answer_udp, args=(message, peer), daemon=True).start()
            except OSError:
                return

    def _answer_udp(self, message, peer):
        try:
            for answer in self._answers(message, False):
                if len(answer) > 1232:
                    answer = Question(message, False).head(truncated=True)
                self.udp.sendto(answer, peer)
        except (OSError, IndexError, struct.error):
            pass

    def _serve_tcp(self):
        while not self.closing:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_tcp, args=(connection,), daemon=True).start()

    def _answer_tcp(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(30)
                while True:
                    message = stream.read(struct.unpack("!H", stream.read(2))[0])
                    for answer in self._answers(message, True):
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
        except (OSError, IndexError, struct.error):
            pass

    def close(self):
        self.closing = True
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
