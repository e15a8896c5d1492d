"""Servers that want to know who is there: an SMTP peer that checks logins by itself, and a token endpoint (RFC 6749).

SCRAM-SHA-256 is written down here a second time, from RFC 5802 and RFC 7677, and shares nothing with the program that is tested.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import threading
import urllib.parse

from .scripted_peer import ScriptedPeer, Session


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class AuthSession(Session):
    """AUTH as peer.mechanisms has it; mail needs a login first."""

    def do_mail(self, argument):
        if self.login is None:
            self.write("530 5.7.0 log in first")
            return True
        return super().do_mail(argument)

    def challenge(self, text=""):
        self.write("334 " + b64(text))
        line = self.stream.readline()
        if not line:
            raise OSError("gone")
        return base64.b64decode(line.strip(), validate=True)

    def do_auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self.peer.mechanisms or not (self.tls or self.peer.clear):
            self.write("504 5.5.4 not here")
            return True
        first = base64.b64decode(initial, validate=True) if initial else None
        user = getattr(self, "auth_" + mechanism.lower().replace("-", "_"))(first)
        self.peer.logins.append((mechanism, user))
        if user is None:
            return bool(self.say("AUTH", self.peer.refusal, argument))
        code = self.say("AUTH", "235 2.7.0 welcome", argument)
        if code == "2":
            self.login = user
        return bool(code)

    def auth_plain(self, first):
        _, user, password = (first if first is not None else self.challenge()).decode().split("\0")
        return user if self.peer.passwords.get(user) == password else None

    def auth_login(self, first):
        user = (first if first is not None else self.challenge("Username:")).decode()
        password = self.challenge("Password:").decode()
        return user if self.peer.passwords.get(user) == password else None

    def auth_scram_sha_256(self, first):
        text = (first if first is not None else self.challenge()).decode()
        gs2, bare = re.fullmatch(r"(n,[^,]*,)(n=.*)", text).groups()
        name, client_nonce = re.fullmatch(r"n=([^,]*),r=([^,]+)", bare).groups()
        user = name.replace("=2C", ",").replace("=3D", "=")
        password = self.peer.passwords.get(user, "nobody knows")
        salt = self.peer.salt
        server_first = f"r={client_nonce}{b64(os.urandom(15))},s={b64(salt)},i={self.peer.iterations}"
        final = self.challenge(server_first).decode()
        without_proof, _, proof = final.rpartition(",p=")
        assert without_proof == f"c={b64(gs2)},r={server_first.split(',')[0][2:]}", final
        auth_message = ",".join((bare, server_first, without_proof)).encode()
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, self.peer.iterations)
        stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        signature = hmac.digest(stored_key, auth_message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature))
        if hashlib.sha256(client_key).digest() != stored_key:
            if self.peer.impostor is None:
                self.challenge("e=invalid-proof")
                return None
        server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        if self.peer.impostor == "silent":
            return user
        self.challenge("v=" + b64(server_signature))
        return user

    def bearer(self, user, token, answer_wanted):
        self.peer.tokens_seen.append(token)
        if self.peer.token_is_good(token) and user in self.peer.passwords:
            return user
        answer = self.challenge(json.dumps({"status": "invalid_token", "scope": "mail"}))
        assert answer == answer_wanted, answer
        return None

    def auth_xoauth2(self, first):
        text = (first if first is not None else self.challenge()).decode()
        user, token = re.fullmatch("user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", text).groups()
        return self.bearer(user, token, b"")

    def auth_oauthbearer(self, first):
        text = (first if first is not None else self.challenge()).decode()
        pattern = "n,a=([^,]*),\x01host=([^\x01]*)\x01port=([0-9]*)\x01auth=Bearer ([^\x01]*)\x01\x01"
        user, host, port, token = re.fullmatch(pattern, text).groups()
        assert (host, int(port)) == (self.peer.ip, self.peer.port), text
        return self.bearer(user, token, b"\x01")


class AuthPeer(ScriptedPeer):
    def __init__(self, ip, port, mechanisms=("PLAIN",), passwords=None, token_is_good=lambda token: False, clear=False, iterations=4096,
                 impostor=None, refusal="535 5.7.8 bad credentials", client_ca=None, **more):
        self.mechanisms = list(mechanisms)
        self.passwords = dict(passwords or {})
        self.token_is_good = token_is_good
        self.clear = clear
        self.iterations = iterations
        self.impostor = impostor  # does not know the password, and "guesses" its proof or is "silent" about it
        self.refusal = refusal
        self.salt = os.urandom(16)
        self.logins, self.tokens_seen = [], []
        self.client_ca = client_ca
        super().__init__(ip, port, **more)

    def _accept(self):
        if self.client_ca is not None:
            import ssl
            self.tls_context.verify_mode = ssl.CERT_REQUIRED
            self.tls_context.load_verify_locations(self.client_ca)
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if self.closing.is_set():
                connection.close()
                return
            connection.settimeout(600)
            session = AuthSession(self, connection)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def extensions(self, session):
        names = super().extensions(session)
        if session.tls or self.clear:
            names.append("AUTH " + " ".join(self.mechanisms))
        return names


class TokenEndpoint:
    """Answers each POST with answers[n] (the last one again and again): a dict, or (status, dict or text), or a function of the parameters."""

    def __init__(self, answers, ip="127.0.0.1"):
        self.answers = list(answers)
        self.requests = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
                parameters["content-type"] = self.headers["Content-Type"]
                endpoint.requests.append(parameters)
                answer = endpoint.answers.pop(0) if len(endpoint.answers) > 1 else endpoint.answers[0]
                answer = answer(parameters) if callable(answer) else answer
                status, content = answer if isinstance(answer, tuple) else (200, answer)
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((ip, 0), Handler)
        self.url = f"http://{ip}:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def token(value, expires_in=3600, **more):
    return {"access_token": value, "token_type": "Bearer", "expires_in": expires_in, **more}


def issue_client(authority, name):
    """(certificate file, key file) that a client may show."""
    authority.number += 1
    base = os.path.join(authority.folder, f"{authority.number}-client-{name}")
    with open(base + ".ext", "w", encoding="ascii") as f:
        f.write(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
    authority._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                   "-keyout", base + ".key", "-out", base + ".csr")
    authority._run("x509", "-req", "-in", base + ".csr", "-CA", authority.ca, "-CAkey", authority.ca_key, "-set_serial",
                   str(5000 + authority.number), "-days", "365", "-extfile", base + ".ext", "-out", base + ".pem")
    os.chmod(base + ".key", 0o600)
    return base + ".pem", base + ".key"
