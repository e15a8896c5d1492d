"""Knot DNS on a loopback address: a signed root, the unsigned zone `example.`, the signed zone `signed.`.

Names are added while it runs. The resolver under test is given `server` and `trust_anchor`, so its chain of trust begins at our root:
`example.` is proven insecure by the root, `signed.` is proven secure.
"""
import os
import re
import subprocess
import threading

from . import base

SOA = "@ 60 IN SOA ns.example. hostmaster.example. {serial} 3600 600 86400 5\n@ 60 IN NS ns.example.\n"


class Dns:
    PORT = 5353

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.subfolder("knot")
        self.ip = lab.address()
        self.server = f"{self.ip}@{self.PORT}"
        self.config = os.path.join(self.folder, "knot.conf")
        self.log = os.path.join(self.folder, "log")
        self.trust_anchor = os.path.join(self.folder, "root.key")
        self.lock = threading.Lock()
        self.serial = 1
        self.records = {"example.": [f"ns 60 IN A {self.ip}"], "signed.": []}
        os.makedirs(os.path.join(self.folder, "db"))
        self._write_config()
        ds = self._make_key("signed.")
        root_ds = self._make_key(".")
        with open(self.trust_anchor, "w", encoding="ascii") as f:
            f.write(root_ds)
        self._write_zone(".", ["example. 60 IN NS ns.example.", f"ns.example. 60 IN A {self.ip}",
                               "signed. 60 IN NS ns.example.", *ds.splitlines()])
        for zone in self.records:
            self._write_zone(zone, self.records[zone])
        self.process = lab.spawn(["knotd", "-c", self.config], self.log)
        base.wait_for_port(self.ip, self.PORT, "knotd", self.process)
        base.wait_for(lambda: self._control("zone-status", "signed.") and "signed." in base.read_text(self.log), "knotd's control socket")

    def _write_config(self):
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"""server:
    rundir: {self.folder}
    listen: {self.ip}@{self.PORT}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {self.folder}/db
policy:
  - id: lab
    algorithm: ecdsap256sha256
    nsec3: off
template:
  - id: default
    storage: {self.folder}
    zonefile-sync: -1
zone:
  - domain: .
    file: root.zone
    dnssec-signing: on
    dnssec-policy: lab
    zonefile-load: difference-no-serial
    journal-content: all
  - domain: signed.
    file: signed.zone
    dnssec-signing: on
    dnssec-policy: lab
    zonefile-load: difference-no-serial
    journal-content: all
  - domain: example.
    file: example.zone
    zonefile-load: whole
    journal-content: none
""")

    def _make_key(self, zone):
        """Makes a zone's key; its DS record as text."""
        for arguments in (["generate", "algorithm=ecdsap256sha256", "ksk=yes"], ["generate", "algorithm=ecdsap256sha256", "zsk=yes"]):
            subprocess.run(["keymgr", "-c", self.config, zone, *arguments], check=True, capture_output=True)
        text = subprocess.run(["keymgr", "-c", self.config, zone, "ds"], check=True, capture_output=True, text=True).stdout
        # SHA-256 (type 2) alone is enough.
        return "".join(re.sub(r"\sDS\s", " 60 IN DS ", line, 1) + "\n" for line in text.splitlines() if re.search(r"\s13 2\s", line))

    def _write_zone(self, zone, records):
        name = "root" if zone == "." else zone.rstrip(".")
        path = os.path.join(self.folder, name + ".zone")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(f"$ORIGIN {zone}\n" + SOA.format(serial=self.serial) + "\n".join(records) + "\n")
        os.rename(path + ".new", path)

    def _control(self, *arguments):
        return subprocess.run(["knotc", "-c", self.config, "-b", "-t", "30", *arguments], capture_output=True, text=True).returncode == 0

    def add(self, *records, zone="example."):
        """Adds records in zone-file form, names relative to the zone: dns.add("a1 MX 10 mx.a1", "mx.a1 A 127.0.0.9")."""
        with self.lock:
            self.serial += 1
            self.records[zone] += ["\n".join(r if re.match(r"\S+\s+\d+\s", r) else self._with_ttl(r) for r in records)]
            self._write_zone(zone, self.records[zone])
            if not self._control("zone-reload", zone):
                raise RuntimeError(f"knotc zone-reload {zone} failed: " + base.read_text(self.log)[-2000:])

    @staticmethod
    def _with_ttl(record):
        name, rest = record.split(None, 1)
        return f"{name} 60 IN {rest}"

    def replace(self, old, *records, zone="example."):
        """Removes every record of the name `old`, then adds."""
        with self.lock:
            self.records[zone] = [r for block in self.records[zone] for r in block.split("\n") if r.split()[:1] != [old]]
        self.add(*records, zone=zone)

    def stop(self):
        base.end_process(self.process)
        self.lab.forget(self.process)
