#!/usr/bin/env python3
"""What a gateway costs, beside Debian's nginx and HAProxy in the same run.

./dev bench gateway [--rounds 3] [--requests 20000] [--handshakes 600] [--idle 400] [--only REGEX]

All three listen for HTTP/2 over TLS 1.3, ask for client certificates and verify them against the same
anchor, and pass requests on over kept-alive HTTP/1.1 to the same service (bench_gateway_service).
One worker each, without access logs, on one core; the load (bench_gateway_load, an open loop) and the
service share the other. They take turns: each round asks all of them. What counts is the median of
the rounds of CPU time (user and system, of all processes and threads of the gateway).

gateway_cpu_1k, _100k, _1m   CPU per request of that size at full load: all requests are due at once,
                             128 are under way (16 of 1 MB) over 8 connections
gateway_p99                  latency that the gateway adds to the service's own, both from the moment
                             at which a request was due, at half of what the better peer can do;
                             CPU per request at that load is told too
gateway_handshakes           full mutual handshakes per CPU second, of 64 clients with certificates
                             of their own in turn, after each came once; the first time is told too
gateway_idle_conn            anonymous memory per connection that made one request and is idle
gateway_start                anonymous memory before the first connection
gateway_allocations_...      calls of the system allocator per request, of atoll alone

Bars: CPU 0.75 of the better peer's, handshakes 1.5 times, added p99 no more, 20 kB, 4 MB, 0 calls.
"""
import argparse
import concurrent.futures
import contextlib
import json
import mmap
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))
import mesh  # noqa: E402
import peers  # noqa: E402

CPU_BAR, HANDSHAKE_BAR, P99_BAR, IDLE_BAR, START_BAR = 0.75, 1.5, 1, 20, 4
SIZES = {"1k": 1024, "100k": 100 * 1024, "1m": 1024 * 1024}
SHARE = {"1k": 1, "100k": 1 / 12, "1m": 1 / 100}  # Of --requests.
UNDER_WAY = {"1k": 128, "100k": 128, "1m": 16}
CLIENTS, CONNECTIONS = 64, 8
AT_ONCE = 10**9  # A rate by which all requests are due at once.
CORES = sorted(os.sched_getaffinity(0))
IDLE_WAIT = 1.0  # Seconds for what goes on after the last request.
COUNTERS = "malloc", "calloc", "realloc", "free"


def pin(core):
    """What a child does before it becomes its program: one core, and it dies with us."""
    def prepare():
        peers._die_with_parent()
        os.sched_setaffinity(0, {core})
    return prepare


def tool(name):
    return pathlib.Path(peers.atoll()).resolve().parent / "bench" / name


def path_of(size):
    return f"/api/v1/labels?bytes={size}"


def family(pid):
    """The process and all below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu(pid):
    """CPU seconds so far to the nanosecond, of all threads and children (process CPU clocks)."""
    return sum(time.clock_gettime((~one << 3) | 2) for one in family(pid))


def status_kilobytes(pid, field):
    return sum(int(re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{one}/status").read_text(),
                             re.M).group(1)) for one in family(pid))


class Gateway:
    """One gateway before the service, started anew for each use."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.port, self.process = peers.free_port(), None

    def argv(self):
        raise NotImplementedError

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-", dir=self.world.folder))
        self.port = peers.free_port()
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [str(word) for word in self.argv()], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=self.folder, preexec_fn=pin(CORES[0]), env={**os.environ, **self.env()})
        self.wait()
        return self

    def env(self):
        return {}

    def wait(self):
        """Until it listens; a connection without TLS, so no handshake has been made."""
        def there():
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended: {(self.folder / 'log').read_text()}")
            with contextlib.closing(peers.socket.create_connection((peers.HOST, self.port), 1)):
                return True
        peers.eventually(there, what=f"{self.name} listens")
        time.sleep(0.3)

    def __exit__(self, *_):
        for pid in reversed(family(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, peers.signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def cpu(self):
        return cpu(self.process.pid)

    def anonymous(self):
        return status_kilobytes(self.process.pid, "RssAnon")

    def resident(self):
        return status_kilobytes(self.process.pid, "VmRSS")


class Atoll(Gateway):
    def argv(self):
        config = self.folder / "gateway.yaml"
        config.write_text("exports:\n" + mesh.export(
            "bench", f"http://{peers.HOST}:{self.world.service_port}", [f"*.hub.{mesh.DOMAIN}"],
            concurrency=10000))
        return [peers.atoll(), "gateway", f"--config.file={config}",
                f"--tls.directory={self.world.own}", f"--web.listen-address={peers.HOST}:0",
                f"--gateway.listen-address={peers.HOST}:{self.port}", "--log.level=error",
                "--gateway.max-connections=4096", "--gateway.max-connections-per-peer=4096"]


class Counted(Atoll):
    """atoll with an allocator that counts."""

    def env(self):
        self.counts = self.folder / "counts"
        self.counts.write_bytes(bytes(mmap.PAGESIZE))
        return {"LD_PRELOAD": str(tool("bench_count_allocations.so")),
                "ATOLL_COUNT_FILE": str(self.counts)}

    def calls(self):
        return struct.unpack("4Q", self.counts.read_bytes()[:32])


class Nginx(Gateway):
    def argv(self):
        own, folder = self.world.own, self.folder
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors crit; user root;
events {{ worker_connections 8192; }}
http {{
  access_log off; {temporary} keepalive_requests 1000000000; keepalive_timeout 1h;
  upstream service {{
    server {peers.HOST}:{self.world.service_port};
    keepalive 256; keepalive_requests 1000000000;
  }}
  server {{
    listen {peers.HOST}:{self.port} ssl http2 backlog=1024;
    ssl_protocols TLSv1.3; ssl_certificate {own}/tls.crt; ssl_certificate_key {own}/tls.key;
    ssl_client_certificate {own}/ca.crt; ssl_verify_client on; ssl_verify_depth 3;
    ssl_session_tickets off; ssl_session_cache off;
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ''; }}
  }}
}}
""")
        return ["nginx", "-c", folder / "nginx.conf", "-p", folder]


class Haproxy(Gateway):
    def argv(self):
        own, folder = self.world.own, self.folder
        (folder / "own.pem").write_text((own / "tls.crt").read_text() + (own / "tls.key").read_text())
        (folder / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 8192
  tune.ssl.cachesize 0
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend in
  bind {peers.HOST}:{self.port} ssl crt {folder}/own.pem ca-file {own}/ca.crt verify required alpn h2 ssl-min-ver TLSv1.3 no-tls-tickets
  default_backend out
backend out
  server service {peers.HOST}:{self.world.service_port}
""")
        return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]


class World:
    """The service, the certificates, and the load."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.service_port = peers.free_port()
        trust = mesh.Trust(self.folder)
        self.own = trust.leaf("gateway", "east")
        trust.issuer("hub")
        self.clients = self.folder / "clients"
        self.clients.mkdir()
        with concurrent.futures.ThreadPoolExecutor(len(CORES)) as pool:
            list(pool.map(lambda i: trust.leaf(f"hub-{i}", "hub", directory=self.clients / str(i)),
                          range(CLIENTS)))

    @contextlib.contextmanager
    def service(self):
        process = subprocess.Popen([tool("bench_gateway_service"), str(self.service_port)],
                                   stdin=subprocess.DEVNULL, preexec_fn=pin(CORES[-1]))
        try:
            peers.eventually(lambda: peers.socket.create_connection(
                (peers.HOST, self.service_port), 1).close() or True, what="the service listens")
            yield
        finally:
            process.kill()
            process.wait()

    def load_argv(self, mode, port, clients, connections, size, *more):
        return [str(word) for word in (tool("bench_gateway_load"), mode, port, self.clients, clients,
                                       connections, path_of(size), *more)]

    def load(self, mode, port, size, *more, clients=CLIENTS, connections=CONNECTIONS):
        done = subprocess.run(self.load_argv(mode, port, clients, connections, size, *more),
                              capture_output=True, text=True, timeout=300, preexec_fn=pin(CORES[-1]))
        if done.returncode != 0:
            sys.exit(f"load {mode} {port} of {size} bytes: {done.stderr}")
        answer = json.loads(done.stdout)
        if answer.get("failed") or ("bytes" in answer and
                                    answer["bytes"] != answer["requests"] * size):
            sys.exit(f"not all answers came whole: {answer}")
        return answer

    @contextlib.contextmanager
    def idle(self, port, connections):
        process = subprocess.Popen(
            self.load_argv("idle", port, CLIENTS, connections, SIZES["1k"]), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=pin(CORES[-1]))
        try:
            answer = json.loads(process.stdout.readline() or "{}")
            if answer.get("idle") != connections or answer["failed"]:
                sys.exit(f"the idle connections did not come to be: {answer}")
            yield
        finally:
            process.stdin.close()
            process.wait()


def line(name, values, unit, bar, verdict_of, digits=1):
    """Prints our value beside the peers'. 'verdict_of' gives ratio, the bar's sign and whether it is met."""
    ours, others = values["atoll"], {k: v for k, v in values.items() if k != "atoll"}
    ratio, sign, is_met = verdict_of(ours, others)
    told = " ".join(f"peer={peer}:{value:.{digits}f}" for peer, value in others.items())
    ratio_text = f" ratio={ratio:.3f}" if ratio is not None else ""
    print(f"bench {name} {ours:.{digits}f} {unit} {told}{ratio_text} bar{sign}{bar} "
          f"{'ok' if is_met else 'short'}".replace("  ", " "), flush=True)


def at_most(bar):
    """Of the better peer, the one with the least."""
    def judge(ours, others):
        ratio = ours / min(others.values())
        return ratio, "<=", ratio <= bar
    return judge


def at_least(bar):
    """Times the better peer's, the one with the most."""
    def judge(ours, others):
        ratio = ours / max(others.values())
        return ratio, ">=", ratio >= bar
    return judge


def absolute(bar):
    def judge(ours, others):
        return ours / min(others.values()) if others else None, "<=", ours <= bar
    return judge


def medians(rounds):
    """Of a list of {gateway: value}; and how far they were apart, told as one line."""
    return {name: statistics.median(values[name] for values in rounds) for name in rounds[0]}


def spread(what, rounds, digits=1):
    print(f"  {what}: " + ", ".join(
        f"{name} " + "/".join(f"{values[name]:.{digits}f}" for values in rounds)
        for name in rounds[0]), flush=True)


def measure_start(gateways):
    line("gateway_start", {g.name: g.anonymous() / 1024 for g in gateways}, "MB", START_BAR,
         absolute(START_BAR), 2)
    print("  resident: " + ", ".join(f"{g.name} {g.resident() / 1024:.1f} MB" for g in gateways),
          flush=True)


def measure_handshakes(world, gateways, args):
    def rate(gateway, count):
        before = gateway.cpu()
        world.load("handshakes", gateway.port, 0, count, connections=4)
        time.sleep(0.1)
        return count / (gateway.cpu() - before)
    first = [{g.name: rate(g, CLIENTS) for g in gateways}]
    rounds = [{g.name: rate(g, args.handshakes) for g in gateways} for _ in range(args.rounds)]
    line("gateway_handshakes", medians(rounds), "/cpu_s", HANDSHAKE_BAR, at_least(HANDSHAKE_BAR), 0)
    spread("rounds", rounds, 0)
    spread("of certificates seen for the first time", first, 0)


def measure_idle(world, gateways, args):
    found = {}
    for gateway in gateways:
        with world.idle(gateway.port, 16):  # What the first connections of all cost is not theirs.
            time.sleep(IDLE_WAIT / 2)
            before = gateway.anonymous()
            with world.idle(gateway.port, args.idle):
                time.sleep(IDLE_WAIT)
                found[gateway.name] = (gateway.anonymous() - before) * 1.024 / args.idle
    line("gateway_idle_conn", found, "kB", IDLE_BAR, absolute(IDLE_BAR))


def measure_cpu(world, gateways, args, label):
    """Returns how many requests a second the best peer got through, by the clock."""
    size, rounds, speeds = SIZES[label], [], []
    count = max(1, int(args.requests * SHARE[label]))
    for gateway in gateways:
        world.load("requests", gateway.port, size, max(16, count // 10), AT_ONCE, UNDER_WAY[label])
    for _ in range(args.rounds):
        values = {}
        for gateway in gateways:
            before = gateway.cpu()
            answer = world.load("requests", gateway.port, size, count, AT_ONCE, UNDER_WAY[label])
            speeds += [count / answer["seconds"]] if gateway.name != "atoll" else []
            values[gateway.name] = (gateway.cpu() - before) / count * 1e6
        rounds.append(values)
    line(f"gateway_cpu_{label}", medians(rounds), "us/request", CPU_BAR, at_most(CPU_BAR))
    spread("rounds", rounds)
    return statistics.median(sorted(speeds)[-args.rounds:])


def measure_latency(world, gateways, args, rate):
    size, found, costs = SIZES["1k"], {"p50_us": [], "p99_us": []}, []
    for _ in range(args.rounds):
        direct = world.load("requests", world.service_port, size, args.requests, rate, 64, clients=0,
                            connections=64)
        told, cost = {}, {}
        for gateway in gateways:
            before = gateway.cpu()
            told[gateway.name] = world.load("requests", gateway.port, size, args.requests, rate, 800)
            cost[gateway.name] = (gateway.cpu() - before) / args.requests * 1e6
        costs.append(cost)
        for which, rounds in found.items():
            rounds.append({name: max(0.1, answer[which] - direct[which])
                           for name, answer in told.items()})
    print(f"  at {rate} requests/s, half of what the better peer can do", flush=True)
    line("gateway_p99", medians(found["p99_us"]), "us_added", P99_BAR, at_most(P99_BAR), 0)
    spread("rounds", found["p99_us"], 0)
    spread("added p50", found["p50_us"], 0)
    spread("CPU us/request", costs)


def measure_allocations(world, args):
    with Counted(world, "atoll") as gateway:
        for label in SIZES:
            count = max(64, int(args.requests / 4 * SHARE[label]))
            world.load("requests", gateway.port, SIZES[label], count * 2, AT_ONCE, UNDER_WAY[label])
            # The load's own connections cost the same whatever the number of requests.
            calls = []
            for times in (1, 2):
                before = gateway.calls()
                world.load("requests", gateway.port, SIZES[label], count * times, AT_ONCE,
                           UNDER_WAY[label])
                time.sleep(0.2)
                calls.append([now - then for now, then in zip(gateway.calls(), before)])
            per = [(two - one) / count for one, two in zip(*calls)]
            line(f"gateway_allocations_{label}", {"atoll": sum(per[:3])}, "calls/request", 0,
                 lambda ours, _: (None, "<=", ours < 0.005), 2)
            print("  " + ", ".join(f"{name} {value:.2f}" for name, value in zip(COUNTERS, per)),
                  flush=True)


def measure(args, folder):
    world = World(folder)
    wanted = re.compile(args.only).search
    with world.service(), contextlib.ExitStack() as stack:
        gateways = [stack.enter_context(kind(world, name)) for kind, name in (
            (Atoll, "atoll"), (Nginx, "nginx"), (Haproxy, "haproxy"))]
        if wanted("start"):
            measure_start(gateways)
        if wanted("handshakes"):
            measure_handshakes(world, gateways, args)
        if wanted("idle_conn"):
            measure_idle(world, gateways, args)
        speeds = {label: measure_cpu(world, gateways, args, label) for label in SIZES
                  if wanted(f"cpu_{label}") or (label == "1k" and wanted("p99"))}
        if wanted("p99"):
            measure_latency(world, gateways, args, int(speeds["1k"] / 2))
        if wanted("allocations"):
            measure_allocations(world, args)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=20000, help="of 1 KB in a round")
    parser.add_argument("--handshakes", type=int, default=600, help="in a round")
    parser.add_argument("--idle", type=int, default=400, help="connections")
    parser.add_argument("--only", default="", help="lines whose name matches")
    args = parser.parse_args()
    os.environ.setdefault("ATOLL_BINARY", str(ROOT / "build/atoll"))
    folder = tempfile.mkdtemp(prefix="atoll-gateway-")
    try:
        measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
