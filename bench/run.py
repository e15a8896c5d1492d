#!/usr/bin/env python3
"""Postfix beside Postrider in one run: smtp-source → server → smtp-sink, all on loopback and on this machine. Both make every message
durable before they answer 250. Rounds alternate, medians are shown.

usage: bench/run.py [--binary FILE] [--rounds N] [--seconds S] [--only postfix|postrider] [--work NAME...] [--profile] [--no-queue]

Then what long queues cost (bench/queue_scale.py; BENCH_SCALE recipients, 1,000,000 unless it is set).
At the end one line per ratio, ours divided by Postfix's: RATIO <work> <value>. For cpu-, memory- and syncs- less than 1 is better.
"""
import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "bench")]

TICKS = os.sysconf("SC_CLK_TCK")
# name: bytes, parallel sessions, connection reuse
WORKS = {
    "4k-reuse": (4096, 50, True),
    "4k-connect": (4096, 50, False),
    "64k": (65536, 20, True),
}


# --- what processes cost ---

def processes_of(leader):
    """Pids of the session that `leader` leads."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(name))
    return found


def cpu_seconds(leader):
    """User and system time of a session, with that of children already gone."""
    total = 0
    for pid in processes_of(leader):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    return total / TICKS


def memory_kib(leader):
    """Proportional set size of a session: shared pages are shared out."""
    total = 0
    for pid in processes_of(leader):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            continue
    return total


# --- source and sink ---

class Sink:
    """smtp-sink with its running counter."""

    def __init__(self, lab):
        from lab import base
        self.ip, self.port = lab.address(), 2525
        self.count = 0
        self.process = subprocess.Popen(["/usr/sbin/smtp-sink", "-c", *(["-u", "nobody"] if base.is_root() else []), f"{self.ip}:{self.port}", "1000"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        lab.processes.append(self.process)
        threading.Thread(target=self._read, daemon=True).start()
        base.wait_for_port(self.ip, self.port, "smtp-sink", self.process, b"220")

    def _read(self):
        text = b""
        while True:
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                return
            text = (text + piece)[-200:]
            found = re.findall(rb"mesg=(\d+)", text)
            if found:
                self.count = int(found[-1])

    def wait(self, count, seconds):
        end = time.monotonic() + seconds
        while self.count < count:
            if time.monotonic() > end:
                raise SystemExit(f"bench: the sink has {self.count} of {count} messages after {seconds} s")
            time.sleep(0.002)


def source(ip, port, work, messages):
    size, sessions, reuse = WORKS[work]
    command = ["/usr/sbin/smtp-source", "-4", "-s", str(min(sessions, messages)), "-m", str(messages), "-l", str(size), "-f", "from@bench.example", "-t",
               "to@sink.example", "-M", "client.bench.example"]
    if reuse:
        command.append("-d")
    done = subprocess.run([*command, f"inet:{ip}:{port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: smtp-source: {done.stderr}")


# --- the servers ---

def start_postfix(lab, authority, sink_ip, sink_port, process_limit=200):
    from lab.postfix import Postfix
    return Postfix(lab, authority, hostname="mx.bench.example", extra={
        "virtual_mailbox_domains": "",
        "transport_maps": "",
        "relayhost": f"[{sink_ip}]:{sink_port}",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_tls_security_level": "none",
        "smtp_tls_security_level": "none",
        "smtpd_client_connection_count_limit": "0",
        "smtpd_client_connection_rate_limit": "0",
        "default_process_limit": str(process_limit),
        "initial_destination_concurrency": "50",
        "default_destination_concurrency_limit": "100",
        "minimal_backoff_time": "300s",
        "maximal_backoff_time": "4000s",
        "queue_run_delay": "300s",
    })


def start_postrider(lab, authority, sink_ip, sink_port, wrapper=()):
    from lab.postrider import Postrider
    server = Postrider(lab, authority, domain="bench.example", accounts={}, wrapper=wrapper, config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]}, "listen submission": None, "listen submissions": None,
        "limits": {"connections_per_address": 20000, "messages_per_session": 999999, "commands_per_session": 10000000},
        "queue": {"retry_first": "5m", "retry_max": "4h"},
        "delivery": {"connect_timeout": "30s", "idle": "2s"},
        "smarthost sink": {"host": sink_ip, "port": sink_port, "tls": "clear", "concurrency": 50}})
    server.port = server.mx_port
    return server


class Result:
    def __init__(self):
        self.accept, self.relay, self.cpu_ms = [], [], []

    def medians(self):
        return [statistics.median(v) if v else 0.0 for v in (self.accept, self.relay, self.cpu_ms)]


def one_round(server, sink, work, messages, result):
    before, cpu = sink.count, cpu_seconds(server.process.pid)
    start = time.monotonic()
    source(server.ip, server.port, work, messages)
    accepted = time.monotonic() - start
    sink.wait(before + messages, 300)
    relayed = time.monotonic() - start
    time.sleep(0.3)  # what is written after the last delivery belongs to the messages too
    cpu = cpu_seconds(server.process.pid) - cpu
    if result is not None:
        result.accept.append(messages / accepted)
        result.relay.append(messages / relayed)
        result.cpu_ms.append(cpu * 1000 / messages)
    return messages / relayed


def rounds_for(rate, seconds, work):
    return max(WORKS[work][1] * 4, min(100_000, int(rate * seconds)))


def relay_works(servers, sink, works, rounds, seconds):
    """{(server, work): Result}, and what the client reaches straight into the sink."""
    results = {(name, work): Result() for name in servers for work in works}
    ceiling = {}
    for work in works:
        straight = []
        size = {name: rounds_for(one_round(server, sink, work, WORKS[work][1] * 10, None), seconds, work) for name, server in servers.items()}
        for _ in range(rounds):
            for name, server in servers.items():
                one_round(server, sink, work, size[name], results[name, work])
            start = time.monotonic()
            source(sink.ip, sink.port, work, 5000)
            straight.append(5000 / (time.monotonic() - start))
        ceiling[work] = statistics.median(straight)
    return results, ceiling


def accept_rate(lab, authority, names, messages):
    """Durable acceptance alone: the next server refuses connections, so the mail stays in the queue."""
    rates = {}
    for name, make in (("postfix", start_postfix), ("postrider", start_postrider)):
        if name not in names:
            continue
        server = make(lab, authority, lab.address(), 9)
        source(server.ip, server.port, "4k-reuse", 500)
        start = time.monotonic()
        source(server.ip, server.port, "4k-reuse", messages[name])
        rates[name] = messages[name] / (time.monotonic() - start)
        server.stop()
    return rates


def memory_of(lab, authority, sink, names, connections):
    """{server: (KiB at rest, KiB per idle connection)}."""
    found = {}
    for name in names:
        server = start_postfix(lab, authority, sink.ip, sink.port, connections + 100) if name == "postfix" else start_postrider(
            lab, authority, sink.ip, sink.port)
        time.sleep(1)
        rest = memory_kib(server.process.pid)
        held = []
        for _ in range(connections):
            held.append(socket.create_connection((server.ip, server.port), 120))
        for connection in held:
            stream = connection.makefile("rb")
            stream.readline()
            connection.sendall(b"EHLO idle.example\r\n")
            while stream.readline()[3:4] == b"-":
                pass
        time.sleep(1)
        found[name] = (rest, (memory_kib(server.process.pid) - rest) / connections)
        for connection in held:
            connection.close()
        server.stop()
    return found


def syncs_of(lab, authority, sink, names, messages=1000):
    """fsync and fdatasync calls per message, counted by strace in runs of their own."""
    found = {}
    for name in names:
        log = lab.path(f"syncs-{name}")
        wrapper = ["strace", "-f", "--seccomp-bpf", "-c", "-S", "name", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync", "-o", log]
        if name == "postfix":
            server = start_postfix(lab, authority, sink.ip, sink.port)
            server.stop()
            from lab import base, postfix
            server.process = lab.spawn([*wrapper, postfix.MASTER, "-c", os.path.join(server.folder, "conf"), "-d"], log + ".out")
            base.wait_for_port(server.ip, server.port, "Postfix under strace", server.process, b"220")
        else:
            server = start_postrider(lab, authority, sink.ip, sink.port, wrapper=wrapper)
        before = sink.count
        source(server.ip, server.port, "4k-reuse", messages)
        sink.wait(before + messages, 300)
        # strace passes no signal on: the server is its child.
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True).stdout.split()
        for pid in children:
            os.kill(int(pid), 15)
        server.process.wait(60)
        lab.forget(server.process)
        with open(log, encoding="utf-8") as f:
            calls = sum(int(l.split()[3]) for l in f if re.search(r"sync\w*$", l.strip()) and not l.startswith("%"))
        found[name] = calls / messages
    return found


def profile(lab, server, sink):
    """Where Postrider's time goes, by perf, under the first work."""
    data = lab.path("perf.data")
    recorder = subprocess.Popen(["perf", "record", "-q", "-g", "-o", data, "-p", str(server.process.pid)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    one_round(server, sink, "4k-reuse", 20_000, None)
    recorder.send_signal(2)
    recorder.wait(60)
    out = subprocess.run(["perf", "report", "-i", data, "--no-children", "-g", "none", "--percent-limit", "0.7", "--stdio"], capture_output=True,
                         text=True).stdout
    print("Profile of Postrider, 4k-reuse (perf, self time):")
    print("\n".join(l for l in out.splitlines() if l.strip() and not l.startswith("#")))


def show(names, works, results, ceiling):
    print(f"{'work':<12} {'server':<10} {'accepted/s':>11} {'relayed/s':>10} {'of ceiling':>11} {'CPU ms/msg':>11}")
    for work in works:
        for name in names:
            accept, relay, cpu = results[name, work].medians()
            print(f"{work:<12} {name:<10} {accept:>11.0f} {relay:>10.0f} {relay / ceiling[work]:>10.0%} {cpu:>11.3f}")
        print(f"{work:<12} {'(ceiling)':<10} {'':>11} {ceiling[work]:>10.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--only", choices=["postfix", "postrider"])
    parser.add_argument("--work", nargs="*", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--brief", action="store_true", help="only the relay works")
    parser.add_argument("--no-queue", action="store_true", help="leave long queues out")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.binary:
        os.environ["POSTRIDER"] = os.path.abspath(arguments.binary)
    from lab import base, postfix
    from lab.certificates import Authority
    names = [arguments.only] if arguments.only else ["postfix", "postrider"]
    if "postfix" in names and not postfix.available():
        print("bench: Postfix needs root; only Postrider is measured", flush=True)
        names.remove("postfix")
    lab = base.Lab()
    try:
        authority = Authority(lab.subfolder("ca"))
        sink = Sink(lab)
        make = {"postfix": start_postfix, "postrider": start_postrider}
        servers = {name: make[name](lab, authority, sink.ip, sink.port) for name in names}
        results, ceiling = relay_works(servers, sink, arguments.work, arguments.rounds, arguments.seconds)
        if arguments.profile and "postrider" in servers:
            profile(lab, servers["postrider"], sink)
        for server in servers.values():
            server.stop()
        show(names, arguments.work, results, ceiling)
        ratios = []
        for work in arguments.work:
            if len(names) == 2:
                ours, theirs = results["postrider", work].medians(), results["postfix", work].medians()
                ratios += [(f"relay-{work}", ours[1] / theirs[1]), (f"cpu-{work}", ours[2] / theirs[2])]
            if "postrider" in names:
                ratios.append((f"ceiling-{work}", results["postrider", work].medians()[1] / ceiling[work]))
        if not arguments.brief:
            rates = accept_rate(lab, authority, names, {"postfix": 3000, "postrider": 15000})
            memory = memory_of(lab, authority, sink, names, arguments.connections)
            syncs = syncs_of(lab, authority, sink, names)
            print(f"\n{'':<12} {'accept only/s':>14} {'KiB at rest':>12} {f'KiB/idle of {arguments.connections}':>18} {'syncs/msg':>10}")
            for name in names:
                print(f"{name:<12} {rates[name]:>14.0f} {memory[name][0]:>12.0f} {memory[name][1]:>18.1f} {syncs[name]:>10.3f}")
            if len(names) == 2:
                ratios += [("accept-4k-reuse", rates["postrider"] / rates["postfix"]),
                           ("memory-rest", memory["postrider"][0] / memory["postfix"][0]),
                           ("memory-idle-connection", memory["postrider"][1] / memory["postfix"][1]),
                           ("syncs-4k-reuse", syncs["postrider"] / max(syncs["postfix"], 1e-9))]
        if not arguments.brief and not arguments.no_queue and "postrider" in names:
            import queue_scale
            from lab.postrider import BINARY
            ratios += queue_scale.measure(lab, authority, sink, BINARY, queue_scale.scale(), arguments.rounds)
        print()
        for name, value in ratios:
            print(f"RATIO {name} {value:.3f}")
    finally:
        lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
