"""What stats=all says of a query, beside Prometheus over the same samples."""
import subprocess

import pytest

import peers

START = 1767225600
STEPS = 240
QUERIES = [
    "level", "level offset 5m", "level @ 1767226600.5", "sum by (code) (level)", "level + level",
    "irate(requests_total[5m])", "sum(irate(requests_total[5m])) / sum(irate(requests_total[5m]))",
    "count_over_time(level[10m]) > 2", "max_over_time(requests_total[1m] offset 3m)",
    "scalar(sum(level)) * level", "topk(2, level)", "-level", "1 + 2", "level[5m]",
    "level or absent(level) unless requests_total", "irate(requests_total[5m] @ 1767226600.5)",
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stats")
    text = directory / "samples.om"
    lines = ["# TYPE requests counter"]
    for n in range(7):
        # With gaps, and no sample on the edge of a window.
        lines += [f'requests_total{{code="{n % 3}",instance="{n}"}} {7 * i} '
                  f"{START + 15 * i + n / 100 + 0.007:.3f}" for i in range(STEPS) if i % (n + 9)]
    lines += ["# TYPE level gauge"]
    for n in range(5):
        lines += [f'level{{code="{n % 2}",instance="{n}"}} {i % 17} {START + 15 * i + 0.013:.3f}'
                  for i in range(10 * n, STEPS)]
    text.write_text("\n".join(lines + ["# EOF", ""]))
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text,
                    directory / "stock"], check=True, capture_output=True, timeout=120)
    done = subprocess.run([peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={directory / 'ours'}",
                           text], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    flags = ["--storage.tsdb.retention.time=30y", "--enable-feature=promql-per-step-stats"]
    with peers.Prometheus(directory, peers.scrape_config({}), *flags, data=directory / "stock") as stock, \
            peers.Monitor(directory, peers.scrape_config({}), *flags, data=directory / "ours") as ours:
        yield stock, ours


def samples(server, path, **params):
    answer = server.api(path, stats="all", **params).json
    assert answer["status"] == "success", answer
    return answer["data"]["stats"]["samples"]


@pytest.mark.parametrize("query", QUERIES)
def test_samples_of_each_step_are_prometheus(servers, query):
    asks = [("query", {"query": query, "time": START + 2400.25})]
    if not query.endswith("]"):
        asks += [("query_range", {"query": query, "start": START + 600.25, "end": START + 3000,
                                  "step": step}) for step in ("37", "600")]
    for path, params in asks:
        stock, ours = (samples(server, path, **params) for server in servers)
        for key in ("totalQueryableSamples", "totalQueryableSamplesPerStep"):
            assert ours[key] == stock[key], (params, key)
        assert (ours["peakSamples"] > 0) == (stock["peakSamples"] > 0)


def test_samples_read_count_windows_that_overlap_once(servers):
    ours = samples(servers[1], "query_range", query="count_over_time(level{instance='0'}[10m])",
                   start=START + 600.25, end=START + 2400.25, step="60")
    assert ours["totalQueryableSamples"] == 31 * 40
    assert ours["samplesRead"] == 40 + 30 * 4
    assert [count for _, count in ours["samplesReadPerStep"]] == [40] + 30 * [4]


def test_steps_are_told_only_to_who_enabled_that(servers, tmp_path):
    ours = servers[1]
    assert "stats" not in ours.api("query", query="level", time=START + 600).json["data"]
    answer = ours.api("query", query="level", time=START + 600, stats="true").json
    assert "totalQueryableSamplesPerStep" not in answer["data"]["stats"]["samples"]
    assert "warnings" not in answer
    answer = ours.api("query", query="level", time=START + 600, stats="yes").json
    assert 'value "yes" for parameter "stats" is deprecated' in answer["warnings"][0]
    with peers.Monitor(tmp_path, peers.scrape_config({})) as plain:
        stats = plain.api("query", query="1", stats="all").json["data"]["stats"]
        assert "totalQueryableSamplesPerStep" not in stats["samples"]
