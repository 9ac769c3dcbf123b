"""format_query and parse_query beside Debian's Prometheus, over the expressions of real dashboards."""
import json
import os
import pathlib
import re
import subprocess

import pytest

import peers

def without_exponents(text):
    """Prometheus 2.42 prints large numbers as 1.25e+06, 3.x and we as 1250000."""
    return re.sub(r"\b\d(\.\d+)?e[+-]\d+\b", lambda match: f"{float(match[0]):f}".rstrip("0").rstrip("."),
                  text)


# What Prometheus 2.42 prints otherwise than 3.x: its text as 3.x has it.
DIFFERENCES = [without_exponents]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format")
    config = peers.scrape_config({})
    with peers.Prometheus(folder, config) as stock, peers.Monitor(folder, config) as ours:
        yield stock, ours


def form(server, path, query):
    answer = server.api(path, form=[("query", query)])
    return answer.status, answer.json


def expressions():
    folder = os.environ.get("ATOLL_TESTDATA")
    if not folder:
        pytest.skip("ATOLL_TESTDATA is not set: the expressions of dashboards are not there")
    for file in sorted(pathlib.Path(folder, "exprs").glob("*.json")):
        yield from json.loads(file.read_text())


def test_formats_dashboards_as_prometheus_does(both):
    stock, ours = both
    same = refused = explained = 0
    different = []
    for query in expressions():
        stock_status, stock_answer = form(stock, "format_query", query)
        our_status, our_answer = form(ours, "format_query", query)
        if stock_status != 200:
            refused += 1
            continue
        assert our_status == 200, (query, our_answer)
        if our_answer == stock_answer:
            same += 1
        elif any(explain(stock_answer["data"]) == our_answer["data"] for explain in DIFFERENCES):
            explained += 1
        else:
            different.append((query, stock_answer["data"], our_answer["data"]))
        again = form(ours, "format_query", our_answer["data"])
        assert again == (200, our_answer), "formatting what was formatted changes it"
    print(f"{same} the same, {refused} that 2.42 does not parse, "
          f"{explained} that 3.x prints otherwise, {len(different)} different")
    assert not different, different[:5]
    assert same > 1000


LONG = 'sum by (job, instance) (rate(http_requests_total{job="api-server", code=~"5.."}[5m])) / 2'


@pytest.mark.parametrize("query", [
    "1", "-foo", " foo  +  bar", LONG, f"-({LONG} > bool 1)", f"({LONG})[1h:5m] offset 3m",
    f"max_over_time(({LONG})[1h:5m])", f"topk(5, {LONG} and on(job) up) or vector(1)",
    f"topk(5, {LONG}) * on(job, instance) group_left(version) max by (job, instance, version) (x)",
    f'label_replace({LONG}, "a", "$1-\\"\\n", "job", "(.*)")', f"-{LONG} ^ -{LONG}",
    f'count_values without (a) ("value of something", {LONG} unless ignoring(job) {LONG})',
    'x{a="b",c!~"d"}[5m] @ start() offset -1w', f"{LONG} == bool {LONG}", "time()",
    f"avg_over_time(rate({'x' * 120}[5m])[1h:])", f"sum(avg_over_time({'y' * 80}[1h:]))",
    f"sum(sum(sum({'z' * 90}[30m:1m])))", "sum(", "", "foo bar",
])
def test_formats_as_prometheus_does(both, query):
    stock, ours = both
    stock_answer, our_answer = form(stock, "format_query", query), form(ours, "format_query", query)
    if stock_answer[0] == 200:
        assert our_answer == stock_answer
    else:
        assert our_answer[0] == stock_answer[0] == 400
        assert our_answer[1]["errorType"] == stock_answer[1]["errorType"] == "bad_data"


def test_formats_by_get_too(both):
    for server in both:
        answer = server.api("format_query", query="a+b")
        assert answer.json == {"status": "success", "data": "a + b"}


def test_the_command_formats_without_a_server(both):
    _, ours = both
    for query in (LONG, "a+b"):
        done = subprocess.run([peers.atoll(), "query", "format", query], capture_output=True,
                              text=True, timeout=60)
        assert done.stdout == form(ours, "format_query", query)[1]["data"] + "\n"
        assert done.returncode == 0
    wrong = subprocess.run([peers.atoll(), "query", "format", "a b"], capture_output=True, text=True,
                           timeout=60)
    assert wrong.returncode == 2 and "1:3: parse error" in wrong.stderr


def test_parses_every_expression_of_dashboards(both):
    _, ours = both

    def kinds(node):
        if isinstance(node, dict):
            yield node.get("type")
            for child in node.values():
                yield from kinds(child)
        elif isinstance(node, list):
            for child in node:
                yield from kinds(child)

    found = set()
    for query in list(expressions())[::10]:
        status, answer = form(ours, "parse_query", query)
        assert status == 200, (query, answer)
        found |= set(kinds(answer["data"]))
    assert {"aggregation", "binaryExpr", "call", "matrixSelector", "vectorSelector", "subquery",
            "numberLiteral", "parenExpr", "stringLiteral"} <= found


def test_parses_as_prometheus_3_does(both):
    _, ours = both
    status, answer = form(ours, "parse_query", 'sum by (a) (rate(x{b=~"c"}[5m] offset 1m)) > bool on(a) -y')
    number = {"offset": 0, "offsetExpr": None, "anchored": False, "smoothed": False,
              "startOrEnd": None, "timestamp": None}
    name = {"name": "__name__", "type": "="}
    assert status == 200
    assert answer["data"] == {
        "type": "binaryExpr", "op": ">", "bool": True,
        "matching": {"card": "one-to-one", "labels": ["a"], "on": True, "include": [],
                     "fillValues": {"lhs": None, "rhs": None}},
        "lhs": {
            "type": "aggregation", "op": "sum", "param": None, "grouping": ["a"], "without": False,
            "expr": {
                "type": "call",
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                "args": [{**number, "type": "matrixSelector", "name": "x", "range": 300000,
                          "rangeExpr": None, "offset": 60000,
                          "matchers": [{"name": "b", "type": "=~", "value": "c"},
                                       {**name, "value": "x"}]}],
            },
        },
        "rhs": {"type": "unaryExpr", "op": "-",
                "expr": {**number, "type": "vectorSelector", "name": "y",
                         "matchers": [{**name, "value": "y"}]}},
    }


def test_parses_durations_that_are_expressions(both):
    _, ours = both
    data = form(ours, "parse_query", "x[5m+1m] offset (10m/2) @ end()")[1]["data"]
    assert data["range"] == data["offset"] == 0 and data["startOrEnd"] == "end"
    assert data["rangeExpr"] == {
        "type": "durationExpr", "op": "+", "wrapped": False,
        "lhs": {"type": "numberLiteral", "val": "300", "duration": True},
        "rhs": {"type": "numberLiteral", "val": "60", "duration": True}}
    assert data["offsetExpr"]["op"] == "/" and data["offsetExpr"]["wrapped"] is True
    data = form(ours, "parse_query", "x[1h:step()] @ 12.5")[1]["data"]
    assert data["timestamp"] == 12500 and data["step"] == 0
    assert data["stepExpr"] == {"type": "durationExpr", "op": "step", "lhs": None, "rhs": None,
                                "wrapped": False}


def test_refuses_what_is_no_expression(both):
    _, ours = both
    status, answer = form(ours, "parse_query", "a b")
    assert status == 400 and answer["errorType"] == "bad_data"
    assert answer["error"].startswith('invalid parameter "query": 1:3: parse error: ')


def test_deep_trees_are_answered_or_refused(both):
    _, ours = both
    for query in ("(" * 190 + "1" + ")" * 190, "1" + "+1" * 900):
        assert form(ours, "parse_query", query)[0] == 200
        assert form(ours, "format_query", query)[0] == 200
