"""Fixtures: one lab a session with DNS and Postfix; Postriders and scripted peers by test."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import base, postfix as lab_postfix, postrider as lab_postrider  # noqa: E402
from lab.certificates import Authority  # noqa: E402
from lab.dns import Dns  # noqa: E402
from lab.scripted_peer import ScriptedPeer  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes longer than most; -m 'not slow' leaves it out")


def pytest_sessionstart(session):
    if not os.access(lab_postrider.BINARY, os.X_OK):
        pytest.exit(f"there is no program {lab_postrider.BINARY}: make test builds it, or set POSTRIDER", returncode=2)


@pytest.fixture(scope="session")
def lab():
    lab = base.Lab()
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def authority(lab):
    return Authority(lab.subfolder("ca"))


@pytest.fixture(scope="session")
def dns(lab):
    return Dns(lab)


@pytest.fixture(scope="session")
def postfix(lab, authority, dns):
    """A real second mail server; remote.example has its MX there."""
    if not lab_postfix.available():
        pytest.skip("Postfix needs root to be started")
    server = lab_postfix.Postfix(lab, authority)
    dns.add("remote MX 10 mx.remote", f"mx.remote A {server.ip}")
    yield server
    server.stop()


@pytest.fixture
def make_postrider(lab, authority, dns):
    """Starts servers; each must stop cleanly at the end of the test."""
    made = []

    def make(**more):
        more.setdefault("dns", dns)
        more.setdefault("domain", f"h{len(made) + 1}.example")
        server = lab_postrider.Postrider(lab, authority, **more)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def server(make_postrider):
    """The server that most tests need: two accounts, two aliases."""
    return make_postrider(domain="here.example", accounts={"joe": "joe's pass word", "ann": "änns-Paßwort"},
                          aliases=[("sales", "joe@here.example"), ("team", "joe@here.example"), ("team", "ann@here.example")])


@pytest.fixture
def make_peer(lab):
    """Scripted peers, each on an address of its own."""
    made = []

    def make(ip=None, port=None, **more):
        peer = ScriptedPeer(ip or lab.address(), port or lab.port(25), **more)
        made.append(peer)
        return peer

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def make_domain(dns, lab, request):
    """make_domain("name", peer, …) puts NAME-n.example in DNS with those peers as its MX hosts, in order of preference."""
    counter = request.session.stash.setdefault(COUNTER, [0])

    def make(label, *hosts):
        counter[0] += 1
        name = f"{label}-{counter[0]}"
        records = []
        for number, host in enumerate(hosts):
            ip = host if isinstance(host, str) else host.ip
            records += [f"{name} MX {10 * (number + 1)} mx{number}.{name}", f"mx{number}.{name} {'AAAA' if ':' in ip else 'A'} {ip}"]
        dns.add(*records)
        return f"{name}.example"

    return make


COUNTER = pytest.StashKey()
