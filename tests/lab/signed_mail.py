"""Mail of the outside world: domains with SPF, DKIM and DMARC records, messages signed by python3-dkim, clients at addresses of their own."""
import base64
import os
import socket
import subprocess

import dkim

from .wire import Wire


def txt(text):
    """A TXT record's data in zone-file form, in strings of 255 bytes."""
    return " ".join('"' + text[i:i + 255].replace("\\", "\\\\").replace('"', '\\"') + '"' for i in range(0, len(text), 255))


class Key:
    """An RSA or Ed25519 key of the openssl program."""

    def __init__(self, folder, name, kind="rsa", bits=2048):
        self.kind = kind
        path = os.path.join(folder, name + ".pem")
        how = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"] if kind == "rsa" else ["-algorithm", "ED25519"]
        subprocess.run(["openssl", "genpkey", *how, "-out", path], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        if kind == "rsa":
            self.private = subprocess.run(["openssl", "rsa", "-in", path, "-traditional"], check=True, capture_output=True).stdout
            self.public = base64.b64encode(der).decode()
        else:
            seed = subprocess.run(["openssl", "pkey", "-in", path, "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
            self.private = base64.b64encode(seed)
            self.public = base64.b64encode(der[-32:]).decode()

    def record(self, more=""):
        return f"v=DKIM1; k={self.kind};{more} p={self.public}"

    def sign(self, message, domain, selector="s", **more):
        """The message with a DKIM-Signature on top."""
        algorithm = b"rsa-sha256" if self.kind == "rsa" else b"ed25519-sha256"
        return dkim.sign(message, selector.encode(), domain.encode(), self.private, signature_algorithm=algorithm,
                         canonicalize=(b"relaxed", b"relaxed"), **more) + message


class Client(Wire):
    """A client whose address is `source`."""

    def __init__(self, source, ip, port, name="client.example"):
        self.socket = socket.create_connection((ip, port), source_address=(source, 0))
        self.socket.settimeout(socket.getdefaulttimeout())
        self.buffer = b""
        self.offered = self.hello(name)

    def deliver(self, sender, recipients, message, chunked=False):
        """The reply to the whole message; dots are doubled here."""
        self.envelope(sender, *([recipients] if isinstance(recipients, str) else recipients))
        if not chunked:
            stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in message.split(b"\r\n"))
            return self.data(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        half = len(message) // 2
        self.send(b"BDAT %d\r\n" % half + message[:half])
        self.expect(250)
        self.send(b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:])
        return self.answer()
