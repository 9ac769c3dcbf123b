"""Starting real programs for end-to-end tests: ours and the peers, on free loopback ports.

    with Prometheus(tmp_path, config) as prometheus:
        eventually(lambda: prometheus.instant("up"))

Every program runs in a directory of its own, writes its output to a log there, dies with the test,
and is asked for readiness with a deadline instead of a sleep.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http import server as http_server

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PR_SET_PDEATHSIG = 1


def atoll():
    """The program under test: ATOLL_BINARY, or the newest that ./dev built."""
    named = os.environ.get("ATOLL_BINARY")
    if named:
        return named
    built = [path for path in (ROOT / "build-asan/atoll", ROOT / "build/atoll") if path.exists()]
    assert built, "no program to test: run ./dev build"
    return str(max(built, key=lambda path: path.stat().st_mtime))


def free_port():
    """A port nobody listens on now. Another program may still take it first: callers retry."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def eventually(check, timeout=30.0, every=0.05, what=None):
    """Calls 'check' until it returns something true, and returns that; fails after 'timeout' s."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            result = check()
            if result:
                return result
            last = result
        except (OSError, AssertionError, KeyError, IndexError, ValueError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or check}; last: {last!r}")
        time.sleep(every)


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def http(url, data=None, headers=None, method=None, timeout=30):
    """One request; 'data' (bytes, or a list of pairs for a form) makes it a POST."""
    if isinstance(data, list):
        data = urllib.parse.urlencode(data).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A running program with its log; a context manager that ends it."""

    def __init__(self, directory, name, argv, port=None, ready="/-/ready"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name, self.argv, self.port, self.ready = name, [str(arg) for arg in argv], port, ready
        self.log = self.directory / f"{name}.log"
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, wait=True):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory,
                preexec_fn=_die_with_parent)
        if wait and self.ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended:\n{self.output()[-4000:]}")
            return http(self.url + self.ready, timeout=2).status == 200
        try:
            eventually(ready, timeout, what=f"{self.name} ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()[-4000:]}") from None

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def output(self):
        return self.log.read_text(errors="replace")

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def stop(self, timeout=20):
        """SIGTERM; returns the exit code. A program that does not end in time fails the test."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout)
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM")
        return self.process.returncode

    # The Prometheus API, for programs that have it.

    def api(self, path, form=None, **params):
        """GET /api/v1/PATH with parameters (a list value repeats), or POST 'form' pairs."""
        query = urllib.parse.urlencode(params, doseq=True)
        return http(f"{self.url}/api/v1/{path}{'?' + query if query else ''}", data=form)

    def instant(self, query, **params):
        """The result list of an instant query; fails on an error answer."""
        answer = self.api("query", query=query, **params).json
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def range(self, query, start, end, step, **params):
        """The result list of a range query; fails on an error answer."""
        answer = self.api("query_range", query=query, start=start, end=end, step=step, **params).json
        assert answer["status"] == "success", answer
        return answer["data"]["result"]


class Prometheus(Program):
    """Debian's Prometheus with the given prometheus.yml text."""

    def __init__(self, directory, config, *flags, name="prometheus", data=None):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        file = directory / f"{name}.yml"
        file.write_text(config)
        self.data = pathlib.Path(data or directory / (name + "-data"))
        super().__init__(directory, name, [
            "prometheus", f"--config.file={file}", f"--web.listen-address={HOST}:{port}",
            f"--storage.tsdb.path={self.data}", *flags], port)


class Monitor(Program):
    """atoll monitor with the given prometheus.yml text."""

    def __init__(self, directory, config, *flags, name="monitor", data=None):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.config = directory / f"{name}.yml"
        self.config.write_text(config)
        self.data = pathlib.Path(data or directory / (name + "-data"))
        super().__init__(directory, name, [
            atoll(), "monitor", f"--config.file={self.config}",
            f"--web.listen-address={HOST}:{port}", f"--storage.tsdb.path={self.data}", *flags], port)


class NodeExporter(Program):
    """Debian's node exporter."""

    def __init__(self, directory, name="node-exporter"):
        port = free_port()
        super().__init__(directory, name, [
            "prometheus-node-exporter", f"--web.listen-address={HOST}:{port}"], port, "/")


class Exporter:
    """A target that exposes the text it is given; 'text' may be changed while it runs."""

    def __init__(self, text, content_type="text/plain; version=0.0.4; charset=utf-8"):
        self.text, self.content_type = text, content_type

    def __enter__(self):
        exporter = self

        class Handler(http_server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = exporter.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", exporter.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http_server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self):
        return f"{HOST}:{self.server.server_port}"


def scrape_config(jobs, interval="1s", external=None):
    """A prometheus.yml that scrapes 'jobs' (name -> list of host:port)."""
    lines = ["global:", f"  scrape_interval: {interval}", f"  scrape_timeout: {interval}"]
    if external:
        lines += ["  external_labels:"] + [f"    {key}: {value}" for key, value in external.items()]
    lines += ["scrape_configs:"]
    for name, targets in jobs.items():
        lines += [f"  - job_name: {name}", "    static_configs:",
                  f"      - targets: [{', '.join(repr(str(t)) for t in targets)}]"]
    return "\n".join(lines) + "\n"
