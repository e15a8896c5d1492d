"""A Postfix of our own: configuration, queue and data in one folder, listening on one loopback address. Needs root (its master does).

It takes mail for every domain but `unknown@…` and `full@…`, into a Maildir that tests read. What route() names goes by SMTP to that address
and port: so tests let it send to us.
"""
import email
import email.policy
import os
import pwd
import grp
import socket
import subprocess
import threading

from . import base

MASTER = "/usr/lib/postfix/sbin/master"


def available():
    return base.is_root() and os.path.exists(MASTER)


class Postfix:
    def __init__(self, lab, authority, hostname="mx.remote.example", ip=None, port=None, extra=None, start=True):
        self.lab = lab
        self.hostname = hostname
        self.ip = ip or lab.address()
        self.port = port or lab.port(25)
        self.folder = lab.subfolder("postfix")
        self.log = os.path.join(self.folder, "maillog")
        self.mail = os.path.join(self.folder, "mail")
        self.routes = Routes(lab.address())
        certificate, key = authority.issue([hostname], [self.ip])
        self._make_folders()
        self._write_config(certificate, key, authority.ca, extra or {})
        self.process = None
        if start:
            self.start()

    def _make_folders(self):
        user, drop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop")
        self.queue = os.path.join(self.folder, "queue")
        self.data = os.path.join(self.folder, "data")
        for folder in (self.queue, os.path.join(self.queue, "pid"), os.path.join(self.folder, "conf")):
            os.makedirs(folder)
        for name, mode in (("active", 0o700), ("bounce", 0o700), ("corrupt", 0o700), ("defer", 0o700), ("deferred", 0o700), ("flush", 0o700),
                           ("hold", 0o700), ("incoming", 0o700), ("private", 0o700), ("saved", 0o700), ("trace", 0o700), ("maildrop", 0o730),
                           ("public", 0o710)):
            path = os.path.join(self.queue, name)
            os.makedirs(path)
            os.chown(path, user.pw_uid, drop.gr_gid if name in ("maildrop", "public") else user.pw_gid)
            os.chmod(path, mode)
        os.makedirs(self.data)
        os.chown(self.data, user.pw_uid, user.pw_gid)
        os.makedirs(self.mail)
        os.chown(self.mail, pwd.getpwnam("nobody").pw_uid, -1)

    def _write_config(self, certificate, key, ca, extra):
        conf = os.path.join(self.folder, "conf")
        nobody = pwd.getpwnam("nobody")
        main = {
            "compatibility_level": "3.6",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix",
            "meta_directory": "/etc/postfix",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file": self.log,
            "maillog_file_prefixes": self.folder,
            "myhostname": self.hostname,
            "inet_interfaces": "all",
            "inet_protocols": "ipv4",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "mynetworks": "127.0.0.0/8",
            "smtpd_peername_lookup": "no",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_recipient_restrictions": f"check_recipient_access regexp:{conf}/recipients, permit",
            "smtpd_tls_cert_file": certificate,
            "smtpd_tls_key_file": key,
            "smtpd_tls_security_level": "may",
            "smtpd_tls_received_header": "yes",
            "smtp_tls_security_level": "may",
            "smtp_tls_CAfile": ca,
            "smtp_tls_loglevel": "1",
            "smtputf8_autodetect_classes": "all",
            "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native",
            "transport_maps": f"socketmap:inet:{self.routes.ip}:{self.routes.port}:route",
            "virtual_mailbox_domains": "static:all",
            "virtual_mailbox_maps": f"regexp:{conf}/mailboxes",
            "virtual_mailbox_base": self.mail,
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "virtual_mailbox_limit": "0",
            "virtual_minimum_uid": "1",
            "mailbox_size_limit": "0",
            "message_size_limit": "209715200",
            "queue_minfree": "0",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "4s",
            "queue_run_delay": "2s",
            "in_flow_delay": "0",
        }
        main.update(extra)
        with open(os.path.join(conf, "main.cf"), "w", encoding="utf-8") as f:
            f.write("".join(f"{name} = {value}\n" for name, value in main.items()))
        with open(os.path.join(conf, "mailboxes"), "w", encoding="ascii") as f:
            f.write("if !/^unknown@/\n/./ all/\nendif\n")
        with open(os.path.join(conf, "recipients"), "w", encoding="ascii") as f:
            f.write("/^full@/ 452 4.2.2 Mailbox full\n")
        with open(os.path.join(conf, "master.cf"), "w", encoding="ascii") as f:
            f.write(self._services())

    def _services(self):
        lines = [f"{self.ip}:{self.port} inet n - n - - smtpd"]
        lines += ["cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr"]
        lines += [f"{name} unix - - n - {limit} {command}" for name, limit, command in (
            ("rewrite", "-", "trivial-rewrite"), ("tlsmgr", "1", "tlsmgr"), ("bounce", "0", "bounce"), ("defer", "0", "bounce"),
            ("trace", "0", "bounce"), ("verify", "1", "verify"), ("proxymap", "-", "proxymap"), ("smtp", "-", "smtp"), ("relay", "-", "smtp"),
            ("error", "-", "error"), ("retry", "-", "error"), ("discard", "-", "discard"), ("anvil", "1", "anvil"), ("scache", "1", "scache"))]
        lines += ["flush unix n - n 1000? 0 flush", "showq unix n - n - - showq", "virtual unix - n n - - virtual", "local unix - n n - - local",
                  "postlog unix-dgram n - n - 1 postlogd"]
        return "\n".join(lines) + "\n"

    def start(self):
        self.process = self.lab.spawn([MASTER, "-c", os.path.join(self.folder, "conf"), "-d"], os.path.join(self.folder, "stdout"))
        base.wait_for_port(self.ip, self.port, "Postfix", self.process, greeting=b"220")

    def stop(self):
        base.end_process(self.process)
        self.lab.forget(self.process)

    def flush(self):
        subprocess.run(["/usr/sbin/postqueue", "-c", os.path.join(self.folder, "conf"), "-f"], check=False, capture_output=True)

    def route(self, domain, ip, port):
        """From now on mail for the domain goes there."""
        self.routes.table[domain] = f"smtp:[{ip}]:{port}"

    def mailbox(self, address):
        """The messages delivered to an address, oldest first, as email.message.EmailMessage with `.raw` bytes."""
        return [m for m in read_maildir(os.path.join(self.mail, "all")) if str(m["Delivered-To"]) == address]

    def wait_mail(self, address, count=1):
        base.wait_for(lambda: len(self.mailbox(address)) >= count,
                      lambda: f"{count} messages to {address} in Postfix; its log:\n" + base.read_text(self.log)[-3000:])
        return self.mailbox(address)


class Routes:
    """Postfix's transport table, answered over its socketmap protocol (netstrings)."""

    def __init__(self, ip):
        self.table = {}
        self.ip = ip
        self.socket = socket.create_server((ip, 0))
        self.socket.settimeout(None)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.socket.accept()
            client.settimeout(None)
            threading.Thread(target=self._serve, args=(client.makefile("rwb"),), daemon=True).start()

    def _serve(self, stream):
        while True:
            length = b""
            while not length.endswith(b":"):
                byte = stream.read(1)
                if not byte:
                    return
                length += byte
            _, key = stream.read(int(length[:-1]) + 1)[:-1].decode().split(" ", 1)
            found = self.table.get(key.rsplit("@", 1)[-1])
            answer = f"OK {found}".encode() if found and "@" in key else b"NOTFOUND "
            stream.write(b"%d:%s," % (len(answer), answer))
            stream.flush()


def read_maildir(folder):
    found = []
    for sub in ("new", "cur"):
        path = os.path.join(folder, sub)
        if not os.path.isdir(path):
            continue
        for name in os.listdir(path):
            with open(os.path.join(path, name), "rb") as f:
                raw = f.read()
            message = email.message_from_bytes(raw, policy=email.policy.default)
            message.raw = raw
            message.file = os.path.join(path, name)
            found.append((os.stat(message.file).st_mtime_ns, name, message))
    return [m for _, _, m in sorted(found, key=lambda f: f[:2])]
