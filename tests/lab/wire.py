"""An SMTP client that sends exactly the bytes it is told to, for what no polite library would send."""
import base64
import socket
import ssl


class Closed(Exception):
    pass


class Wire:
    def __init__(self, ip, port, tls=False, family=None):
        self.socket = socket.socket(family or (socket.AF_INET6 if ":" in ip else socket.AF_INET))
        self.socket.settimeout(socket.getdefaulttimeout())
        self.socket.connect((ip, port))
        self.buffer = b""
        if tls:
            self.start_tls()

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buffer:
            try:
                piece = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
                piece = b""
            if not piece:
                raise Closed(self.buffer)
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a reply line without CR: {line!r}"
        return line[:-1].decode("utf-8", "replace")

    def reply(self):
        """(code, text lines) of one whole reply."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        assert len({l[:3] for l in lines}) == 1, lines
        return int(lines[0][:3]), [l[4:] for l in lines]

    def command(self, text):
        """Sends a line; the reply as "CODE text" in one string."""
        self.send(text.encode() + b"\r\n" if isinstance(text, str) else text + b"\r\n")
        return self.answer()

    def answer(self):
        code, lines = self.reply()
        return f"{code} " + "\n".join(lines)

    def expect(self, code, text=None):
        """The next reply, to `text` if given, must have that code (or begin with it, as "5")."""
        got = self.command(text) if text is not None else self.answer()
        assert got.startswith(str(code)), f"{text!r}: expected {code}, got {got!r}"
        return got

    def closed(self):
        """True when the peer closes, after whatever it still says."""
        try:
            while True:
                self.line()
        except Closed:
            return True

    def hello(self, name="client.example"):
        self.expect(220)
        return self.expect(250, f"EHLO {name}").split("\n")[1:]

    def starttls(self):
        self.expect(220, "STARTTLS")
        self.start_tls()
        return self.expect(250, "EHLO client.example").split("\n")[1:]

    def login(self, user, password):
        self.expect(235, "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    def envelope(self, sender, *recipients):
        self.expect(250, f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            self.expect(250, f"RCPT TO:<{recipient}>")

    def data(self, content):
        self.expect(354, "DATA")
        self.send(content)
        return self.answer()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
