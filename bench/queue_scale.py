#!/usr/bin/env python3
"""Long queues: what a message costs when very many wait already, how long counting them takes, and how soon a server that starts on a
long queue delivers. All on loopback: smtp-source → Postrider → smtp-sink.

usage: bench/queue_scale.py [--binary FILE] [--count N] [--rounds N]

N recipients wait (1,000,000; BENCH_SCALE says otherwise); the release needs src/store/queue_fill beside it. Lines `RATIO <name> <value>` at the end:
  queue-cpu       CPU per accepted and relayed message with N deferred, divided by that with an empty queue (aim: at most 1.2)
  queue-rate      messages per second, likewise (aim: at least 0.83)
  queue-start     seconds from the start to the first delivery with as many (at most 1,000,000) due, divided by 5 (aim: below 1)
  queue-memory    resident memory of that server at its highest, divided by 300 MiB (aim: below 1)
  queue-summary   seconds for `queue summary` of N, per 10 million, divided by 10 (aim: below 1)
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "bench")]

BYTES_PER_RECIPIENT = 1100  # on disk, with the log and some room
SECONDS_PER_MILLION = 240  # a fill that takes longer is given up
DUE_MAX = 1_000_000
FIRST_DELIVERY_PATIENCE_S = 120


def scale():
    return int(os.environ.get("BENCH_SCALE", "1000000"))


def helper_of(binary):
    return os.path.join(os.path.dirname(os.path.abspath(binary)), "src", "store", "queue_fill")


def room_for(folder, count):
    """Whether the disk has room for so many; says so if not."""
    needed, free = count * BYTES_PER_RECIPIENT, shutil.disk_usage(folder).free
    if free > needed * 1.2 + 2e9:
        return True
    print(f"bench: {count:,} recipients need {needed / 1e9:.0f} GB in {folder}, {free / 1e9:.0f} GB are free: left out", flush=True)
    return False


def fill(server, binary, count, kind):
    from lab import base, postrider
    start = time.monotonic()
    subprocess.run([helper_of(binary), server.data, str(count), kind], check=True, timeout=60 + SECONDS_PER_MILLION * count / 1e6)
    if base.is_root():
        subprocess.run(["chown", "-R", f"{postrider.RUN_AS}:", server.data], check=True)
    return time.monotonic() - start


def memory_kib(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"^{key}:\s+(\d+) kB", f.read(), re.M).group(1))


def make_server(lab, authority, sink, name):
    from lab.postrider import Postrider
    server = Postrider(lab, authority, domain="bench.example", accounts={}, start=False, folder=lab.subfolder(name), config={
        "listen mx": {"relay_from": ["127.0.0.0/8"]}, "listen submission": None, "listen submissions": None,
        "limits": {"connections_per_address": 20000, "messages_per_session": 999999, "commands_per_session": 10000000},
        "queue": {"retry_first": "5m", "retry_max": "4h"},
        "delivery": {"connect_timeout": "30s", "idle": "2s"},
        "smarthost sink": {"host": sink.ip, "port": sink.port, "tls": "clear", "concurrency": 50}})
    server.port = server.mx_port
    return server


def cost_of_messages(servers, sink, rounds, messages=20_000):
    """{name: (messages/s, CPU ms per message)}: rounds alternate, medians."""
    import run
    results = {name: run.Result() for name in servers}
    for name, server in servers.items():
        run.one_round(server, sink, "4k-reuse", 2000, None)
    for _ in range(rounds):
        for name, server in servers.items():
            run.one_round(server, sink, "4k-reuse", messages, results[name])
    return {name: (statistics.median(r.relay), statistics.median(r.cpu_ms)) for name, r in results.items()}


def time_summary(server, count):
    start = time.monotonic()
    found = json.loads(server.must("queue", "summary", "--json", timeout=60 + 60 * count / 1e6))
    seconds = time.monotonic() - start
    if not found["complete"] or found["recipients"] < count:
        raise SystemExit(f"bench: the summary tells of {found['recipients']} of {count} recipients")
    return seconds


def start_on_due(lab, authority, sink, binary, count):
    """(seconds to the first delivery, highest resident KiB after some seconds of work, delivered/s)"""
    server = make_server(lab, authority, sink, "queue-due")
    fill(server, binary, count, "due")
    before, start = sink.count, time.monotonic()
    server.start(wait=False)
    while sink.count == before:
        if time.monotonic() - start > FIRST_DELIVERY_PATIENCE_S or server.process.poll() is not None:
            raise SystemExit(f"bench: nothing was delivered:\n{server.log_text()[-2000:]}")
        time.sleep(0.002)
    first = time.monotonic() - start
    time.sleep(10)
    rate = (sink.count - before) / (time.monotonic() - start)
    highest = memory_kib(server.pid, "VmHWM")
    server.stop()
    shutil.rmtree(server.folder)
    return first, highest, rate


def measure(lab, authority, sink, binary, count, rounds):
    """Prints a table, returns [(ratio's name, value)]."""
    if not os.access(helper_of(binary), os.X_OK):
        print(f"bench: {helper_of(binary)} is not built: long queues are left out", flush=True)
        return []
    due = min(count, DUE_MAX)
    if not room_for(lab.folder, count + due):
        return []
    empty, full = (make_server(lab, authority, sink, name) for name in ("queue-empty", "queue-full"))
    seconds = fill(full, binary, count, "deferred")
    print(f"\n{count:,} deferred recipients put into a store in {seconds:.0f} s", flush=True)
    for server in (empty, full):
        server.start()
    rest = memory_kib(full.pid, "VmRSS")
    summaries = [time_summary(full, count) for _ in range(2)]
    counted = memory_kib(full.pid, "VmHWM")
    costs = cost_of_messages({"empty": empty, "full": full}, sink, rounds)
    for server in (empty, full):
        server.stop()
    shutil.rmtree(full.folder)
    first, highest, rate = start_on_due(lab, authority, sink, binary, due)
    print(f"{'queue of':<14} {'relayed/s':>10} {'CPU ms/msg':>11} {'summary s':>10} {'MiB at rest':>12} {'MiB, counting':>14}")
    print(f"{'0':<14} {costs['empty'][0]:>10.0f} {costs['empty'][1]:>11.3f}")
    print(f"{count:<14,} {costs['full'][0]:>10.0f} {costs['full'][1]:>11.3f} {summaries[0]:>5.1f}/{summaries[1]:<4.1f} {rest / 1024:>12.0f} "
          f"{counted / 1024:>14.0f}")
    print(f"started with {due:,} due: first delivery after {first:.2f} s, then {rate:.0f}/s, at most {highest / 1024:.0f} MiB resident", flush=True)
    return [("queue-cpu", costs["full"][1] / costs["empty"][1]), ("queue-rate", costs["full"][0] / costs["empty"][0]),
            ("queue-start", first / 5), ("queue-memory", highest / 1024 / 300), ("queue-summary", summaries[1] / count * 1e7 / 10)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "release", "postrider"))
    parser.add_argument("--count", type=int, default=scale())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["POSTRIDER"] = os.path.abspath(arguments.binary)
    import run
    from lab import base
    from lab.certificates import Authority
    lab = base.Lab()
    try:
        ratios = measure(lab, Authority(lab.subfolder("ca")), run.Sink(lab), arguments.binary, arguments.count, arguments.rounds)
        for name, value in ratios:
            print(f"RATIO {name} {value:.3f}")
    finally:
        lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
