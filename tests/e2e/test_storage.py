"""What disks do: full, failing, and a process that is killed. Nothing that was answered 250 is lost, and the service comes back."""
import os
import subprocess
import uuid

import pytest

from lab import base, postrider as lab_postrider
from lab.wire import Wire

TRUSTED = {"listen mx": {"relay_from": ["127.0.0.0/8"]}}


def offer(server, recipient, body_bytes=2000):
    """Tries to hand over one message: (subject, first answer that is not 2xx/354, or the last one)."""
    about = "Test " + uuid.uuid4().hex[:12]
    with Wire(server.ip, server.mx_port) as wire:
        wire.hello()
        for command in (f"MAIL FROM:<joe@{server.domain}>", f"RCPT TO:<{recipient}>", "DATA"):
            got = wire.command(command)
            if got[0] not in "23":
                return about, got
        wire.send(f"Subject: {about}\r\n\r\n" + ("x" * 76 + "\r\n") * (body_bytes // 78) + ".\r\n")
        return about, wire.answer()


@pytest.fixture
def small_disk(lab):
    if not base.is_root():
        pytest.skip("mounting a small file system needs root")
    folder = lab.subfolder("small-disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_full_disk(make_postrider, make_peer, make_domain, small_disk):
    """452 4.3.1 while there is no room; nothing lost; the service resumes when there is room again."""
    peer = make_peer(script={"MAIL": "451 4.3.0 not yet"})  # so that the queue keeps what it has
    domain = make_domain("full", peer)
    server = make_postrider(folder=os.path.join(small_disk, "p"), accounts={"joe": "joe"}, config=TRUSTED)
    accepted, refused = [], []
    for size in [200_000] * 60 + [3000] * 200:
        about, got = offer(server, f"x@{domain}", size)
        (accepted if got.startswith("250") else refused).append((about, got))
        if len(refused) >= 5:
            break
    assert refused and accepted
    assert all(got.startswith(("452 4.3.1", "451 4.3")) for _, got in refused), refused
    assert any(got.startswith("452 4.3.1") for _, got in refused), refused
    assert server.process.poll() is None
    # Room again, by the log of the server's own folder (not the data folder) being elsewhere: a larger disk.
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)

    def again():
        about, got = offer(server, f"x@{domain}", 200_000)
        if got.startswith("250"):
            accepted.append((about, got))
            return True
        return False

    base.wait_for(again, "the service after the disk has room again", step=0.3)
    peer.script.clear()
    base.wait_for(lambda: len(peer.messages) >= len(accepted), lambda: f"{len(accepted)} messages; has {len(peer.messages)}; log\n" +
                  server.log_text()[-3000:])
    server.wait_queue_empty()
    arrived = b"".join(m.data[:2000] for m in peer.messages)
    for about, _ in accepted:
        assert about.encode() in arrived
    for about, _ in refused:
        assert about.encode() not in arrived


def test_failing_fsync(make_postrider, make_peer, make_domain, lab):
    """A commit that can't be made durable is no 250; after the disk is well again, mail flows."""
    library = lab.path("failfsync.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(os.path.dirname(__file__), "failfsync.c"), "-ldl"], check=True)
    switch = lab.path("fsync-is-broken")
    env = {"LD_PRELOAD": library, "FAILFSYNC": switch, "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=1"}
    peer = make_peer(script={"MAIL": "451 4.3.0 not yet"})
    domain = make_domain("fsync", peer)
    server = make_postrider(accounts={"joe": "joe"}, config=dict(TRUSTED, limits={"inline_body": "64K"}), start=False)
    server.env.update(env)
    server.start()
    server.env = {k: v for k, v in server.env.items() if k not in env}
    before = [offer(server, f"x@{domain}"), offer(server, f"x@{domain}", 300_000)]
    assert all(got.startswith("250") for _, got in before), before
    with open(switch, "w", encoding="ascii"):
        pass
    during = [offer(server, f"x@{domain}"), offer(server, f"x@{domain}", 300_000)]
    assert all(got.startswith("4") for _, got in during), during
    os.unlink(switch)
    assert server.process.poll() is None, server.log_text()[-3000:]
    after = []

    def again():
        result = offer(server, f"x@{domain}")
        if result[1].startswith("250"):
            after.append(result)
            return True
        return False

    base.wait_for(again, "the service after the disk is well again", step=0.3)
    peer.script.clear()
    wanted = [about for about, _ in before + after]
    base.wait_for(lambda: all(any(a.encode() in m.data for m in peer.messages) for a in wanted), lambda: f"all of {wanted}; log\n" +
                  server.log_text()[-3000:])
    server.wait_queue_empty()
    arrived = b"".join(m.data[:2000] for m in peer.messages)
    for about, _ in during:
        assert about.encode() not in arrived


def test_queue_survives_a_restart_and_a_kill(make_postrider, make_peer, make_domain):
    peer = make_peer(script={"MAIL": "451 4.3.0 not yet"})
    domain = make_domain("restart", peer)
    server = make_postrider(accounts={"joe": "joe"}, config=TRUSTED)
    accepted = [offer(server, f"x@{domain}", size) for size in (1000, 50_000, 2_500_000)]
    assert all(got.startswith("250") for _, got in accepted)
    server.restart()
    accepted.append(offer(server, f"x@{domain}"))
    server.kill()
    server.start()
    assert len(server.queue_list()) == 4
    peer.script.clear()
    server.must("queue", "retry", "--all")
    base.wait_for(lambda: len({about for about, _ in accepted for m in peer.messages if about.encode() in m.data}) == 4, "all four")
    server.wait_queue_empty()
    base.wait_for(lambda: not server.spool_files(), lambda: f"no spool files, has {server.spool_files()}")


def test_second_instance_is_refused(make_postrider, lab):
    server = make_postrider(accounts={"joe": "joe"})
    other = lab.path("second.conf")
    second_ip = lab.address()
    with open(server.config, encoding="utf-8") as f, open(other, "w", encoding="utf-8") as out:
        out.write(f.read().replace(server.ip, second_ip))
    done = subprocess.run([lab_postrider.BINARY, "serve", "--config", other], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=base.PATIENCE_S)
    assert done.returncode not in (0, 78), done.stderr
    assert server.data in done.stderr and "Sanitizer" not in done.stderr and len(done.stderr.strip().splitlines()) <= 2, done.stderr
    about, got = offer(server, server.full("joe"))
    assert got.startswith("250")
    server.wait_mail("joe", subject=about)


def test_store_of_a_newer_version_is_refused(make_postrider):
    import sqlite3
    server = make_postrider(accounts={"joe": "joe"})
    server.stop()
    for name in os.listdir(server.data):
        if not name.endswith(".db"):
            continue
        with sqlite3.connect(os.path.join(server.data, name)) as db:
            tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            versioned = [t for t in tables if t in ("schema", "schema_version", "migration", "migrations", "meta")]
            if versioned:
                column = [r[1] for r in db.execute(f"PRAGMA table_info({versioned[0]})") if "version" in r[1] or r[1] == "number"]
                db.execute(f"UPDATE {versioned[0]} SET {column[0]} = 999999 WHERE {column[0]} = (SELECT MAX({column[0]}) FROM {versioned[0]})")
            else:
                db.execute("PRAGMA user_version = 999999")
        db.close()
    done = server.cli("serve")
    assert done.returncode != 0
    assert "newer" in done.stderr, done.stderr
