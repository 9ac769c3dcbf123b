"""A hub over real clusters answers what one server that holds all their data answers."""
import contextlib
import math
import re
import struct

import fleet
import mesh
import peers
import pytest

# How closely an answer has to agree; docs/hub.md has the reasons.
EXACT = "exact"    # Bit for bit.
SUMMED = "summed"  # Partial sums are rounded.
LOOSE = "loose"    # One engine does not even agree with itself over another order of series.
TIED = "tied"      # Any of equal values may be chosen.

TOLERANCES = {EXACT: 0.0, SUMMED: 1e-12, LOOSE: 1e-9, TIED: 0.0}

# "@ 600" means 600 s after the data's start.
QUERIES = [
    # Where others were seen to answer something else.
    ("max(foo) < 5", EXACT),
    ("max(foo) == 3", EXACT),
    ("max(foo) * -1", EXACT),
    ("5 - max(foo)", EXACT),
    ("topk(1, foo) < 5", EXACT),
    ("topk(1, foo) * -1", EXACT),
    ('count_values without (pod) ("v", foo)', EXACT),
    ('count_values("v", g offset 10m)', EXACT),
    ('count_values("cluster", foo)', EXACT),
    ("avg(big)", LOOSE),
    ("scalar(only_b)", EXACT),
    ('scalar(foo{pod="p1"})', EXACT),
    ("topk(scalar(only_b), foo)", TIED),
    ('label_replace(foo, "cluster", "x", "", "")', EXACT),
    ('label_replace(foo, "cluster", "x", "pod", "p1")', EXACT),
    # Where they agreed.
    ("min(foo) > 2", EXACT),
    ("max(foo) > 5", EXACT),
    ('count_values("v", foo)', EXACT),
    ("sum(g offset 10m)", SUMMED),
    ("avg(foo)", LOOSE),
    ("stddev(foo)", LOOSE),
    ("quantile(0.5, foo)", EXACT),
    ("absent(only_b)", EXACT),
    ("absent(nothing)", EXACT),
    ("count(foo) by (cluster)", EXACT),
    ("foo unless on(pod) only_b", EXACT),
    ('foo * on(pod) group_left foo{cluster="b"}', EXACT),
    ("sum(foo) or on() vector(0)", SUMMED),
    ("sum(nothing) or on() vector(0)", EXACT),
    ("sum_over_time(max(foo)[10m:1m])", EXACT),
    ("max_over_time(sum(foo)[10m:])", SUMMED),
    ("sum(foo @ 600)", SUMMED),
    ("sort(foo)", EXACT),
    ("group(foo) by (cluster)", EXACT),
    ("sum without (cluster) (foo)", SUMMED),
    ("absent_over_time(only_b[5m])", EXACT),
    ("timestamp(foo)", EXACT),
    ('sum(foo{cluster="b"})', SUMMED),
    ('sum(foo{cluster!="b"})', SUMMED),
    ('sum(foo{cluster=""})', EXACT),
    ("bottomk(1, foo)", TIED),
    ("rate(ctr[5m])", EXACT),
    ("sum(rate(ctr[5m]))", SUMMED),
    ("predict_linear(g[10m], 600)", EXACT),
    ("-max(foo)", EXACT),
    ("foo > bool 2", EXACT),
    ("sum(foo > 2)", SUMMED),
    ("count(foo > 2)", EXACT),
    ("count(count by (pod) (foo))", EXACT),
    ("max(max by (pod) (foo)) - 1", EXACT),
]
assert len(QUERIES) == 50

# What only we have, behind --enable-feature.
FEATURES = ("--enable-feature=promql-experimental-functions,promql-extended-range-selectors",
            "--enable-feature=promql-binop-fill-modifiers")
EXPERIMENTAL = [
    ("limitk(2, foo * 0)", TIED),
    ("limitk by (cluster) (1, foo * 0)", TIED),
    ("limit_ratio(0.5, g)", EXACT),
    ("limit_ratio(-0.5, g)", EXACT),
    ('sort_by_label(foo, "cluster", "pod")', EXACT),
    ("mad_over_time(g[5m])", EXACT),
    ("sum(ts_of_max_over_time(g[5m]))", SUMMED),
    ("increase(ctr[5m] anchored)", EXACT),
    ("rate(ctr[5m] smoothed)", EXACT),
    ("g smoothed", EXACT),
    ("foo + fill(0) g", EXACT),
    ('foo{cluster="a"} + on(pod) fill_left(1) g{cluster="b"}', EXACT),
    ("foo + step()", EXACT),
    ("sum_over_time(max(g)[step() + 1m:range() + 7s])", EXACT),
]

# Seconds after the data's start: (time,) or (start, end, step). Never is a sample or a step of a
# subquery exactly as old as a range or the lookback is long: Prometheus 2 counts it, 3 does not.
BETWEEN = {
    "instant": [(1800.123,), (77.5,), (3700.5,)],
    "range": [(1200.001, 1940, 37), (-30.5, 100, 30), (3600.5, 3880, 60)],
}
# Where there is one.
AT_EDGES = {
    "instant": [(1800,), (0,), (3600,)],
    "range": [(1200, 2400, 300), (1800, 1800, 15), (3600, 4300, 60)],
}
BACKENDS = {"ours": ("ours", "ours"), "stock": ("stock", "stock"), "mixed": ("stock", "ours")}


class Fleet:
    """Hubs over both kinds of servers, and for each kind one server with everything."""

    def __init__(self, data):
        self.data, self.hubs, self.oracles = data, {}, {}


@pytest.fixture(scope="module", name="fleets")
def start_fleets(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fleets")
    data = fleet.Data()
    result = Fleet(data)
    trust = mesh.Trust(directory / "trust")
    with contextlib.ExitStack() as stack:
        exporters = fleet.targets(stack, data, "a", "b", None)
        servers, gateways = {}, {}
        for kind, program, flags in (("ours", peers.Monitor, FEATURES),
                                     ("stock", peers.Prometheus, ())):
            for cluster, evaluation in (("a", "1m"), ("b", "15s"), (None, "1m")):
                text = fleet.config(exporters[cluster].address, evaluation)
                servers[kind, cluster] = program(
                    directory / f"{kind}-{cluster}", text, *flags)
            for cluster in ("a", "b"):
                gateways[kind, cluster] = mesh.Gateway(
                    directory / f"{kind}-{cluster}", trust,
                    [fleet.export(servers[kind, cluster])], cluster)
            result.oracles[kind] = servers[kind, None]
        leaf = trust.leaf("hub", "hub")
        for backend, kinds in BACKENDS.items():
            hub = result.hubs[backend] = fleet.Hub(
                directory, leaf, *FEATURES, name=f"hub-{backend}")
            for kind, cluster in zip(kinds, ("a", "b")):
                hub.link(gateways[kind, cluster])
        fleet.start_all(stack, [*servers.values(), *gateways.values(), *result.hubs.values()])
        for (kind, cluster), server in servers.items():
            peers.eventually(lambda at=server, of=cluster: data.is_in(at, of), what=f"{kind} {cluster}")
        for hub in result.hubs.values():
            peers.eventually(lambda at=hub: at.is_linked("a", "b"), what="both clusters linked")
        yield result


def ask(server, query, start, moment):
    """The whole answer, with absolute times."""
    query = re.sub(r"@ (\d+)", lambda found: f"@ {start + int(found.group(1))}", query)
    if len(moment) == 1:
        return server.api("query", query=query, time=f"{start + moment[0]:.3f}").json
    first, last, step = moment
    return server.api("query_range", query=query, start=f"{start + first:.3f}",
                      end=f"{start + last:.3f}", step=step).json


def bits(number):
    number = float(number)
    return math.nan if math.isnan(number) else number, struct.pack("<d", number)


def agree(left, right, tolerance):
    (a, a_bits), (b, b_bits) = bits(left), bits(right)
    if a == b or a_bits == b_bits or (math.isnan(a) and math.isnan(b)):
        return True
    return math.isfinite(a - b) and abs(a - b) <= tolerance * max(1, abs(a), abs(b))


def samples(series):
    return series["values"] if "values" in series else [series["value"]]


def in_order(result):
    return sorted(result, key=lambda series: sorted(series["metric"].items()))


def values_by_time(result):
    """Only the values, sorted, at each time."""
    found = {}
    for series in result:
        for moment, value in samples(series):
            found.setdefault(float(moment), []).append(float(value))
    return {moment: sorted(values) for moment, values in found.items()}


def assert_samples(left, right, exactness):
    assert [float(t) for t, _ in left] == [float(t) for t, _ in right]
    for (moment, a), (_, b) in zip(left, right):
        assert agree(a, b, TOLERANCES[exactness]), f"{a} is not {b} at {moment}"


def assert_same(hub, oracle, query, exactness):
    """Compares two answers by what 'exactness' promises."""
    assert hub["status"] == oracle["status"], (hub, oracle)
    if hub["status"] == "error":
        assert hub["errorType"] == oracle["errorType"], (hub, oracle)
        return
    # Version 2 has fewer to give; of clusters there must be none in any case.
    said = hub.get("warnings", [])
    assert all(text.startswith("PromQL ") for text in said), said
    left, right = hub["data"], oracle["data"]
    assert left["resultType"] == right["resultType"]
    if left["resultType"] == "scalar":
        assert_samples([left["result"]], [right["result"]], exactness)
    elif exactness == TIED:
        assert values_by_time(left["result"]) == values_by_time(right["result"])
    else:
        ours, theirs = in_order(left["result"]), in_order(right["result"])
        assert [series["metric"] for series in ours] == [series["metric"] for series in theirs]
        for a, b in zip(ours, theirs):
            assert_samples(samples(a), samples(b), exactness)
    if left["resultType"] == "vector" and query.startswith(("sort", "topk", "bottomk")):
        assert ([series["value"][1] for series in left["result"]]
                == [series["value"][1] for series in right["result"]]), "another order"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", BETWEEN)
@pytest.mark.parametrize("query,exactness", QUERIES, ids=[query for query, _ in QUERIES])
def test_answers_as_one_server_with_all_the_data(fleets, query, exactness, kind, backend):
    hub = fleets.hubs[backend]
    for moment in BETWEEN[kind]:
        answer = ask(hub, query, fleets.data.start, moment)
        for oracle in fleets.oracles.values():
            assert_same(answer, ask(oracle, query, fleets.data.start, moment), query, exactness)
    for moment in AT_EDGES[kind] if backend == "ours" else []:
        answer = ask(hub, query, fleets.data.start, moment)
        oracle = ask(fleets.oracles["ours"], query, fleets.data.start, moment)
        assert_same(answer, oracle, query, exactness)


@pytest.mark.parametrize("kind", BETWEEN)
@pytest.mark.parametrize("query,exactness", EXPERIMENTAL, ids=[query for query, _ in EXPERIMENTAL])
def test_answers_experiments_as_one_server_with_all_the_data(fleets, query, exactness, kind):
    for moment in BETWEEN[kind] + AT_EDGES[kind]:
        oracle = ask(fleets.oracles["ours"], query, fleets.data.start, moment)
        assert oracle["status"] == "success", oracle
        assert_same(ask(fleets.hubs["ours"], query, fleets.data.start, moment), oracle, query,
                    exactness)


def test_what_a_stock_server_cannot_do_is_its_error(fleets):
    answer = ask(fleets.hubs["mixed"], "mad_over_time(g[5m])", fleets.data.start, (1800,))
    assert (answer["status"], answer["errorType"]) == ("error", "execution")
    assert answer["error"].startswith('cluster "a": ') and "mad_over_time" in answer["error"]


def test_explains_what_it_and_the_clusters_did(fleets):
    hub = fleets.hubs["ours"]
    data = hub.api("query", query="sum by (pod) (rate(ctr[5m])) > 0", time=fleets.data.start + 1800,
                   explain="analyze").json["data"]
    assert [node["node"] for node in data["explain"]["plan"]] == [">"]
    assert data["explain"]["plan"][0]["series"] >= len(data["result"]) > 0
    assert [share["cluster"] for share in data["explain"]["clusters"]] == ["a", "b"]
    assert all(share["receivedBytes"] > 0 for share in data["explain"]["clusters"])


def test_the_data_is_what_the_queries_are_about(fleets):
    start = fleets.data.start
    for oracle in fleets.oracles.values():
        found = ask(oracle, "max(foo)", start, (1800.123,))["data"]["result"]
        assert [series["value"][1] for series in found] == ["10"]
        found = ask(oracle, 'rate(ctr{pod="p3"}[5m])', start, (1800.123,))["data"]["result"]
        assert len(found) == 1 and 4.5 < float(found[0]["value"][1]) < 5.5
        assert ask(oracle, 'label_replace(foo, "cluster", "x", "", "")', start,
                   (1800.123,))["errorType"] == "execution"
