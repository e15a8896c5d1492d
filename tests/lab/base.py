"""Folders, loopback addresses, processes and patience."""
import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE_S = float(os.environ.get("POSTRIDER_PATIENCE", "90"))  # sanitizers on a busy machine are slow; nothing asserts on time
socket.setdefaulttimeout(PATIENCE_S)  # no test hangs for good on a silent peer


def is_root():
    return os.geteuid() == 0


def wait_for(condition, what, seconds=None, step=0.05):
    """Polls until condition() is true and returns its value; AssertionError naming `what` (a text, or a function making one) otherwise."""
    end = time.monotonic() + (seconds or PATIENCE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("gave up waiting for " + (what() if callable(what) else what))
        time.sleep(step)


def wait_for_port(ip, port, what, alive=None, greeting=b""):
    """Until something accepts connections there and greets; `alive` is a Popen that must not end meanwhile."""

    def try_it():
        if alive is not None and alive.poll() is not None:
            raise AssertionError(f"{what} ended with {alive.returncode}")
        try:
            with socket.create_connection((ip, port), 10) as s:
                return not greeting or s.recv(len(greeting)) == greeting
        except OSError:
            return False

    wait_for(try_it, f"{what} on {ip}:{port}")


class Lab:
    """One folder and one piece of 127.0.0.0/8 for everything a test session starts."""

    def __init__(self, folder=None, keep=False):
        self.keep = keep or bool(os.environ.get("POSTRIDER_KEEP"))
        self.folder = folder or tempfile.mkdtemp(prefix="prlab-", dir=os.environ.get("POSTRIDER_LAB_FOLDER", "/tmp"))
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)  # other users' daemons work below it
        self._claim()
        self._next_host = 1
        self.low_ports = is_root() and self._can_bind(self.address(), 25)
        self.processes = []
        atexit.register(self.close)

    def _claim(self):
        """A second octet nobody else on this machine uses at the moment: the one who can bind its claim port owns it."""
        for _ in range(200):
            self.octet = random.randint(20, 250)
            claim = socket.socket()
            try:
                claim.bind((f"127.{self.octet}.255.254", 47999))
                self._claim_socket = claim
                return
            except OSError:
                claim.close()
        raise RuntimeError("no free piece of 127.0.0.0/8")

    @staticmethod
    def _can_bind(ip, port):
        with socket.socket() as s:
            try:
                s.bind((ip, port))
                return True
            except OSError:
                return False

    def address(self):
        """A loopback address of its own."""
        self._next_host += 1
        assert self._next_host < 250 * 250
        return f"127.{self.octet}.{self._next_host // 250}.{self._next_host % 250 + 1}"

    def port(self, low):
        """25, 465, 587 where we may bind them, else 10,000 above."""
        return low if self.low_ports else 10000 + low

    def path(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def subfolder(self, name):
        path = os.path.join(self.folder, name)
        number = 1
        while os.path.exists(path):
            number += 1
            path = os.path.join(self.folder, f"{name}-{number}")
        os.makedirs(path)
        return path

    def spawn(self, command, log, **more):
        """Starts a process whose output goes to the file `log`; it is ended with the lab at the latest."""
        with open(log, "ab") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def forget(self, process):
        if process in self.processes:
            self.processes.remove(process)

    def close(self):
        for process in reversed(self.processes):
            end_process(process)
        self.processes = []
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._claim_socket.close()
        atexit.unregister(self.close)


def end_process(process, seconds=15):
    """SIGTERM, then SIGKILL, to a process that we started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # it leads its own session
            except ProcessLookupError:
                pass
            process.wait(seconds)


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def memory_high_water_kib(pid):
    for line in read_text(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
