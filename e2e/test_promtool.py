"""promtool, as Debian ships it, against our monitor: the same output as against Prometheus."""
import subprocess

import pytest

import pair as pairs


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with pairs.running_pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


def promtool(server, *args):
    """Runs promtool query ARGS with URL for 'URL'; returns exit code, output and errors."""
    argv = ["promtool", "query"] + [server.url if arg == "URL" else str(arg) for arg in args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr.replace(server.url, "URL")


def lines(outcome):
    """The outcome with its lines sorted: the order of an instant vector means nothing."""
    code, output, errors = outcome
    return code, sorted(output.splitlines()), errors


@pytest.mark.parametrize("expression", [
    "1", "demo_temperature", "sum(demo_temperature)", "nothing", "demo_nan", "up"])
@pytest.mark.parametrize("form", ["promql", "json"])
def test_query_instant(pair, expression, form):
    args = ("instant", "-o", form, "--time", pair.time, "URL", expression)
    ours = promtool(pair.ours, *args)
    assert ours[0] == 0, ours
    if form == "promql":
        assert lines(ours) == lines(promtool(pair.stock, *args))


def test_query_instant_of_a_range(pair):
    code, output, errors = promtool(pair.ours, "instant", "URL", "demo_temperature[5s]")
    assert code == 0, errors
    assert "demo_temperature{" in output and "@[" in output


@pytest.mark.parametrize("expression", ["1", "demo_temperature", "sum(demo_temperature)"])
def test_query_range(pair, expression):
    args = ("range", "--start", pair.time - 1, "--end", pair.time, "--step", "1s", "URL",
            expression)
    ours = promtool(pair.ours, *args)
    assert ours[0] == 0, ours
    assert ours == promtool(pair.stock, *args)


@pytest.mark.parametrize("selectors", [
    ["demo_temperature"], ["up", 'demo_requests_total{code="200"}'], ["nothing"]])
def test_query_series(pair, selectors):
    args = ["series"] + [f"--match={selector}" for selector in selectors] + ["URL"]
    ours = promtool(pair.ours, *args)
    assert ours[0] == 0, ours
    assert lines(ours) == lines(promtool(pair.stock, *args))


@pytest.mark.parametrize("args", [
    ("labels", "URL", "room"), ("labels", "URL", "__name__"), ("labels", "URL", "nothing"),
    ("labels", "--match=demo_requests_total", "URL", "code")])
def test_query_labels(pair, args):
    ours = promtool(pair.ours, *args)
    assert ours[0] == 0, ours
    assert ours == promtool(pair.stock, *args)


def test_a_malformed_query_is_told_alike(pair):
    args = ("instant", "URL", "sum(")
    ours = promtool(pair.ours, *args)
    assert ours[0] != 0
    assert ours == promtool(pair.stock, *args)
