"""Debian's Prometheus and our monitor answer the same requests; the answers are compared.

Values are compared where both must have the same, else keys and types. What Prometheus 3 does
differently from Debian's 2.42 is named in the tables below, nowhere else.
"""
import gzip
import json

import pytest
import yaml

import pair as pairs
import peers


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with pairs.running_pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


def shape(value):
    """Keys and types; of a list the union of what its items look like."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return ["list"] + sorted({json.dumps(shape(item), sort_keys=True) for item in value})
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    return "number" if isinstance(value, (int, float)) else "string"


def missing(stock, ours, path=""):
    """What of the stock answer's shape ours lacks, as a list of paths."""
    if isinstance(stock, dict) and isinstance(ours, dict):
        found = []
        for key, item in stock.items():
            if key not in ours:
                found.append(f"{path}.{key} is missing")
            else:
                found += missing(item, ours[key], f"{path}.{key}")
        return found
    if isinstance(stock, list) and isinstance(ours, list):
        if stock and not ours:
            return [f"{path} is empty"]
        return [problem for item, other in zip(stock, ours)
                for problem in missing(item, other, f"{path}[]")]
    same = shape(stock) == shape(ours)
    return [] if same else [f"{path} is {shape(ours)} instead of {shape(stock)}"]


def by_labels(answer):
    """An answer with its series in an order of their own: an instant vector has none."""
    data = answer.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list) and \
            data["resultType"] in ("vector", "matrix"):
        data["result"].sort(key=lambda series: sorted(series["metric"].items()))
    return answer


def ask(server, path, params, post=False):
    pairs_ = [(name, str(value)) for name, value in params]
    if post:
        return server.api(path, form=pairs_)
    query = peers.urllib.parse.urlencode(pairs_)
    return peers.http(f"{server.url}/api/v1/{path}?{query}")


# Queries whose answers must be equal, values and all.
EQUAL_QUERIES = [
    "1", "-1.5e-7", "1e21", "123456789.125", "NaN", "-Inf", "0.1 + 0.2", "1 / 3", "2 ^ 0.5",
    '"text"', '"ü \\" \\\\ \\n"', "time()", "vector(1)", "vector(time())",
    "demo_temperature", "sort(demo_temperature)", "sort_desc(demo_temperature)",
    "demo_temperature / 0", "-demo_temperature", "demo_nan", "demo_infinite", "up", "nothing",
    "demo_temperature offset 1s", f"demo_temperature @ {{time}}",
    'demo_temperature{room=~"k.*|a.*"}', 'demo_temperature{room!="attic"}',
    "sum(demo_temperature)", "avg by (job) (demo_temperature)", "count without (room) (up)",
    "topk(2, demo_temperature)", "bottomk(1, demo_temperature)", "quantile(0.5, demo_temperature)",
    'count_values("value", demo_temperature)', "stddev(demo_temperature)",
    "demo_requests_total > 1", "demo_requests_total > bool 1",
    "demo_temperature and on(instance) up", 'demo_temperature or vector(1)',
    'demo_temperature unless demo_temperature{room="attic"}',
    "demo_temperature * on(instance, job) group_left() up",
    "rate(demo_requests_total[3s])", "increase(demo_requests_total[3s])",
    "max_over_time(demo_temperature[3s])", "histogram_quantile(0.9, demo_seconds_bucket)",
    "rate(demo_requests_total[3s:1s])", "absent(nothing)", "absent(up)", "scalar(up)",
    'label_replace(up, "a", "$1", "job", "(.*)o")', 'label_join(up, "a", "-", "job", "job")',
    "abs(demo_temperature)", "clamp(demo_temperature, 0, 10)", "round(demo_temperature, 0.2)",
    "changes(demo_temperature[3s])", "resets(demo_requests_total[3s])",
    "hour(vector(0))", "days_in_month()", "present_over_time(up[3s])", "group(up)",
]

RANGE_QUERIES = [
    "1", "time()", "demo_temperature", "sum(demo_temperature)", "vector(2)", "nothing",
    "demo_temperature > 0", "topk(1, demo_temperature)", "demo_requests_total * 2",
    "rate(demo_requests_total[2s])", "demo_nan",
]


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("query", EQUAL_QUERIES)
def test_instant_answers_are_equal(pair, query, post):
    params = [("query", query.replace("{time}", str(pair.time))), ("time", pair.time)]
    stock, ours = (ask(server, "query", params, post) for server in (pair.stock, pair.ours))
    assert ours.status == stock.status == 200, (ours.text, stock.text)
    assert ours.headers["Content-Type"] == stock.headers["Content-Type"]
    if query.startswith(("sort", "topk", "bottomk")):
        assert ours.text == stock.text
    else:
        assert by_labels(ours.json) == by_labels(stock.json)


@pytest.mark.parametrize("query", RANGE_QUERIES)
@pytest.mark.parametrize("step", ["1", "500ms", "0.25"])
def test_range_answers_are_equal_to_the_byte(pair, query, step):
    params = [("query", query), ("start", pair.time - 1), ("end", pair.time), ("step", step)]
    stock, ours = (ask(server, "query_range", params) for server in (pair.stock, pair.ours))
    assert ours.text == stock.text


@pytest.mark.parametrize("time", ["0", "-1.5", "1.0005", "1700000000.1", "1e9",
                                  "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456+01:00"])
def test_times_are_read_and_written_alike(pair, time):
    stock, ours = (ask(server, "query", [("query", "1"), ("time", time)]).text
                   for server in (pair.stock, pair.ours))
    assert ours == stock


META = [
    ("labels", []),
    ("labels", [("match[]", "demo_temperature")]),
    ("labels", [("match[]", "nothing")]),
    ("labels", [("match[]", "up"), ("match[]", "demo_requests_total")]),
    ("labels", [("start", 0), ("end", 1)]),
    ("label/room/values", []),
    ("label/__name__/values", []),
    ("label/nothing/values", []),
    ("label/room/values", [("match[]", 'demo_temperature{room=~"a.*"}')]),
    ("label/code/values", [("match[]", "demo_temperature")]),
    ("series", [("match[]", "demo_temperature")]),
    ("series", [("match[]", "up"), ("match[]", "demo_requests_total")]),
    ("series", [("match[]", '{room="attic"}')]),
    ("series", [("match[]", "nothing")]),
    ("series", [("match[]", "up"), ("start", 0), ("end", 1)]),
    ("metadata", [("metric", "demo_temperature")]),
    ("metadata", [("metric", "nothing")]),
    ("metadata", []),
    ("rules", []),
    ("rules", [("type", "record")]),
    ("alerts", []),
    ("query_exemplars", [("query", "demo_temperature"), ("start", 1), ("end", 2)]),
]


@pytest.mark.parametrize("path,params", META)
def test_what_helps_to_write_queries_is_equal(pair, path, params):
    stock, ours = (ask(server, path, params) for server in (pair.stock, pair.ours))
    assert ours.status == stock.status == 200, ours.text
    assert ours.json == stock.json


@pytest.mark.parametrize("path,params", [
    ("labels", [("match[]", "up")]),
    ("series", [("match[]", "up"), ("match[]", "demo_temperature")]),
    ("query_exemplars", [("query", "up"), ("start", 1), ("end", 2)]),
])
def test_forms_are_read_alike(pair, path, params):
    stock, ours = (ask(server, path, params, post=True) for server in (pair.stock, pair.ours))
    assert ours.json == stock.json


# Answers that cannot be equal: every key of theirs is in ours, with its type.
SHAPES = [
    ("query", [("query", "demo_temperature[3s]")]),
    ("query", [("query", "demo_temperature"), ("stats", "all")]),
    ("query_range", [("query", "demo_temperature"), ("start", "{time}"), ("end", "{time}"),
                     ("step", "1"), ("stats", "all")]),
    ("targets", []),
    ("targets", [("state", "active")]),
    ("targets", [("state", "dropped")]),
    ("status/buildinfo", []),
    ("status/runtimeinfo", []),
    ("status/config", []),
]


@pytest.mark.parametrize("path,params", SHAPES)
def test_shapes_hold_all_of_prometheus(pair, path, params):
    params = [(name, str(value).replace("{time}", str(pair.time))) for name, value in params]
    stock, ours = (ask(server, path, params) for server in (pair.stock, pair.ours))
    assert ours.status == stock.status == 200, ours.text
    assert missing(stock.json, ours.json) == []


def test_the_configuration_is_told_as_yaml(pair):
    told = yaml.safe_load(pair.ours.api("status/config").json["data"]["yaml"])
    assert told["global"]["external_labels"] == pairs.EXTERNAL
    assert told["scrape_configs"][0]["job_name"] == "demo"


def test_flags_are_texts(pair):
    flags = pair.ours.api("status/flags").json["data"]
    stock = pair.stock.api("status/flags").json["data"]
    assert all(isinstance(value, str) for value in flags.values())
    for name in ("query.timeout", "query.lookback-delta", "query.max-samples",
                 "query.max-concurrency", "storage.tsdb.path", "config.file"):
        assert name in flags
    for name in ("query.timeout", "query.lookback-delta", "query.max-samples",
                 "query.max-concurrency"):
        assert flags[name] == stock[name]


# Refusals with equal status, type and sentence.
REFUSED = [
    ("query", [("query", "sum(")]),
    ("query", [("query", "nope(1)")]),
    ("query", [("query", "1 +")]),
    ("query", [("query", "rate(demo_temperature)")]),
    ("query", [("query", "{}")]),
    ("query", [("query", '{room=""}')]),
    ("query", [("query", "demo_temperature[5m:")]),
    ("query", [("query", 'foo{a="b"')]),
    ("query", [("query", '"abc')]),
    ("query", [("query", "1 and 2")]),
    ("query", [("query", 'topk("a", demo_temperature)')]),
    ("query", [("query", "1"), ("time", "x")]),
    ("query", [("query", "1"), ("timeout", "x")]),
    ("query", [("query", "1"), ("timeout", "1e300")]),
    ("query_range", [("query", "1"), ("start", ""), ("end", 1), ("step", 1)]),
    ("query_range", [("query", "1"), ("start", "x"), ("end", 1), ("step", 1)]),
    ("query_range", [("query", "1"), ("start", 0), ("end", "x"), ("step", 1)]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 1)]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 1), ("step", "x")]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 1), ("step", "0")]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 1), ("step", "-1")]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 1), ("step", "1e300")]),
    ("query_range", [("query", "1"), ("start", 2), ("end", 1), ("step", "1")]),
    ("query_range", [("query", "1"), ("start", 0), ("end", 11001), ("step", "1")]),
    ("series", []),
    ("series", [("match[]", "{}")]),
    ("series", [("match[]", '{room=~".*"}')]),
    ("series", [("match[]", "demo_temperature{")]),
    ("series", [("match[]", "rate(x[5m])")]),
    ("series", [("match[]", "up"), ("start", "x")]),
    ("series", [("match[]", "up"), ("end", "x")]),
    ("labels", [("start", "x")]),
    ("labels", [("match[]", "{}")]),
    ("labels", [("match[]", "x[5m]")]),
    ("label/room/values", [("match[]", "{}")]),
    ("label/room/values", [("match[]", "demo_temperature{")]),
    ("metadata", [("limit", "x")]),
    ("rules", [("type", "nope")]),
    ("query_exemplars", [("query", "sum("), ("start", 1), ("end", 2)]),
    ("nope", []),
]


@pytest.mark.parametrize("path,params", REFUSED)
def test_refusals_are_equal(pair, path, params):
    stock, ours = (ask(server, path, params) for server in (pair.stock, pair.ours))
    assert ours.status == stock.status
    assert ours.text == stock.text


# Refusals of the same kind whose sentence Prometheus 3 changed, or that hold what differs by run.
REFUSED_IN_OTHER_WORDS = [
    ("query", [("query", "")]),
    ("query", []),
    ("query", [("query", 'demo_temperature{room=~"*"}')]),
    ("query", [("query", "demo_temperature * on(instance) demo_requests_total")]),
    ("query", [("query", "sum by (a (b)")]),
    ("query", [("query", "demo_temperature == bool")]),
    ("query", [("query", 'label_replace(up, "a", "", "b", "(")')]),
    ("query_range", [("query", "sum("), ("start", 0), ("end", 1), ("step", 1)]),
    ("query_range", [("query", '"x"'), ("start", 0), ("end", 1), ("step", 1)]),
    ("query_range", [("query", "up[5m]"), ("start", 0), ("end", 1), ("step", 1)]),
]


@pytest.mark.parametrize("path,params", REFUSED_IN_OTHER_WORDS)
def test_refusals_have_the_same_type(pair, path, params):
    stock, ours = (ask(server, path, params) for server in (pair.stock, pair.ours))
    assert ours.status == stock.status
    assert ours.json["errorType"] == stock.json["errorType"]
    assert missing(stock.json, ours.json) == []


def test_methods_that_do_not_fit_are_refused_alike(pair):
    for path, method in (("query", "PUT"), ("targets", "POST"), ("label/room/values", "DELETE")):
        stock, ours = (peers.http(f"{server.url}/api/v1/{path}", method=method)
                       for server in (pair.stock, pair.ours))
        assert (ours.status, ours.text) == (stock.status, stock.text)


def test_health_is_told_alike(pair):
    for path in ("/-/healthy", "/-/ready"):
        stock, ours = (peers.http(server.url + path) for server in (pair.stock, pair.ours))
        assert (ours.status, ours.text) == (stock.status, stock.text)
        assert peers.http(pair.ours.url + path, method="HEAD").status == 200


def test_other_origins_are_let_in_alike(pair):
    for method in ("GET", "OPTIONS"):
        stock, ours = (peers.http(f"{server.url}/api/v1/labels", method=method,
                                  headers={"Origin": "http://page.example"})
                       for server in (pair.stock, pair.ours))
        assert ours.status == stock.status
        for name, value in stock.headers.items():
            if name.startswith("Access-Control-"):
                assert ours.headers[name] == value


def test_large_answers_are_compressed_on_request(pair):
    path = f"{pair.ours.url}/api/v1/query_range?query=demo_temperature&start={pair.time - 1000}" \
           f"&end={pair.time}&step=0.5"
    plain = peers.http(path)
    packed = peers.http(path, headers={"Accept-Encoding": "gzip"})
    assert plain.headers["Content-Encoding"] is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.body) == plain.body
    assert peers.http(path, headers={"Accept-Encoding": "gzip;q=0"}).body == plain.body


def test_what_prometheus_3_adds(pair):
    limited = ask(pair.ours, "query", [("query", "demo_temperature"), ("limit", 1)]).json
    assert len(limited["data"]["result"]) == 1
    assert limited["warnings"] == ["results truncated due to limit"]
    escaped = ask(pair.ours, "label/U__room/values", []).json
    assert escaped == ask(pair.ours, "label/room/values", []).json
    negative = ask(pair.ours, "labels", [("limit", "-1")])
    assert (negative.status, negative.json["errorType"]) == (400, "bad_data")
