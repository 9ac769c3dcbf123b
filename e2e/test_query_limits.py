"""What a query may use: heavier ones fail with the name of the limit, and memory stays below it."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import threading

import pytest

import peers

START, HOUR = 1767225600, 3600
END = START + 24 * HOUR
APPS, PODS, BOUNDS = 8, 40, ("0.1", "0.5", "1", "5", "+Inf")
MIB = 1 << 20
BUDGET = 64 * MIB
# Beyond the budget: stacks and caches of the threads that worked, what the C library keeps of freed
# memory for each of them, and the request itself.
SLACK = 8 * MIB
EVERY = 0.0005
ALL = '{__name__=~".+"}'
PER_QUERY = "--query.max-memory-per-query"
ALL_QUERIES = "--query.max-memory"
FLAGS = ["--storage.tsdb.retention.time=100y", "--query.lookback-delta=2h",
         "--enable-feature=promql-experimental-functions,promql-delayed-name-removal"]
# 3,200 series at 11,000 steps are 280 MB of values alone; a day of them by 250 ms, 17 GB.
FINE = {"start": END - 11000, "end": END - 1, "step": 1}
AT = {"time": END - HOUR}
LONG = "y" * 3000 + "$1" * 50  # Of a label of 400 bytes.


def range_of(query):
    return "query_range", {"query": query, **FINE}


def instant_of(query):
    return "query", {"query": query, **AT}


HEAVY = {
    "raw_samples_of_a_subquery": instant_of(f"{ALL}[1d:250ms]"),
    "a_subquery_of_a_subquery": instant_of(f"(max_over_time({ALL}[1h:1s]))[1d:250ms]"),
    "a_window_of_one_series": instant_of("quantile_over_time(0.5, vector(1)[1d:1ms])"),
    "all_series": range_of(ALL),
    "rates": range_of("rate(wait_seconds_bucket[4h])"),
    "sort": range_of(f"sort_desc({ALL})"),
    "sort_by_label": instant_of(f'sort_by_label(label_replace({ALL}, "x", "{LONG}",'
                                ' "filler", "(.*)"), "x")'),
    "topk": range_of(f"topk(5000, {ALL})"),
    "bottomk": range_of(f"bottomk by (__name__, app, pod) (9, {ALL})"),
    "limitk": range_of(f"limitk(3000, {ALL})"),
    "quantile": range_of(f"quantile(0.5, {ALL})"),
    "quantile_by": range_of(f"quantile by (__name__, app, pod, le) (0.5, {ALL})"),
    "count_values": range_of(f'count_values("value", {ALL} * 7 + time())'),
    "stddev_by": range_of(f"stddev by (__name__, app, pod, le) ({ALL})"),
    "sum_without": range_of(f"sum without (nothing) ({ALL})"),
    "group_left": range_of("wait_seconds_bucket * on (app, pod) group_left (node) pod_info"),
    "one_to_one": range_of(f"{ALL} + {ALL}"),
    "or": range_of(f"{ALL} or on (nothing) pod_info"),
    "unless": range_of(f"{ALL} unless on (nothing) sum(pod_info) > 1e9"),
    "label_replace": range_of(f'label_replace({ALL}, "x", "$1$1$1$1", "pod", "(.*)")'),
    "long_labels": instant_of(f'label_replace({ALL}, "x", "{LONG}", "filler", "(.*)")'),
    "label_join": instant_of(f'label_join({ALL}, "x", "{LONG * 8}", "filler", "pod", "app")'),
    "histogram_quantile": range_of("histogram_quantile(0.9, wait_seconds_bucket)"
                                   " or histogram_quantile(0.8, {__name__=~'.+_bucket'})"),
    "as_text": range_of("wait_seconds_bucket{app=~'[0-2]'} / 3"),
}


def series():
    for app in range(APPS):
        for pod in range(PODS):
            labels = f'app="{app}",pod="p{pod}",filler="{"f" * 400}"'
            yield f'pod_info{{{labels},node="n{pod % 7}"}}'
            for bound in BOUNDS:
                yield f'wait_seconds_bucket{{{labels},le="{bound}"}}'
            for metric in ("cpu_seconds_total", "memory_bytes", "requests_total", "up_seconds"):
                yield f"{metric}{{{labels}}}"


def openmetrics():
    for number, name in enumerate(series()):
        for hour in range(0, 25):
            yield f"{name} {hour * (number % 17 + 1)} {START + hour * HOUR}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits") / "data"
    subprocess.run([peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={folder}", "-"],
                   input="".join(openmetrics()), text=True, check=True, timeout=300,
                   capture_output=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def small_quarantine():
    """A sanitizer keeps what was freed, to see who still uses it: here less than it likes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "")
                     + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
        yield


def is_sanitized():
    with open(peers.atoll(), "rb") as program:
        return b"__asan_init" in program.read()


def monitor(folder, data, *flags):
    shutil.copytree(data, folder / "data")
    return peers.Monitor(folder, "{}\n", *FLAGS, *flags, data=folder / "data")


@pytest.fixture(scope="module")
def server(tmp_path_factory, data):
    with monitor(tmp_path_factory.mktemp("server"), data, f"{PER_QUERY}=64MB") as program:
        check_normal(program)
        program.idle = anonymous(program)
        yield program


def anonymous(program):
    with open(f"/proc/{program.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) << 10


def check_normal(program):
    assert program.instant(f"count({ALL})", **AT)[0]["value"][1] == str(sum(1 for _ in series()))


class Watch:
    """The most anonymous memory a program has meanwhile."""

    def __init__(self, program):
        self.program, self.peak, self.done = program, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.done.wait(EVERY):
            self.peak = max(self.peak, anonymous(self.program))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def allowed(budget):
    # A sanitizer's own memory is an eighth of ours and the borders of each piece.
    return budget + budget // 2 + 8 * SLACK if is_sanitized() else budget + SLACK


def ask(program, path, params):
    return peers.http(f"{program.url}/api/v1/{path}", data=list(params.items()), timeout=300)


@pytest.mark.parametrize("name", HEAVY)
def test_a_query_that_needs_more_fails_and_takes_no_more(server, name):
    with Watch(server) as watch:
        answer = ask(server, *HEAVY[name])
    assert answer.status == 422, answer.body[:300]
    assert answer.json["errorType"] == "execution"
    assert answer.json["error"].endswith(f"raise {PER_QUERY}"), answer.json["error"]
    grown = watch.peak - server.idle
    print(f"{name}: {grown / MIB:.1f} MiB")
    assert grown <= allowed(BUDGET), f"{grown / MIB:.1f} MiB more than when idle"


def test_normal_queries_work_after_all_that(server):
    check_normal(server)
    assert len(server.instant("sum by (app) (rate(cpu_seconds_total[4h]))", **AT)) == APPS


def test_queries_together_take_no_more_than_all_may(tmp_path, data):
    with monitor(tmp_path, data, f"{PER_QUERY}=64MB", f"{ALL_QUERIES}=96MB") as program:
        check_normal(program)
        idle = anonymous(program)
        with Watch(program) as watch, concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda name: ask(program, *HEAVY[name]), HEAVY))
        check_normal(program)
    for answer in answers:
        assert answer.status == 422, answer.body[:300]
        assert ALL_QUERIES in answer.json["error"]
    grown = watch.peak - idle
    print(f"together: {grown / MIB:.1f} MiB")
    assert grown <= allowed(96 * MIB), f"{grown / MIB:.1f} MiB more than when idle"
