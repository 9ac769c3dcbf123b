"""atoll query beside promtool: the same answers from any server, and from a data directory."""
import json
import subprocess
import urllib.parse

import pytest

import pair as pairs
import peers


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with pairs.running_pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


def run(*argv):
    done = subprocess.run(
        [str(arg) for arg in argv], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def query(*args):
    return run(peers.atoll(), "query", *args)


def answer_lines(outcome):
    """Sorted lines of a successful answer; promtool has an empty one for none."""
    code, output, errors = outcome
    assert code == 0, errors
    return sorted(line for line in output.splitlines() if line)


@pytest.fixture(params=["ours", "stock"])
def server(request, pair):
    return getattr(pair, request.param)


@pytest.mark.parametrize("expression", ["demo_temperature", "sum(demo_temperature)", "nothing", "up"])
def test_instant(pair, server, expression):
    told = query("instant", "--time", pair.time, server.url, expression)
    assert answer_lines(told) == answer_lines(
        run("promtool", "query", "instant", "--time", pair.time, server.url, expression))


@pytest.mark.parametrize("expression", ["1", "demo_temperature", "sum(demo_temperature)"])
def test_range(pair, server, expression):
    args = ("--start", pair.time - 3, "--end", pair.time, "--step", "1s", server.url, expression)
    assert answer_lines(query("range", *args)) == answer_lines(
        run("promtool", "query", "range", *args))


def test_series_and_labels(server):
    code, output, _ = query("series", server.url, "demo_requests_total", 'up{job="demo"}')
    assert code == 0
    assert len(output.splitlines()) == 3
    assert answer_lines(query("labels", server.url, "room")) == ["attic", "kitchen", 'o\'d\\d "q" ü']
    assert "code" in answer_lines(query("labels", "--match", "demo_requests_total", server.url))


def test_a_string_stays_as_it_is(server):
    code, output, _ = query("instant", server.url, '"0x10"')
    assert code == 0
    assert output.startswith("0x10 @[")


def test_json_is_the_answer_itself(pair, server):
    code, output, _ = query("instant", "--json", "--time", pair.time, server.url, "demo_seconds_sum")
    assert code == 0
    assert json.loads(output)["data"]["result"][0]["value"] == [pair.time, "4.25"]


@pytest.mark.parametrize("args, code, sentence", [
    (("instant", "URL", "sum("), 1, "parse error"),
    (("instant", "URL"), 2, "needs URL|DIR EXPRESSION"),
    (("instant", "http://127.0.0.1:1", "up"), 1, "Connection refused"),
    (("instant", "/does/not/exist", "up"), 1, "/does/not/exist"),
    (("range", "--start", "noon", "URL", "up"), 2, "--start"),
    (("series", "URL"), 2, "SELECTOR"),
])
def test_what_is_wrong_is_said(pair, args, code, sentence):
    told = query(*[pair.ours.url if arg == "URL" else arg for arg in args])
    assert told[0] == code
    assert told[1] == ""
    assert sentence in told[2]


@pytest.mark.parametrize("expression", ["demo_temperature", "sum by (code) (demo_requests_total)"])
def test_a_directory_answers_as_its_server(pair, server, expression):
    args = ("--time", pair.time)
    directory = server.data
    assert answer_lines(query("instant", *args, directory, expression)) == answer_lines(
        query("instant", *args, server.url, expression))
    assert answer_lines(query("labels", directory, "job")) == ["demo"]


def test_the_compact_form_holds_the_same_answer(pair, tmp_path):
    form = {"query": "demo_temperature", "start": pair.time - 3, "end": pair.time, "step": "1"}
    told = peers.http(
        f"{pair.ours.url}/api/v1/query_range?{urllib.parse.urlencode(form)}",
        headers={"Accept": "application/vnd.atoll.matrix"})
    assert told.headers["content-type"] == "application/vnd.atoll.matrix"
    (tmp_path / "answer").write_bytes(told.body)
    code, output, errors = run(peers.atoll(), "matrix", "dump", tmp_path / "answer")
    assert code == 0, errors
    lines = [line for line in output.splitlines() if not line.startswith("#")]
    expected = query("range", "--start", form["start"], "--end", form["end"], "--step", "1s",
                     pair.ours.url, form["query"])
    assert sorted(line.replace(".000]", "]") for line in lines) == answer_lines(expected)
    (tmp_path / "answer").write_bytes(told.body[:-3])
    code, output, errors = run(peers.atoll(), "matrix", "dump", tmp_path / "answer")
    assert (code, output) == (1, "")
    assert "compact matrix" in errors


EXPLAINED = "sum by (code) (rate(demo_requests_total[3s])) > bool scalar(sum(up))"


def nodes_of(plan):
    for node in plan:
        yield node
        yield from nodes_of(node["operands"])


def test_explain_tells_of_each_node(pair):
    code, output, errors = query("explain", "--time", pair.time, pair.ours.url, EXPLAINED)
    assert code == 0, errors
    rows = output.splitlines()
    assert rows[0].split() == ["series", "values", "samples", "memory", "ms", "steps", "node"]
    assert [row[67:] for row in rows[1:]] == [
        "> bool", "  sum by (code)", "    rate", "      demo_requests_total[3s]", "  scalar",
        "    sum", "      up"]


def test_explain_counts_what_was_read(pair):
    code, output, errors = query("explain", "--json", "--time", pair.time, pair.ours.url, EXPLAINED)
    assert code == 0, errors
    data = json.loads(output)["data"]
    assert data["result"] == pair.ours.instant(EXPLAINED, time=pair.time)
    nodes = {node["node"]: node for node in nodes_of(data["explain"]["plan"])}
    selector = nodes["demo_requests_total[3s]"]
    assert (selector["series"], selector["values"], selector["steps"]) == (2, selector["samples"], 1)
    assert nodes["sum by (code)"]["samples"] == selector["samples"] > 2
    assert nodes["> bool"]["series"] == 2
    assert nodes["> bool"]["samples"] == selector["samples"] + nodes["up"]["samples"]
    assert all(node["bytes"] >= 0 and node["ms"] > 0 for node in nodes.values())


def test_explain_takes_ranges_and_directories(pair):
    span = ("--start", pair.time - 3, "--end", pair.time, "--step", "1s")
    for where in (pair.ours.url, pair.ours.data, pair.stock.data):
        code, output, errors = query("explain", *span, where, "demo_temperature @ 5 + up offset 1s")
        assert code == 0, errors
        steps = {row[67:].strip(): row[59:65].strip() for row in output.splitlines()[1:]}
        assert steps == {"+": "4", "demo_temperature @ 5.000": "1", "up offset 1s": "4"}


def test_explain_needs_one_of_us(pair):
    code, output, errors = query("explain", pair.stock.url, "up")
    assert (code, output) == (1, "") and "only monitors and hubs of atoll" in errors
    assert query("explain", "--time", 1, "--start", 1, pair.ours.url, "up")[0] == 2
    answer = pair.ours.api("query", query="up", explain="maybe")
    assert (answer.status, answer.json["errorType"]) == (400, "bad_data")
    assert "explain" not in pair.ours.api("query", query="up").json["data"]
