"""All commands as a shell sees them: help, wrong arguments, exit codes, where output can't go, and a server that does not answer as it should."""
import json
import os
import re
import socket
import subprocess
import threading

import pytest

from lab import base, postrider as lab_postrider


def run(*arguments, **more):
    return subprocess.run([lab_postrider.BINARY, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=base.PATIENCE_S, **more)


def commands():
    """All of them, with their subcommands, as `help` lists them."""
    for name in re.findall(r"^  (\w+) ", run("help").stdout, re.M):
        if name in ("serve", "help"):
            continue
        group = re.match(rf"Usage: postrider {name} (\w+(?:\|\w+)*) \[arguments\]", run(name, "--help").stdout)
        yield from ([name, sub] for sub in group.group(1).split("|")) if group else [[name]]


def test_help_and_wrong_options():
    """Each command explains itself and ends with 0; an option that it does not know, or one argument too many, is told in one line, with 64."""
    found = list(commands())
    assert len(found) > 30 and ["dmarc", "report"] in found and ["version"] in found
    for command in found:
        told = run(*command, "--help")
        assert told.returncode == 0 and told.stdout.startswith("Usage: ") and not told.stderr, command
        wrong = run(*command, "--no-such-option")
        assert wrong.returncode == 64 and not wrong.stdout, (command, wrong)
        assert wrong.stderr.startswith("postrider: unknown option --no-such-option"), wrong.stderr
    for name in sorted({c[0] for c in found if len(c) == 2}):
        for words in ([name], [name, "no-such-word"]):
            done = run(*words)
            assert done.returncode == 64 and not done.stdout and done.stderr, words


@pytest.mark.parametrize("words", [
    ["shaping", "test", "--site", "google", "--host", "mx.example.com"], ["dkim", "new", "x.example", "--algorithm", "rot13"],
    ["dmarc", "report", "x.example", "--days", "-1"], ["reports", "tls", "x.example", "--days", "many"], ["queue", "list", "--limit", "x"],
    ["no-such-command"]])
def test_wrong_usage(words):
    done = run(*words)
    assert done.returncode == 64 and done.stderr.startswith("postrider: ") and not done.stdout, done


def test_output_that_can_not_be_written():
    """A full disk is told; a reader that went away is not worth a word; neither counts as success."""
    for words in (["help"], ["shaping", "list"], ["version", "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([lab_postrider.BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=base.PATIENCE_S)
        assert done.returncode == 74 and done.stderr.count("\n") == 1 and "cannot write all of the output" in done.stderr, (words, done)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([lab_postrider.BINARY, *words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=base.PATIENCE_S)
        os.close(writer)
        assert done.returncode == 74 and not done.stderr, (words, done)


def test_closed_descriptors(make_postrider):
    """Started without standard input, output and error, no file or connection takes their numbers, or what is meant for a terminal would be
    written into mail and databases."""
    server = make_postrider(accounts={"joe": "x"})
    server.stop()
    started = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', lab_postrider.BINARY, "serve", "--config", server.config])
    try:
        server.wait_ready()
        for number in range(3):
            assert os.readlink(f"/proc/{started.pid}/fd/{number}") == "/dev/null"
    finally:
        started.terminate()
        assert started.wait(base.PATIENCE_S) == 0
    # A command that has the store open while it prints.
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', lab_postrider.BINARY, "account", "list", "--config", server.config],
                          timeout=base.PATIENCE_S)
    assert done.returncode == 74
    server.start()


class FalseServer:
    """Answers on a control socket as it is told: bytes to send for a request, then the end."""

    def __init__(self, folder):
        self.folder, self.answer = str(folder), b""
        os.makedirs(f"{folder}/data", exist_ok=True)
        self.config = f"{folder}/postrider.conf"
        with open(self.config, "w") as out:
            out.write(f'hostname = "mail.x.example"\ndata = "{folder}/data"\nlisten mx {{ address = "127.0.0.1:25" }}\n')
        os.chmod(folder, 0o711)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(f"{folder}/data/control.sock")
        self.listening.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                while b"\n" not in connection.recv(65536):
                    pass
                for piece in self.answer:
                    connection.sendall(piece)

    def run(self, answer, *arguments):
        self.answer = answer
        return run(*arguments, "--config", self.config)


@pytest.fixture
def false_server(lab):
    server = FalseServer(lab.subfolder("false"))
    yield server
    server.listening.close()


def test_server_that_breaks_off(false_server):
    good = json.dumps({"ok": True, "result": {"domains": ["x.example"]}}).encode() + b"\n"
    # In pieces it is still an answer.
    done = false_server.run([good[i:i + 1] for i in range(len(good))], "domain", "list")
    assert (done.returncode, done.stdout) == (0, "x.example\n"), done
    for answer, code, words in [([], 75, "without an answer"), ([good[:10]], 75, "without an answer"), ([b"garbage\n"], 74, "makes no sense"),
                                ([b"[]\n"], 74, "makes no sense"), ([b'{"ok":false}\n'], 74, "without a reason")]:
        done = false_server.run(answer, "domain", "list")
        assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1 and not done.stdout, (answer, done)


def test_terminal_is_not_obeyed(false_server):
    """Whatever words of others come along: no control character reaches the terminal."""
    evil = "a\x1b[31mb\x9b31mc\x07d\u202ee\rf"
    tls = {"domain": "x.example", "days": 30, "reporters": [{"organization": evil, "policy_type": evil, "successes": 1, "failures": 1}],
           "failures": [{"result": evil, "host": evil, "receiving_ip": evil, "reason": evil, "sessions": 1}]}
    failures = {"domain": "x.example", "days": 30, "failures": [{k: evil for k in ("failure", "ip", "header_from", "mail_from", "reporter",
                                                                                   "delivery_result")} | {"received_ms": 1, "incidents": 1}]}
    keys = {"keys": [{k: evil for k in ("domain", "selector", "algorithm", "state", "record", "name")}]}
    for words, result in ((["reports", "tls", "x.example"], tls), (["dmarc", "failures", "x.example"], failures), (["dkim", "list"], keys),
                          (["dkim", "list", "--records"], keys), (["domain", "list"], {"domains": [evil]})):
        done = false_server.run([json.dumps({"ok": True, "result": result}).encode() + b"\n"], *words)
        assert done.returncode == 0 and "31m" in done.stdout, (words, done)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.stdout), (words, done.stdout)
    done = false_server.run([json.dumps({"ok": False, "error": evil, "code": "refused"}).encode() + b"\n"], "domain", "list")
    assert done.returncode != 0 and "31m" in done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.stderr), done.stderr


def test_key_that_others_may_read(make_postrider):
    server = make_postrider()
    assert "may read" not in server.cli("check").stderr
    key = re.search(r'key\s*=\s*"([^"]+)"', open(server.config).read()).group(1)
    before = os.stat(key).st_mode
    try:
        os.chmod(key, 0o644)
        done = server.cli("check")
        assert done.returncode == 0 and f"others may read the private key {key}" in done.stderr
    finally:
        os.chmod(key, before)
