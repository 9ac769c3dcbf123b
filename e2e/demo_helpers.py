"""A running atoll demo for end-to-end tests."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from peers import HOST, atoll, eventually, http

# The hub's port and those of the clusters that the tests start.
PORTS = 17
CLUSTERS = ("frankfurt", "bahrain", "madrid")
# Sanitizers and a busy machine: the promise of 10 s is for the program that users get.
SLOWNESS = 3 if "asan" in atoll() else 1


def port_block():
    """The first of PORTS neighbouring ports that nobody listens on now."""
    for first in range(21000 + os.getpid() % 500 * 20, 32000, PORTS):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + PORTS):
                    probe = stack.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, port))
                return first
            except OSError:
                continue
    raise AssertionError("no block of free ports")


def is_alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Demo:
    """atoll demo on a state folder and ports of its own; a context manager that ends it."""

    def __init__(self, port=None, state=None, environment=None, flags=()):
        # Not pytest's folder: its path is too long for a socket.
        self.own_state = None if state else tempfile.mkdtemp(prefix="atoll-demo-")
        self.state = str(state or self.own_state)
        self.port = port or port_block()
        self.environment = {**os.environ, **(environment or {})}
        self.flags = list(flags)
        self.process = None
        self.log = tempfile.TemporaryFile()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        if self.own_state:
            shutil.rmtree(self.own_state, ignore_errors=True)

    def start(self):
        self.process = subprocess.Popen(
            [atoll(), "demo", f"--state={self.state}", f"--port={self.port}", *self.flags],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=self.environment)

    def output(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_ready(self, timeout=90):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the demo ended: {self.process.returncode}\n{self.output()}")
            return f"ready: http://{HOST}:{self.port}/\n" in self.output()
        eventually(ready, timeout, what="the demo is ready")

    def wait(self, timeout):
        return self.process.wait(timeout)

    def command(self, *arguments, timeout=90):
        """Runs 'atoll demo ARGUMENTS' against this demo; returns its exit code and output."""
        done = subprocess.run(
            [atoll(), "demo", *arguments, f"--state={self.state}"], capture_output=True,
            text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout + done.stderr

    def command_in_background(self, *arguments):
        return subprocess.Popen(
            [atoll(), "demo", *arguments, f"--state={self.state}"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def pids(self):
        """{"bahrain/monitor": 123, ...} of the parts that run."""
        code, text = self.command("status")
        assert code == 0, text
        found, group = {}, None
        for line in text.splitlines():
            if not line.startswith(" "):
                group = line.split()[0]
            else:
                match = re.match(r" +(\S+) .* pid (\d+)", line)
                if match:
                    found[f"{group}/{match[1]}"] = int(match[2])
        return found

    # Ports as src/demo/layout.h has them.

    def api_port(self, cluster):
        return self.port + 1 + (*CLUSTERS, "lisbon").index(cluster) * 4 + 1

    def query(self, text, at=None, cluster=None):
        """An instant query to the hub, or to a cluster's own Prometheus: the whole answer."""
        port = self.api_port(cluster) if cluster else self.port
        form = [("query", text)] + ([("time", f"{at:.3f}")] if at else [])
        answer = http(f"http://{HOST}:{port}/api/v1/query", data=form, timeout=30)
        assert answer.status == 200, answer.text
        return answer.json

    def result(self, text, at=None, cluster=None):
        return self.query(text, at, cluster)["data"]["result"]

    def up(self):
        """{"bahrain": 2, ...}: how many targets each cluster has up, over the hub."""
        return {item["metric"]["cluster"]: int(item["value"][1])
                for item in self.result("count by (cluster) (up == 1)")}


def gone_within(pids, seconds):
    """Fails unless all processes are gone in time."""
    deadline = time.monotonic() + seconds
    left = set(pids)
    while left:
        left = {pid for pid in left if is_alive(pid)}
        assert time.monotonic() < deadline or not left, f"still there after {seconds} s: {left}"
        time.sleep(0.02)


def terminate(demo, timeout):
    """SIGTERM; returns the exit code and how long it took."""
    began = time.monotonic()
    demo.process.send_signal(signal.SIGTERM)
    return demo.wait(timeout), time.monotonic() - began
