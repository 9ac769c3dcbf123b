#!/usr/bin/env python3
"""What PromQL costs, beside Debian's Prometheus and VictoriaMetrics over the same samples.

./dev bench promql [--full] [--queries REGEX] [--seconds 1] [--keep]

About 20,000 series (--full: 100,000) x 6 h at 15 s of promql_set, made once and loaded once into each
of the three under ${XDG_CACHE_HOME:-~/.cache}/atoll; each has to hold every series and sample of
every metric, else the run ends with a sentence. Every query of promql_queries is asked as an
instant query and as ranges of 1 h and 6 h at 60 s and 15 s, over HTTP with its JSON, caches off,
until the server has used --seconds of CPU; what is compared is CPU time (user and system, of the
whole process, with what a garbage collector does after the answers) per query. Our answers have to be
Prometheus' within 1e-9, else the run fails, as it does when a query finds nothing in one of the three;
VictoriaMetrics' other answers are only counted, its rate() differs by intent. Memory is what anonymous
memory grows by while a freshly started server answers the heaviest queries, each in a process of its
own. --keep leaves the three running, for a profiler, until interrupted.

Bars: an eighth of Prometheus' CPU and half of VictoriaMetrics' in the geometric mean, no query dearer
than the better of the two, a quarter of Prometheus' memory.
"""
import argparse
import hashlib
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))
import peers  # noqa: E402
import promql_compare  # noqa: E402
import promql_queries  # noqa: E402

SERIES, SERIES_FULL, STEPS, STEP = 20000, 100000, 1440, 15
PROMETHEUS_BAR, VICTORIA_BAR, WORST_BAR, MEMORY_BAR = 0.125, 0.5, 1, 0.25
REPEATS_MAX = 10000
MEMORY_EVERY = 0.002  # Seconds between two looks at a process' memory.
SETTLED, SETTLE_EVERY, SETTLE_MAX = 0.001, 0.05, 3  # Seconds.
VICTORIA_LIKE = 0.01  # What counts as the same answer of VictoriaMetrics.
LONG = "36500d"
GENERATOR = ROOT / "build/bench/bench_promql_set"


class Client:
    """One connection that is kept."""

    def __init__(self, port, extra=()):
        self.connection = http.client.HTTPConnection(peers.HOST, port, timeout=600)
        self.extra = dict(extra)

    def get(self, path, params):
        target = f"/api/v1/{path}?{urllib.parse.urlencode({**params, **self.extra})}"
        try:
            return self.once(target)
        except http.client.RemoteDisconnected:  # It was idle, or open, for longer than they like.
            self.connection.close()
            return self.once(target)

    def number(self, text, at):
        """The one value of an instant query, as a whole number; 0 when there is none."""
        status, body = self.get("query", {"query": text, "time": at})
        if status != 200:
            sys.exit(f"{text} is answered with {body[:300]}")
        found = json.loads(body)["data"]["result"]
        return int(float(found[0]["value"][1])) if found else 0

    def once(self, target):
        self.connection.request("GET", target)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


class Server:
    """A running peer and what it has used."""

    def __init__(self, name, program, extra=()):
        self.name, self.program = name, program
        self.pid = program.process.pid
        self.client = Client(program.port, extra)
        self.settle()
        self.idle = self.anonymous_bytes()

    def cpu(self):
        """CPU seconds of all its threads so far, to the nanosecond (the process' CPU clock)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def anonymous_bytes(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M).group(1)) * 1024

    def settle(self):
        """Waits until what goes on after an answer (collecting garbage) is over."""
        deadline = time.monotonic() + SETTLE_MAX
        before = self.cpu()
        while time.monotonic() < deadline:
            time.sleep(SETTLE_EVERY)
            now = self.cpu()
            if now - before < SETTLED:
                return
            before = now

    def ask(self, kind, text):
        return self.client.get(*kind.request(text))

    def peak_of(self, kind, text):
        """Asks once; the answer, and the most anonymous memory meanwhile."""
        peak, done = self.anonymous_bytes(), threading.Event()

        def watch():
            nonlocal peak
            while not done.wait(MEMORY_EVERY):
                peak = max(peak, self.anonymous_bytes())
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            answer = self.ask(kind, text)
        finally:
            done.set()
            watcher.join()
        return answer, max(peak, self.anonymous_bytes())

    def cost_of(self, kind, text, seconds):
        """
        The answer, the most anonymous memory, and CPU and wall seconds per query once 'seconds' of CPU
        are used. The first asking counts only when it takes that long alone.
        """
        self.settle()
        began, before, repeats = time.monotonic(), self.cpu(), 1
        answer, peak = self.peak_of(kind, text)
        if self.cpu() - before < seconds:
            self.settle()
            began, before, repeats = time.monotonic(), self.cpu(), 0
        while repeats == 0 or (self.cpu() - before < seconds and repeats < REPEATS_MAX):
            self.ask(kind, text)
            repeats += 1
        wall = time.monotonic() - began
        self.settle()
        return answer, peak, (self.cpu() - before) / repeats, wall / repeats


def cache_folder(shape, series, steps):
    """Where a set lives; sets that the generator no longer makes are removed."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "atoll"
    version = hashlib.sha256((ROOT / "bench/promql_set.c").read_bytes()).hexdigest()[:12]
    folder = cache / f"bench-{shape}-{series}x{steps}-{version}"
    for old in cache.glob(f"bench-{shape}-{series}x{steps}-*"):
        if old != folder:
            shutil.rmtree(old)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class DataSet:
    """The samples, in each program's own data directory; loaded when first needed."""

    def __init__(self, shape, series, steps):
        self.shape, self.series, self.steps = shape, series, steps
        self.folder = cache_folder(shape, series, steps)

    def generate(self, unit, **popen):
        argv = [GENERATOR, self.shape, str(self.series), str(self.steps), unit]
        return subprocess.Popen(argv, **{"stderr": subprocess.DEVNULL, **popen})

    def text(self):
        path = self.folder / "set.txt"
        if not path.exists():
            partial = path.with_suffix(".part")
            with partial.open("wb") as out:
                assert self.generate("seconds", stdout=out).wait() == 0
            partial.rename(path)
        return path

    def load(self, name, fill):
        """The directory that 'fill' puts the samples into, once."""
        data = self.folder / name
        if not data.exists():
            partial = self.folder / (name + ".part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            began = time.monotonic()
            fill(partial)
            self.check(name, partial)
            print(f"loaded {self.series} series into {name} in {time.monotonic() - began:.0f} s",
                  flush=True)
            partial.rename(data)
        return data

    def check(self, name, data):
        """That every series and sample of every metric is there."""
        end, wanting = promql_queries.START + self.steps * STEP, []
        with tempfile.TemporaryDirectory() as folder, PROGRAMS[name](folder, data) as program:
            client = Client(program.port)
            for metric, made in self.made().items():
                window = f"count_over_time({metric}[{self.steps * STEP}s])"
                found = [client.number(f"{of}({window})", end) for of in ("count", "sum")]
                if found != made:
                    wanting.append(f"{metric}: {found[0]} series of {made[0]} and {found[1]} samples"
                                   f" of {made[1]}")
        if wanting:
            sys.exit(f"{name} does not hold what was loaded. {'; '.join(wanting)}")

    def made(self):
        """For each metric how many series and samples the generator makes."""
        path = self.folder / "made.txt"
        if not path.exists():
            maker = self.generate("seconds", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            path.write_bytes(maker.communicate()[1])
        lines = [line.split() for line in path.read_text().splitlines()]
        return {name: [int(series), int(samples)] for name, series, samples in lines}

    def drop_text(self):
        (self.folder / "set.txt").unlink(missing_ok=True)

    def load_atoll(self, data):
        maker = self.generate("seconds", stdout=subprocess.PIPE)
        subprocess.run([peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={data}", "-"],
                       stdin=maker.stdout, check=True)
        maker.stdout.close()
        assert maker.wait() == 0

    def load_prometheus(self, data):
        # One block: as Prometheus' own compaction leaves what is older.
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet",
                        "--max-block-duration=6h", self.text(), data], check=True,
                       stdout=subprocess.DEVNULL)

    def load_victoria(self, data):
        with tempfile.TemporaryDirectory() as folder, victoria(folder, data) as program:
            maker = self.generate("milliseconds", stdout=subprocess.PIPE)
            # In pieces: it stops reading a very long request and says nothing.
            subprocess.run(["split", "-C", "64m", "--filter",
                            f"curl -sSf --noproxy '*' -T - -X POST {program.url}"
                            "/api/v1/import/prometheus", "-"], stdin=maker.stdout, check=True)
            maker.stdout.close()
            assert maker.wait() == 0
            assert peers.http(program.url + "/internal/force_flush", timeout=600).status == 200
            Server("victoria", program).settle()
            program.stop(timeout=300)


def atoll(folder, data):
    return peers.Monitor(folder, "{}\n", f"--storage.tsdb.retention.time={LONG}",
                         "--query.max-memory-per-query=16GB", "--query.max-memory=16GB",
                         "--query.max-samples=1000000000", "--query.timeout=10m", data=data)


def prometheus(folder, data):
    # Equal shortest and longest blocks: nothing is compacted while it is measured.
    return peers.Prometheus(folder, "{}\n", f"--storage.tsdb.retention.time={LONG}",
                            "--storage.tsdb.min-block-duration=6h",
                            "--storage.tsdb.max-block-duration=6h",
                            "--query.max-samples=1000000000", "--query.timeout=10m", data=data)


def victoria(folder, data):
    port = peers.free_port()
    return peers.Program(folder, "victoria", [
        "victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr={peers.HOST}:{port}",
        "-retentionPeriod=100y", "-search.disableCache", "-search.maxUniqueTimeseries=10000000",
        "-search.maxSamplesPerQuery=10000000000", "-search.maxPointsPerTimeseries=1000000",
        "-search.maxQueryDuration=10m", "-search.maxStalenessInterval=5m",
        "-search.latencyOffset=0s", "-http.connTimeout=24h"], port, "/health")


PROGRAMS = {"atoll": atoll, "prometheus": prometheus, "victoria": victoria}
EXTRA = {"victoria": {"nocache": 1}}


class Row:
    """One query of one kind, and what it cost each of the three."""

    def __init__(self, name, kind, text):
        self.name, self.kind, self.text = f"{name}/{kind.name}", kind, text
        self.ordered = name in promql_queries.ORDERED and not kind.hours
        self.cpu, self.wall, self.memory, self.error = {}, {}, {}, {}
        self.difference = self.victoria_differs = None
        self.found = {}

    def measure(self, servers, seconds):
        answers = {}
        for server in servers:
            (status, body), peak, cpu, wall = server.cost_of(self.kind, self.text, seconds)
            if status != 200:
                self.error[server.name] = body[:300]
                continue
            answers[server.name] = body
            self.cpu[server.name], self.wall[server.name] = cpu, wall
            self.memory[server.name] = peak - server.idle
        self.compare(answers)

    def compare(self, answers):
        self.found = {name: promql_compare.series_of(body) for name, body in answers.items()}
        if "prometheus" not in answers:
            return
        truth = answers["prometheus"]
        if "atoll" in answers:
            self.difference = promql_compare.difference(answers["atoll"], truth, self.ordered)
        if "victoria" in answers:
            self.victoria_differs = promql_compare.difference(
                answers["victoria"], truth, self.ordered, VICTORIA_LIKE) is not None

    def is_sound(self):
        """Whether all have answered, with something, and ours is Prometheus' answer."""
        return not (self.error or self.difference) and all(self.found.values())

    def ratio(self, peer):
        if "atoll" in self.cpu and peer in self.cpu:
            return self.cpu["atoll"] / self.cpu[peer]
        return None

    def worst(self):
        """To the better peer."""
        return max((ratio for ratio in map(self.ratio, ("prometheus", "victoria")) if ratio),
                   default=None)

    def __str__(self):
        def column(values, name, width):
            return f"{values[name] * 1e3:{width}.2f}" if name in values else " " * (width - 1) + "-"
        cells = [f"{self.name:28}"]
        cells += [column(self.cpu, name, 9) for name in PROGRAMS]
        cells += [f"{ratio:7.3f}" if ratio else "      -"
                  for ratio in map(self.ratio, ("prometheus", "victoria"))]
        cells += [column(self.wall, name, 9) for name in PROGRAMS]
        cells += [f"{self.memory[name] / 1e6:7.1f}" if name in self.memory else "      -"
                  for name in PROGRAMS]
        notes = [f"{name} answers {text!r}" for name, text in self.error.items()]
        if self.difference:
            notes.append(f"DIFFERS: {self.difference}")
        notes += [f"NOTHING FOUND by {name}" for name, series in self.found.items() if not series]
        return " ".join(cells + notes)


HEADER = ("query                        CPU ms: ours prometheus victoria  ratio to each   "
          "wall ms: ours prometheus victoria  MB over idle: ours prometheus victoria")


def geomean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def heaviest_memory(rows, data, folder):
    """For us and Prometheus the most that one of the heaviest queries adds to a fresh process."""
    names = [name for name in ("atoll", "prometheus") if name in data]
    candidates = []
    for cost in ("memory", "cpu"):  # A collector's garbage blurs the first.
        for name in names:
            known = [row for row in rows if name in getattr(row, cost)]
            candidates += sorted(known, key=lambda row: -getattr(row, cost)[name])[:3]
    most = dict.fromkeys(names, (0, ""))
    for row in {row.name: row for row in candidates}.values():
        for name in names:
            with PROGRAMS[name](folder, data[name]) as program:
                server = Server(name, program)
                server.ask(promql_queries.KINDS[0], "up")
                server.settle()
                idle = server.anonymous_bytes()
                _, peak = server.peak_of(row.kind, row.text)
                most[name] = max(most[name], ((peak - idle) / 1e6, row.name))
    return most


def line(name, value, unit, peer, ratio, bar):
    print(f"bench {name} {value:.3f} {unit} peer={peer} ratio={ratio:.3f} bar<={bar} "
          f"{'ok' if ratio <= bar else 'short'}", flush=True)


def report(rows, most):
    for peer, bar in (("prometheus", PROMETHEUS_BAR), ("victoria", VICTORIA_BAR)):
        both = [row for row in rows if row.ratio(peer)]
        if both:
            ours = geomean(row.cpu["atoll"] for row in both) * 1e3
            theirs = geomean(row.cpu[peer] for row in both) * 1e3
            line(f"promql_cpu_geomean_{peer}", ours, "ms/query", f"{peer}:{theirs:.3f}",
                 ours / theirs, bar)
    asked = [row for row in rows if row.worst()]
    if asked:
        row = max(asked, key=Row.worst)
        peer = max(("prometheus", "victoria"), key=lambda name: row.ratio(name) or 0)
        line("promql_cpu_worst", row.cpu["atoll"] * 1e3, "ms/query",
             f"{peer}:{row.cpu[peer] * 1e3:.3f}", row.worst(), WORST_BAR)
        print(f"  worst: {row.name}; {sum(row.worst() > WORST_BAR for row in asked)} of "
              f"{len(asked)} queries are dearer than the better peer")
    if "atoll" in most and "prometheus" in most:
        ours, theirs = most["atoll"], most["prometheus"]
        line("promql_mem_peak", ours[0], "MB", f"prometheus:{theirs[0]:.3f}", ours[0] / theirs[0],
             MEMORY_BAR)
        for name, (megabytes, query) in most.items():
            print(f"  heaviest for {name}: {query}, {megabytes:.1f} MB over idle")


def run(args, folder):
    rows = [Row(*each) for each in promql_queries.chosen(args.queries)]
    data_set = DataSet("estate", SERIES_FULL if args.full else SERIES, STEPS)
    data = {name: data_set.load(name, getattr(data_set, f"load_{name}")) for name in args.programs}
    data_set.drop_text()
    running = []
    try:
        for name, path in data.items():
            running.append(PROGRAMS[name](folder, path).start())
        servers = [Server(program_name, program, EXTRA.get(program_name, ()))
                   for program_name, program in zip(data, running)]
        print(HEADER)
        for row in rows:
            row.measure(servers, args.seconds)
            print(row, flush=True)
        if args.keep:
            print("running:", *(f"{server.name} {server.program.url} pid {server.pid}"
                                for server in servers), flush=True)
            threading.Event().wait()
    finally:
        for program in running:
            program.stop()
    most = {} if args.no_memory else heaviest_memory(rows, data, folder)
    unsound = [row.name for row in rows if not row.is_sound()]
    compared = [row for row in rows if "prometheus" in row.found]
    print(f"{len(rows)} queries; of {len(compared)} that Prometheus answered, too, "
          f"{sum(bool(row.difference) for row in rows)} answers differ from its, "
          f"{sum(bool(row.victoria_differs) for row in rows)} of VictoriaMetrics' do by more than "
          f"{VICTORIA_LIKE:.0%}")
    report(rows, most)
    if unsound:
        print(f"FAILED: see the lines of {', '.join(unsound)}")
    return 1 if unsound else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="100,000 series instead of 20,000")
    parser.add_argument("--queries", default="", help="only those whose NAME/KIND matches")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds for each")
    parser.add_argument("--programs", type=lambda s: s.split(","), default=list(PROGRAMS),
                        help="which of atoll,prometheus,victoria")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--keep", action="store_true", help="leave the servers running after")
    args = parser.parse_args()
    os.environ.setdefault("ATOLL_BINARY", str(ROOT / "build/atoll"))
    folder = tempfile.mkdtemp(prefix="atoll-promql-")
    try:
        return run(args, folder)
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
