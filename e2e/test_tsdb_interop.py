"""Data directories of our monitor and of Debian's Prometheus, each opened by the other after a kill.

What one wrote the other must answer to the last bit: values, NaN, where series end and begin again.
"""
import http.client
import math
import shutil
import threading
import time

import pytest

import peers

INTERVAL = "50ms"
# Enough for full chunks in chunks_head as well as open ones that only the log has.
SAMPLES = 150
QUERIES = [
    '{__name__=~"demo_.+"}', "up", "demo_ticks_total", "demo_sometimes", "demo_odd",
    "-demo_wave", 'demo_odd{kind="nan"} != demo_odd{kind="nan"}', "timestamp(demo_sometimes)",
    "count_over_time(demo_sometimes[1m])", "changes(demo_wave[1m])", "max_over_time(demo_wave[1m])",
    'last_over_time(demo_odd{kind="nan"}[1m])', "sum(demo_ticks_total) by (job)",
    "absent(demo_sometimes)", "scrape_samples_scraped",
]


class Ticking(peers.Exporter):
    """A target that shows something else with every scrape, and some of it only now and then."""

    def __init__(self):
        super().__init__("")
        self.scrapes = 0

    @property
    def text(self):
        self.scrapes += 1
        n = self.scrapes
        nan = "NaN" if n % 3 == 0 else str(n)
        lines = [f"demo_ticks_total {n}", f'demo_odd{{kind="nan"}} {nan}',
                 f'demo_odd{{kind="infinite"}} {"+Inf" if n % 2 else "-Inf"}',
                 f'demo_odd{{kind="tiny"}} {5e-324 * n!r}', 'demo_odd{kind="zero"} -0',
                 f'demo_odd{{kind="quoted \\"\\\\ ü"}} {n / 3!r}', "demo_constant 17"]
        lines += [f'demo_wave{{phase="{k}"}} {math.sin(n / 7 + k)!r}' for k in range(8)]
        if n // 10 % 2 == 0:
            lines.append(f"demo_sometimes {n}")
        return "\n".join(lines) + "\n"

    @text.setter
    def text(self, _):
        pass


def fill(server):
    """Waits until there is enough; returns the times of the first sample and of the newest whole
    scrape."""
    peers.eventually(lambda: count(server) >= SAMPLES, 120, what=f"{SAMPLES} samples")
    # A scrape that fails leaves nothing to ask for until the next one.
    newest = peers.eventually(lambda: server.instant("timestamp(demo_ticks_total)"))
    end = float(newest[0]["value"][1])
    start = float(server.instant("demo_ticks_total[10m]", time=end)[0]["values"][0][0])
    return start, end


def count(server):
    found = server.instant("count_over_time(demo_ticks_total[10m])")
    return int(found[0]["value"][1]) if found else 0


def answers(server, start, end):
    """Everything there is to compare: raw samples, ranges, instants."""
    raw = server.instant('{__name__=~"demo_.+|up|scrape_.+"}[10m]', time=end)
    found = {"raw": in_order(raw)}
    for query in QUERIES:
        found[f"range of {query}"] = in_order(server.range(query, start, end, "0.1"))
        for moment in (start - 1, (start + end) / 2, end):
            found[f"{query} at {moment - start:.3f} s"] = in_order(
                server.instant(query, time=f"{moment:.3f}"))
    return found


def in_order(result):
    return sorted(result, key=lambda series: sorted(series["metric"].items()))


def assert_same(left, right):
    for name, value in left.items():
        assert value == right[name], name


def assert_means_something(found):
    """That the samples are those the test is about."""
    raw = {tuple(sorted(series["metric"].items())): series["values"] for series in found["raw"]}
    by_name = {dict(key)["__name__"]: values for key, values in raw.items()}
    assert len(by_name["demo_ticks_total"]) >= SAMPLES
    assert any(value == "NaN" for values in raw.values() for _, value in values)
    ranges = found["range of demo_sometimes"][0]["values"]
    times = [float(moment) for moment, _ in ranges]
    assert max(b - a for a, b in zip(times, times[1:])) > 0.3, "demo_sometimes never went stale"


def idle(kind, directory, name, data):
    """A server on existing data that scrapes nothing."""
    return kind(directory, peers.scrape_config({}), name=name, data=data)


def written_and_killed(kind, directory, data, *flags):
    """Lets a server write, kills it; returns the time range and what it answered before."""
    with Ticking() as target:
        config = peers.scrape_config({"demo": [target.address]}, interval=INTERVAL)
        with kind(directory, config, *flags, name="writer", data=data) as writer:
            start, end = fill(writer)
            before = answers(writer, start, end)
            writer.kill()
    assert_means_something(before)
    return start, end, before


COMPRESSION = pytest.mark.parametrize("flag", [
    "--storage.tsdb.wal-compression",
    pytest.param("--no-storage.tsdb.wal-compression", marks=pytest.mark.long)])


@COMPRESSION
def test_prometheus_opens_what_a_killed_monitor_left(tmp_path, flag):
    data, copy = tmp_path / "data", tmp_path / "copy"
    start, end, before = written_and_killed(peers.Monitor, tmp_path, data, flag)
    shutil.copytree(data, copy)
    with idle(peers.Prometheus, tmp_path, "stock", copy) as stock:
        assert_same(before, answers(stock, start, end))
        output = stock.output()
    for word in ("repair", "corrupt", "Unknown series", "level=error"):
        assert word not in output, output
    with idle(peers.Monitor, tmp_path, "ours", data) as ours:
        assert_same(before, answers(ours, start, end))


@COMPRESSION
def test_the_monitor_opens_what_a_killed_prometheus_left(tmp_path, flag):
    data = tmp_path / "data"
    start, end, before = written_and_killed(peers.Prometheus, tmp_path, data, flag)
    with idle(peers.Monitor, tmp_path, "ours", data) as ours:
        assert_same(before, answers(ours, start, end))
        assert "level=warn" not in ours.output(), ours.output()
        ours.kill()
    # And back again, with what ours wrote at its start.
    with idle(peers.Prometheus, tmp_path, "stock", data) as stock:
        assert_same(before, answers(stock, start, end))


class Watcher(threading.Thread):
    """Asks for the newest samples over and over; keeps all that it was ever told."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.seen, self.failure = server, set(), None
        self.ticks = set()

    def run(self):
        try:
            while True:
                told = samples(self.server.instant('{__name__=~".+"}[1s]'))
                self.seen |= told
                self.ticks |= ticks(told)
        except (OSError, ValueError, http.client.HTTPException):
            return  # The server was killed, perhaps within an answer.
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failure = error


def samples(result):
    return {(tuple(sorted(series["metric"].items())), moment, value)
            for series in result for moment, value in series["values"]}


def ticks(found):
    return {one for one in found if ("__name__", "demo_ticks_total") in one[0]}


def test_what_a_query_returned_is_there_after_a_kill(tmp_path):
    everything = set()
    with Ticking() as target:
        config = peers.scrape_config({"demo": [target.address]}, interval=INTERVAL)
        monitor = peers.Monitor(tmp_path, config)
        for wanted in (5, 60, 25, 120):
            with monitor:
                held = samples(monitor.instant('{__name__=~".+"}[10m]', time=time.time()))
                assert everything <= held, sorted(everything - held)[:5]
                watchers = [Watcher(monitor) for _ in range(2)]
                for watcher in watchers:
                    watcher.start()
                peers.eventually(lambda: all(len(w.ticks) >= wanted for w in watchers), 120)
                monitor.kill()
                for watcher in watchers:
                    watcher.join(30)
                    assert not watcher.is_alive() and watcher.failure is None, watcher.failure
                    everything |= watcher.seen
        with monitor:
            held = samples(monitor.instant('{__name__=~".+"}[10m]', time=time.time()))
            assert everything <= held, sorted(everything - held)[:5]
    assert len(everything) > 10 * len(ticks(everything)) > 1000
