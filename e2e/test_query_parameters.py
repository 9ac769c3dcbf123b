"""stats, limit, lookback_delta and timeout of the API, beside Debian's Prometheus on the same samples."""
import re
import subprocess

import pytest

import peers

START = 1767225600
RETENTION = "--storage.tsdb.retention.time=30y"
FEATURES = "--enable-feature=promql-per-step-stats"


def openmetrics():
    lines = ["# TYPE a gauge"]
    for n in range(6):
        # Every 15 s with gaps, off all window edges.
        lines += [f'a{{n="{n}",half="{n % 2}"}} {i % (7 + n)} {START + 15 * i + n / 7 + 0.001:.3f}'
                  for i in range(300) if i % (11 + n) > 2 * n]
    lines += ["# TYPE c counter"]
    for n in range(4):
        lines += [f'c_total{{n="{n}"}} {i * n % 500} {START + 15 * i + 0.003:.3f}' for i in range(300)]
    return "\n".join(lines + ["# EOF", ""])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parameters")
    text = folder / "samples.om"
    text.write_text(openmetrics())
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder / "stock"],
                   check=True, capture_output=True, timeout=120)
    subprocess.run([peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={folder / 'ours'}", text],
                   check=True, capture_output=True, timeout=120)
    config = peers.scrape_config({})
    with peers.Prometheus(folder, config, RETENTION, FEATURES, data=folder / "stock") as stock, \
            peers.Monitor(folder, config, RETENTION, FEATURES, data=folder / "ours") as ours:
        yield stock, ours


SPAN = {"start": START + 900, "end": START + 2700, "step": "45"}

COUNTED = [
    "a", "1", "time()", "vector(time())", "sum(a)", "a + on(n) c_total", "a offset 3m", f"a @ {START + 1000.5}",
    "a and a{n=~\"[1-3]\"}", "rate(c_total[5m])", "sum by (n) (rate(c_total[40s]))", "max_over_time(a[1m])",
    f"rate(c_total[5m] @ {START + 1800.5})", "rate(c_total[2m] offset 1m)", "topk(2, a)", "absent(nothing)",
    # No step of a subquery is on the edge of a window: 2.42 has both edges in it.
    "max_over_time(rate(c_total[1m])[301s:30s])", "sum_over_time(a[181s:20s])", "scalar(sum(a)) + a",
    f"sum_over_time((a @ {START + 1000.5})[181s:20s])", "quantile_over_time(0.5, a[3m])", "-a", "a > 2",
    "histogram_quantile(0.9, a)", "count_over_time(nothing[5m])", "absent_over_time(c_total[5m])",
    "sum_over_time(sum_over_time(a[61s:20s])[241s:40s])", "predict_linear(a[4m], 60)",
]


def samples(server, path, **params):
    answer = server.api(path, stats="all", **params).json
    assert answer["status"] == "success", answer
    return answer["data"]["stats"]["samples"]


@pytest.mark.parametrize("query", COUNTED)
def test_the_samples_of_each_step_are_counted_as_prometheus_does(both, query):
    for path, params in (("query_range", SPAN), ("query", {"time": START + 2000})):
        stock, ours = (samples(server, path, query=query, **params) for server in both)
        for key in ("totalQueryableSamplesPerStep", "totalQueryableSamples"):
            assert ours[key] == stock[key], (path, key)
        assert sum(count for _, count in ours["samplesReadPerStep"]) == ours["samplesRead"]


@pytest.mark.parametrize("query", ["a[5m]", "a[5m] offset 1m", "rate(c_total[1m])[5m:30s]"])
def test_the_samples_of_a_range_vector_are_counted(both, query):
    stock, ours = (samples(server, "query", query=query, time=START + 2000) for server in both)
    assert ours["totalQueryableSamplesPerStep"] == stock["totalQueryableSamplesPerStep"]
    assert ours["totalQueryableSamples"] == stock["totalQueryableSamples"]


def test_what_overlapping_windows_share_is_read_once(both):
    _, ours = both
    found = samples(ours, "query_range", query='c_total{n="1"}', **SPAN)
    assert found["samplesRead"] == found["totalQueryableSamples"]
    # 20 samples in the first window, then 3 new ones at each of 40 steps.
    found = samples(ours, "query_range", query='rate(c_total{n="1"}[5m])', **SPAN)
    assert found["totalQueryableSamples"] == 41 * 20
    assert found["samplesRead"] == 20 + 40 * 3
    assert [count for _, count in found["samplesReadPerStep"]] == [20] + [3] * 40
    # 10 evaluations at first, then 3 in each of every two steps and so on: each read its minute.
    found = samples(ours, "query_range", query='max_over_time(rate(c_total{n="1"}[1m])[5m:15s])', **SPAN)
    assert found["samplesRead"] == 4 + 139
    # Steps between the windows are not read for anybody.
    wide = dict(SPAN, step="900")
    found = samples(ours, "query_range", query='max_over_time(c_total{n="1"}[1m:15s])', **wide)
    assert [count for _, count in found["samplesReadPerStep"]] == [4, 4, 4]
    found = samples(ours, "query_range", query=f'rate(c_total{{n="1"}}[5m] @ {START + 1000})', **SPAN)
    assert found["samplesRead"] == 20 and found["totalQueryableSamples"] == 41 * 20


def test_stats_are_given_when_they_are_asked_for(both):
    stock, ours = both
    for server in both:
        assert "stats" not in server.api("query", query="a").json["data"]
    plain = ours.api("query", query="a", stats="true").json["data"]["stats"]
    assert set(plain["timings"]) >= set(stock.api("query", query="a", stats="true").json[
        "data"]["stats"]["timings"])
    assert "totalQueryableSamplesPerStep" not in plain["samples"]
    assert set(plain["samples"]) == {"totalQueryableSamples", "samplesRead", "peakSamples"}
    answer = ours.api("query", query="a", stats="yes").json
    assert answer["warnings"] == [
        'value "yes" for parameter "stats" is deprecated and will be rejected in the next major '
        'release, use "true" or "all"']
    assert "stats" in answer["data"]


def ordered(result):
    return sorted(result, key=lambda series: sorted(series["metric"].items()))


@pytest.mark.parametrize("lookback", ["1s", "16s", "20", "1m", "10m"])
def test_lookback_delta_is_how_far_a_selector_looks_back(both, lookback):
    """2.42 has no such parameter; a range of that length shows what it must give."""
    stock, ours = both
    seconds = f"{lookback}s" if lookback == "20" else lookback
    for path, params in (("query_range", SPAN), ("query", {"time": START + 2000.25})):
        expected = stock.api(path, query=f"last_over_time(a[{seconds}])", **params).json
        told = ours.api(path, query="a", lookback_delta=lookback, **params).json
        assert ordered(told["data"]["result"]) == ordered(expected["data"]["result"])


@pytest.mark.parametrize("lookback", ["", "0", "-5"])
def test_a_lookback_of_nothing_is_the_servers_own(both, lookback):
    _, ours = both
    assert ours.instant("a", time=START + 2000, lookback_delta=lookback) == ours.instant(
        "a", time=START + 2000)


def test_a_malformed_lookback_is_told_in_prometheus_words(both):
    _, ours = both
    answer = ours.api("query", query="a", lookback_delta="soon")
    assert (answer.status, answer.json["errorType"]) == (400, "bad_data")
    assert answer.json["error"] == \
        'error parsing lookback delta duration: cannot parse "soon" to a valid duration'


TIMES = ["noon", "1.5", "0x10", " 1", "+1", "-1", "1e3", "1m", '"quo\\te"', "ä", f"{START + 2000}.0005",
         f"{START + 2000}.9996", "2026-01-01T00:33:20Z", "2026-01-01T00:33:20.123456789Z",
         "2026-01-01T00:33:20,5Z", "2026-01-01T00:33:20+02:00", "2026-01-01t00:33:20z",
         "2026-01-01 00:33:20", "2026-01-01T00:33:20", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"]
DURATIONS = ["", "0", "-1", "soon", "1m", "1h30m", "90s", "1.5", "0.001", "1e99", "NaN", "Inf", "1m1h", "1y",
             "100ms", "60s1m", "0s", "-5m", "1.5m", "9223372036", "9223372037", "0x10", '"x"', "1 m", "293y"]
POINT = START + 2000


def told(server, path, params):
    """What came back but for the order of series, and where it was that a query ran out of time."""
    answer = server.api(path, **params)
    if answer.status != 200:
        error = re.sub("in query (queue|execution|.*preparation)", "", answer.json["error"])
        return answer.status, answer.json["errorType"], error
    data = answer.json["data"]
    return sorted(map(str, data["result"] if isinstance(data, dict) else data))


@pytest.mark.parametrize("path, params", [
    *[ask for time in TIMES for ask in (
        ("query", {"query": "a", "time": time}),
        ("query_range", {"query": "a", "start": time, "end": POINT, "step": 60}),
        ("query_range", {"query": "a", "start": POINT, "end": time, "step": 60}),
        ("series", {"match[]": "a", "start": time}), ("labels", {"end": time}))],
    *[ask for duration in DURATIONS for ask in (
        ("query", {"query": "a", "time": POINT, "timeout": duration}),
        ("query_range", {"query": "a", "start": POINT, "end": POINT + 60, "step": duration}),
        ("query_range", {"query": "a", "start": POINT, "end": POINT + 100000, "step": duration}))],
    ("query_range", {"query": "a", "start": POINT, "end": POINT + 11000, "step": 1}),
    ("query_range", {"query": "a", "start": POINT, "end": POINT + 11001, "step": 1}),
    ("query_range", {"query": "a", "start": POINT, "end": POINT - 1, "step": 1}),
    ("query_range", {"query": "a", "end": POINT, "step": 1}),
    ("query_range", {"query": "a", "start": POINT, "end": POINT}),
    ("query", {"query": "a", "time": POINT, "timeout": "1h"}),
])
def test_times_and_durations_are_read_and_refused_in_the_same_words(both, path, params):
    stock, ours = both
    assert told(ours, path, params) == told(stock, path, params)


@pytest.mark.parametrize("path, params", [
    ("query", {"query": "a", "time": START + 2000}), ("query_range", {"query": "a", **SPAN}),
    ("series", {"match[]": "a"}), ("labels", {}), ("label/n/values", {}),
])
def test_limit_cuts_and_says_so(both, path, params):
    _, ours = both

    def items(**more):
        answer = ours.api(path, **params, **more).json
        data = answer["data"]
        return (data["result"] if isinstance(data, dict) else data), answer.get("warnings")

    whole, warnings = items()
    assert len(whole) > 2 and warnings is None
    for limit in (1, 2, len(whole)):
        cut, warnings = items(limit=limit)
        assert cut == whole[:limit]
        assert warnings == (["results truncated due to limit"] if limit < len(whole) else None)
    assert items(limit=0) == (whole, None)
    assert items(limit="") == (whole, None)
    for wrong, sentence in (("-1", "limit must be non-negative"),
                            ("x", 'strconv.Atoi: parsing "x": invalid syntax'),
                            ("9" * 20, 'strconv.Atoi: parsing "' + "9" * 20 + '": value out of range')):
        answer = ours.api(path, **params, limit=wrong)
        assert answer.status == 400
        assert answer.json["error"] == f'invalid parameter "limit": {sentence}'


def test_scalars_and_strings_have_no_limit(both):
    _, ours = both
    for query in ("1", '"x"'):
        assert ours.api("query", query=query, limit=1).json.get("warnings") is None


def test_a_query_that_takes_too_long_is_ended(both):
    stock, ours = both
    for server in both:  # Where it was then differs from time to time.
        answer = server.api("query", query="a", timeout="0")
        assert (answer.status, answer.json["errorType"]) == (503, "timeout")
        assert answer.json["error"].startswith("query timed out in ")
    heavy = "sum_over_time(" * 16 + "a" + "[1h:1s])" * 16
    answer = ours.api("query_range", query=heavy, timeout="20ms", **SPAN)
    assert (answer.status, answer.json["errorType"]) == (503, "timeout")
    assert re.search(r"query timed out in expression evaluation", answer.json["error"])
