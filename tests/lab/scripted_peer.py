"""A small SMTP server that does as a script says: accept, defer, reject, stall, close, lose STARTTLS, forget 8BITMIME … and records all.

    peer = ScriptedPeer(ip, port, script={"MAIL": ["451 4.3.0 later", None]})

`script` maps a step to what it answers: GREETING, EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA (the 354), BODY (after the dot or the last
BDAT), RSET, NOOP, QUIT. An answer is a text ("450 4.2.0 …"), CLOSE, RESET, STALL, None (the usual answer), a function (session, argument) →
one of these, or a list that is used up from the front, after which the usual holds. What arrived is in .messages and .sessions.
"""
import base64
import socket
import ssl
import struct
import threading
import time

CLOSE = object()
RESET = object()
STALL = object()


class Message:
    def __init__(self, session):
        self.session = session
        self.sender = None
        self.mail_parameters = ""
        self.recipients = []
        self.rcpt_parameters = []
        self.data = b""
        self.chunked = False
        self.tls = session.tls
        self.login = session.login

    def __repr__(self):
        return f"<Message from {self.sender} to {self.recipients}, {len(self.data)} bytes>"


class Session:
    def __init__(self, peer, connection):
        self.peer = peer
        self.socket = connection
        self.stream = connection.makefile("rb")
        self.tls = False
        self.closed = False
        self.login = None
        self.helo = None
        self.commands = []
        self.message = None
        self.ended = threading.Event()

    def run(self):
        try:
            if self.peer.implicit_tls:
                self._wrap()
            if self.say("GREETING", "220 peer.example ESMTP ready"):
                while self.one_command():
                    pass
        except (OSError, ValueError):
            pass
        finally:
            self.ended.set()
            try:
                self.hang_up()
            except OSError:
                pass

    def _wrap(self):
        self.socket = self.peer.tls_context.wrap_socket(self.socket, server_side=True)
        self.stream = self.socket.makefile("rb")
        self.tls = True

    def hang_up(self):
        self.stream.close()  # while it is open, so is the connection
        self.socket.close()
        self.closed = True

    def write(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def say(self, step, usual, argument=""):
        """Answers a step by the script, else as usual. The answer's first digit; "" ends the session."""
        answer = self.peer.scripted(step, self, argument)
        if answer is None:
            answer = usual
        if answer is STALL:
            self.peer.stalled.set()
            self.peer.closing.wait(600)
            return ""
        if answer is RESET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            answer = CLOSE
        if answer is CLOSE:
            self.hang_up()
            return ""
        self.write(answer)
        return answer[0]

    def one_command(self):
        line = self.stream.readline(65536)
        if not line:
            return False
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        self.commands.append(text)
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        run = getattr(self, "do_" + verb.lower(), None)
        if run is None:
            self.write("500 5.5.2 unknown command")
            return True
        return run(argument)

    def do_ehlo(self, argument):
        self.helo = argument
        self.message = None
        lines = ["peer.example", *self.peer.extensions(self)]
        usual = "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{l}" for i, l in enumerate(lines))
        return bool(self.say("EHLO", usual, argument))

    def do_helo(self, argument):
        self.helo = argument
        return bool(self.say("HELO", "250 peer.example", argument))

    def do_starttls(self, argument):
        if self.say("STARTTLS", "220 2.0.0 go ahead") != "2":
            return not self.closed
        if self.peer.broken_tls:
            self.write("this is no TLS")
            return False
        self._wrap()
        return True

    def do_auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN":
            if not initial:
                self.write("334 ")
                initial = self.stream.readline().decode().strip()
            self.login = tuple(base64.b64decode(initial).decode().split("\0")[1:])
        else:
            words = []
            for prompt in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                if initial:
                    words.append(base64.b64decode(initial).decode())
                    initial = ""
                    continue
                self.write("334 " + prompt)
                words.append(base64.b64decode(self.stream.readline()).decode())
            self.login = tuple(words)
        return bool(self.say("AUTH", "235 2.7.0 welcome", argument))

    def do_mail(self, argument):
        path, _, parameters = argument.partition(">")
        code = self.say("MAIL", "250 2.1.0 sender fine", argument)
        if code == "2":
            self.message = Message(self)
            self.message.sender = path.partition("<")[2]
            self.message.mail_parameters = parameters.strip()
        return bool(code)

    def do_rcpt(self, argument):
        path, _, parameters = argument.partition(">")
        code = self.say("RCPT", "250 2.1.5 recipient fine", argument)
        if code == "2" and self.message is not None:
            self.message.recipients.append(path.partition("<")[2])
            self.message.rcpt_parameters.append(parameters.strip())
        return bool(code)

    def do_data(self, argument):
        if self.message is None or not self.message.recipients:
            self.write("503 5.5.1 no recipients")
            return True
        code = self.say("DATA", "354 go ahead")
        if code != "3":
            return bool(code)
        while True:
            line = self.stream.readline()
            if not line:
                return False
            if line == b".\r\n":
                break
            self.message.data += line[1:] if line.startswith(b".") else line
        return self.finish()

    def do_bdat(self, argument):
        size, _, last = argument.partition(" ")
        data = self.stream.read(int(size))
        if len(data) < int(size):
            return False
        if self.message is None or not self.message.recipients:
            self.write("503 5.5.1 no recipients")
            return True
        self.message.chunked = True
        self.message.data += data
        if last.upper() == "LAST":
            return self.finish()
        self.write("250 2.0.0 chunk fine")
        return True

    def finish(self):
        message, self.message = self.message, None
        usual = "250 2.0.0 taken"
        answer = self.peer.scripted("BODY", self, message)
        if answer is None or (isinstance(answer, str) and answer.startswith("2")):
            self.peer.record(message)  # before the answer: a client that saw 250 finds it here
        return self._answer_body(answer or usual)

    def _answer_body(self, answer):
        if isinstance(answer, str):
            self.write(answer)
            return True
        if answer is STALL:
            self.peer.stalled.set()
            self.peer.closing.wait(600)
        elif answer is RESET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()
        return False

    def do_rset(self, argument):
        self.message = None
        return bool(self.say("RSET", "250 2.0.0 reset"))

    def do_noop(self, argument):
        return bool(self.say("NOOP", "250 2.0.0 fine"))

    def do_quit(self, argument):
        self.say("QUIT", "221 2.0.0 bye")
        return False


class ScriptedPeer:
    DEFAULT_EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING")

    def __init__(self, ip, port, script=None, extensions=DEFAULT_EXTENSIONS, certificate=None, implicit_tls=False, broken_tls=False,
                 auth=False):
        self.ip, self.port = ip, port
        self.script = dict(script or {})
        self.extension_list = list(extensions)
        self.auth = auth
        self.broken_tls = broken_tls
        self.implicit_tls = implicit_tls
        self.tls_context = None
        if certificate is not None:
            self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls_context.load_cert_chain(*certificate)
        self.lock = threading.Lock()
        self.messages = []
        self.sessions = []
        self.stalled = threading.Event()
        self.closing = threading.Event()
        self.listener = socket.create_server((ip, port), backlog=256, family=socket.AF_INET6 if ":" in ip else socket.AF_INET)
        self.listener.settimeout(None)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if self.closing.is_set():
                connection.close()
                return
            connection.settimeout(600)
            session = Session(self, connection)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def extensions(self, session):
        names = list(self.extension_list)
        if (self.tls_context is not None or self.broken_tls) and not session.tls:
            names.append("STARTTLS")
        if self.auth:
            names.append("AUTH PLAIN LOGIN")
        return names

    def scripted(self, step, session, argument):
        with self.lock:
            answer = self.script.get(step)
            if isinstance(answer, list):
                answer = answer.pop(0) if answer else None
        return answer(session, argument) if callable(answer) else answer

    def record(self, message):
        with self.lock:
            self.messages.append(message)

    def close(self):
        self.closing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in self.sessions:
            try:
                session.socket.shutdown(socket.SHUT_RDWR)
            except (OSError, ValueError):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    import sys
    running = ScriptedPeer(sys.argv[1], int(sys.argv[2]))
    while True:
        time.sleep(1)
