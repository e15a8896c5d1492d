"""One Postrider server of the lab: its folder, configuration, accounts, process, and what it did."""
import glob
import json
import os
import pwd
import re
import signal
import subprocess

from . import base
from .postfix import read_maildir

BINARY = os.environ.get("POSTRIDER", os.path.join(base.ROOT, "build", "release", "postrider"))


def _is_sanitized():
    try:
        with open(BINARY, "rb") as f:
            return bool(re.search(rb"__[at]san_init", f.read()))
    except OSError:
        return False


SANITIZED = _is_sanitized()
RUN_AS = "nobody"  # started as root, it becomes this user: the drop of privileges is part of every test
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Sanitizer:DEADLYSIGNAL|ASSERT")


def quote(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(quote(v) for v in value) + "}"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def config_text(tree):
    """{"hostname": "x", "limits": {"hops": 3}, "smarthost a": {…}} as a configuration file."""
    lines = [f"{name} = {quote(value)}" for name, value in tree.items() if not isinstance(value, dict) and value is not None]
    for name, section in tree.items():
        if isinstance(section, dict):
            lines.append(f"{name} {{")
            lines += [f"\t{key} = {quote(value)}" for key, value in section.items() if value is not None]
            lines.append("}")
    return "\n".join(lines) + "\n"


def merge(tree, changes):
    """Sections are merged, everything else replaced; None as a section drops it."""
    out = {k: dict(v) if isinstance(v, dict) else v for k, v in tree.items()}
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(out.get(name), dict):
            out[name].update(value)
        elif value is None:
            out.pop(name, None)
        else:
            out[name] = value
    return out


def make_readable(key):
    """A reload reads the key again, when the privileges of root are long gone."""
    if base.is_root():
        os.chown(key, pwd.getpwnam(RUN_AS).pw_uid, -1)


class Postrider:
    """Listens on an address of its own: mx on port 25, submission 587, submissions 465 (10,000 higher without root)."""

    def __init__(self, lab, authority, dns=None, domain="here.example", accounts=None, aliases=(), config=None, start=True, ip=None,
                 folder=None, env=None, wrapper=()):
        self.lab = lab
        self.domain = domain
        self.hostname = f"mail.{domain}"
        self.ip = ip or lab.address()
        self.mx_port, self.submission_port, self.submissions_port = lab.port(25), lab.port(587), lab.port(465)
        self.folder = folder or lab.subfolder("postrider")
        os.makedirs(self.folder, exist_ok=True)
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "postrider.conf")
        self.log = os.path.join(self.folder, "log")
        self.ca = authority.ca
        self.env = dict(os.environ, **(env or {}))
        self.wrapper = list(wrapper)
        self.process = None
        self.passwords = {}
        certificate, key = authority.issue([self.hostname], [self.ip])
        make_readable(key)
        self.tree = {
            "hostname": self.hostname,
            "data": self.data,
            "user": RUN_AS if base.is_root() else None,
            "tls": {"certificate": certificate, "key": key},
            "listen mx": {"address": f"{self.ip}:{self.mx_port}"},
            "listen submission": {"address": f"{self.ip}:{self.submission_port}"},
            "listen submissions": {"address": f"{self.ip}:{self.submissions_port}"},
            "limits": {"connections_per_address": 1000},
            # Most tests send as nobody in particular; those that are about it switch it on.
            "authentication": {"enabled": False},
            "queue": {"retry_first": "300ms", "retry_max": "2s"},
            "delivery": {"port": lab.port(25), "ca_file": authority.ca, "connect_timeout": "5s", "idle": "500ms"},
        }
        if dns is not None:
            self.tree["dns"] = {"servers": [dns.server], "trust_anchor": dns.trust_anchor, "timeout": "5s"}
        self.tree = merge(self.tree, config or {})
        self.write_config()
        self._make_data_folder()
        self.must("domain", "add", domain)
        for address, password in (accounts if accounts is not None else {"joe": "joe's password"}).items():
            self.add_account(address, password)
        for alias, target in aliases:
            self.must("alias", "add", self.full(alias), target)
        if start:
            self.start()

    # --- setting up ---

    def _make_data_folder(self):
        os.makedirs(self.data, exist_ok=True)
        os.chmod(self.data, 0o700)
        if base.is_root():
            os.chown(self.data, pwd.getpwnam(RUN_AS).pw_uid, pwd.getpwnam(RUN_AS).pw_gid)

    def write_config(self, **changes):
        self.tree = merge(self.tree, changes)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(config_text(self.tree))

    def full(self, address):
        return address if "@" in address else f"{address}@{self.domain}"

    def add_account(self, address, password):
        address = self.full(address)
        self.must("account", "add", address, input=password + "\n")
        self.passwords[address] = password

    # --- the command line ---

    def cli(self, *arguments, input=None, env=None, timeout=300):
        """Runs a subcommand with this server's configuration."""
        return subprocess.run([BINARY, *arguments[:1], "--config", self.config, *arguments[1:]], text=True, errors="replace",
                              capture_output=True, input=input if input is not None else "", timeout=timeout, env=env or self.env)

    def must(self, *arguments, **more):
        done = self.cli(*arguments, **more)
        assert done.returncode == 0, f"postrider {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def queue_list(self, *options):
        return json.loads(self.must("queue", "list", *options, "--json"))["messages"]

    def queue_show(self, message_id):
        return json.loads(self.must("queue", "show", message_id, "--json"))

    def trace(self, message_id):
        return json.loads(self.must("trace", message_id, "--json"))

    # --- the process ---

    def start(self, wait=True):
        command = [*self.wrapper, BINARY, "serve", "--config", self.config]
        self.process = self.lab.spawn(command, self.log, env=self.env)
        if wait:
            self.wait_ready()

    def ports(self):
        for kind, port, greeting in (("mx", self.mx_port, b"220"), ("submission", self.submission_port, b"220"),
                                     ("submissions", self.submissions_port, b"")):
            if self.tree.get(f"listen {kind}"):
                yield port, greeting

    def wait_ready(self):
        try:
            for port, greeting in self.ports():
                base.wait_for_port(self.ip, port, f"postrider of {self.domain}", self.process, greeting)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log_text()[-3000:]}") from None

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    @property
    def pid(self):
        return self.process.pid

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_end(self):
        code = self.process.wait(base.PATIENCE_S)
        self.lab.forget(self.process)
        return code

    def stop(self, expect=0):
        """SIGTERM; asserts a clean end and that no sanitizer had anything to say."""
        if self.process is not None and self.process.poll() is None:
            self.terminate()
        if self.process is not None:
            code = self.wait_end()
            self.process = None
            self.check_clean()
            assert code == expect, f"postrider ended with {code}:\n{self.log_text()[-3000:]}"

    def kill(self):
        self.process.kill()
        self.wait_end()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def check_clean(self):
        found = SANITIZER.search(self.log_text())
        assert not found, f"a sanitizer's report:\n{self.log_text()[max(0, found.start() - 500):found.start() + 6000]}"

    def log_text(self):
        return base.read_text(self.log)

    # --- what came of it ---

    def mailbox(self, address):
        local, domain = self.full(address).rsplit("@", 1)
        return read_maildir(os.path.join(self.data, "mail", domain, local))

    def wait_mail(self, address, count=1, subject=None):
        """Until `count` messages (with that subject) are in the mailbox; returns them."""

        def found():
            mails = [m for m in self.mailbox(address) if subject is None or str(m["Subject"]) == subject]
            return mails if len(mails) >= count else None

        return base.wait_for(found, lambda: f"{count} messages to {address} (subject {subject}); has "
                                            f"{[str(m['Subject']) for m in self.mailbox(address)]}; log:\n{self.log_text()[-4000:]}")

    def wait_queue_empty(self):
        base.wait_for(lambda: not self.queue_list(), lambda: f"an empty queue; has {self.queue_list()}; log:\n{self.log_text()[-3000:]}",
                      step=0.2)

    def wait_log(self, pattern):
        return base.wait_for(lambda: re.search(pattern, self.log_text()), lambda: f"/{pattern}/ in the log:\n{self.log_text()[-3000:]}")

    def spool_files(self):
        return [p for p in glob.glob(os.path.join(self.data, "spool", "**"), recursive=True) if os.path.isfile(p)]
