"""A hub while clusters, links and exports come, go and hang; whom it asks and what that costs."""
import concurrent.futures
import contextlib
import json
import re
import signal
import time

import fleet
import peers
import pytest

NAMES = ("east", "north", "west")
TIMEOUT_S = 3
COUNT = "count by (cluster) (foo)"


class Fleet:
    def __init__(self, hub, monitors, gateways, data):
        self.hub, self.monitors, self.gateways = hub, monitors, gateways
        self.time = data.start + 1800

    def ask(self, query, **params):
        return self.hub.api("query", query=query, time=self.time, **params).json

    def counted(self, **params):
        """The clusters in an answer, and what was warned of."""
        answer = self.ask(COUNT, **params)
        assert answer["status"] == "success", answer
        assert all(series["value"][1] == "2" for series in answer["data"]["result"])
        return ({series["metric"]["cluster"] for series in answer["data"]["result"]},
                answer.get("warnings", []))

    def is_whole(self):
        return self.counted() == (set(NAMES), [])

    def requests(self):
        return {name: fleet.requests(gateway) for name, gateway in self.gateways.items()}


@pytest.fixture(scope="module", name="clusters")
def start_clusters(tmp_path_factory):
    flags = [f"--hub.cluster-timeout={TIMEOUT_S}s"]
    with fleet.running(tmp_path_factory.mktemp("clusters"), NAMES, flags) as parts:
        clusters = Fleet(*parts)
        assert clusters.is_whole()
        yield clusters


@contextlib.contextmanager
def hanging(program):
    program.send(signal.SIGSTOP)
    try:
        yield
    finally:
        program.send(signal.SIGCONT)


@contextlib.contextmanager
def killed(program):
    program.kill()
    try:
        yield
    finally:
        program.start()


@pytest.mark.parametrize("part", ["monitors", "gateways"])
@pytest.mark.parametrize("trouble", [killed, hanging])
def test_the_others_answer_and_the_missing_one_is_named(clusters, trouble, part):
    with trouble(getattr(clusters, part)["west"]):
        begun = time.monotonic()
        found, warnings = clusters.counted()
        took = time.monotonic() - begun
        assert found == {"east", "north"}
        assert len(warnings) == 1
        assert warnings[0].startswith('cluster "west" is missing from this answer: '), warnings
        assert took < TIMEOUT_S + 5, "its deadline, and what a busy machine adds"

        partial = clusters.ask(COUNT, partial_response="abort")
        assert partial["status"] == "error"
        assert partial["error"].startswith('cluster "west": '), partial
        assert clusters.counted(partial_response="warn")[0] == {"east", "north"}

        begun = time.monotonic()
        ranged = clusters.hub.api("query_range", query="sum(foo)", start=clusters.time,
                                  end=clusters.time + 60, step=60).json
        assert time.monotonic() - begun < TIMEOUT_S + 5
        assert [value for _, value in ranged["data"]["result"][0]["values"]] == ["22", "22"]
        assert 'cluster "west"' in ranged["warnings"][0]

        names = clusters.hub.api("label/pod/values").json
        assert names["data"] == ["p1", "p2"]
        assert 'cluster "west"' in names["warnings"][0]
    peers.eventually(clusters.is_whole, what="the cluster is back, with all it had")


def test_who_is_not_asked_is_not_missed(clusters):
    with killed(clusters.gateways["west"]):
        answer = clusters.ask('count by (cluster) (foo{cluster=~"east|north"})',
                              partial_response="abort")
        assert answer["status"] == "success" and "warnings" not in answer, answer
        assert len(answer["data"]["result"]) == 2
        alone = clusters.ask('foo{cluster="west"}')
        assert alone["data"]["result"] == [] and 'cluster "west"' in alone["warnings"][0]
    peers.eventually(clusters.is_whole, what="the cluster is back")


def test_with_all_clusters_down_an_answer_is_empty_and_names_them(clusters):
    with contextlib.ExitStack() as stack:
        for monitor in clusters.monitors.values():
            stack.enter_context(killed(monitor))
        found, warnings = clusters.counted()
        assert found == set()
        assert [re.match('cluster "(.*?)"', text).group(1) for text in sorted(warnings)] == list(NAMES)
    peers.eventually(clusters.is_whole, what="all clusters are back")


@pytest.mark.parametrize("matcher,asked", [
    ('="east"', {"east"}), ('=~"east|west"', {"east", "west"}), ('!="east"', {"north", "west"}),
    ('!~"e.*|w.*"', {"north"}), ('="nowhere"', set()), ('=""', set()), ('=~".*"', set(NAMES)),
    ('!=""', set(NAMES)), ('=~"|north"', {"north"}),
])
@pytest.mark.parametrize("query,selector", [
    ("foo{}", 'foo{{cluster{}}}'), ("sum", 'sum(foo{{cluster{}}})'),
    ("subquery", 'max_over_time(max(foo{{cluster{}}})[5m:1m])'),
    ("absent", 'absent(foo{{cluster{}}})'),
    ("binary", 'foo{{cluster{0}}} + ignoring (pod) group_left max by (cluster) (foo{{cluster{0}}})'),
])
def test_only_clusters_that_match_receive_a_request(clusters, query, selector, matcher, asked):
    before = clusters.requests()
    answer = clusters.ask(selector.format(matcher), stats="all")
    after = clusters.requests()
    assert answer["status"] == "success" and "warnings" not in answer, answer
    assert {name for name in NAMES if after[name] > before[name]} == asked
    shares = answer["data"]["stats"].get("clusters", [])
    assert {share["cluster"] for share in shares} == asked
    assert {share["cluster"]: share["fragments"] for share in shares} == {
        name: after[name] - before[name] for name in asked}


@pytest.mark.parametrize("path", ["series", "labels", "label/pod/values", "label/cluster/values"])
def test_only_clusters_that_match_are_asked_for_labels(clusters, path):
    before = clusters.requests()
    answer = clusters.hub.api(path, **{"match[]": 'foo{cluster="north"}'}).json
    after = clusters.requests()
    assert answer["status"] == "success" and "warnings" not in answer
    assert {name for name in NAMES if after[name] > before[name]} == {"north"}
    expected = {"label/pod/values": ["p1", "p2"], "label/cluster/values": ["north"],
                "labels": ["__name__", "cluster", "pod"],
                "series": [{"__name__": "foo", "cluster": "north", "pod": pod}
                           for pod in ("p1", "p2")]}
    assert answer["data"] == expected[path]


def test_the_bytes_of_queries_and_of_links_agree(clusters):
    query = '{__name__=~"foo|g|ctr"}'
    before, counted, queries = clusters.hub.received(), dict.fromkeys(NAMES, 0), 20
    for number in range(queries):
        start = clusters.time - 1700 + number
        answer = clusters.hub.api("query_range", query=query, start=start, end=start + 1600, step=5,
                                  stats="all").json
        assert "warnings" not in answer
        shares = answer["data"]["stats"]["clusters"]
        assert [share["cluster"] for share in shares] == list(NAMES)
        for share in shares:
            assert share["fragments"] == 1 and share["receivedBytes"] > 100
            counted[share["cluster"]] += share["receivedBytes"]
    after = clusters.hub.received()
    for name in NAMES:
        grown = after[name] - before[name]
        # The link's count has TLS records, frames of control and heartbeats besides.
        assert counted[name] < grown < counted[name] * 1.1 + 300 * queries, name
    assert "clusters" not in json.dumps(clusters.hub.api("query", query="1", stats="all").json)


def test_exports_come_and_go_without_a_restart(clusters):
    west = clusters.gateways["west"]
    one = fleet.export(clusters.monitors["west"])
    west.publish([])
    peers.eventually(lambda: clusters.hub.clusters()["west"]["exports"] == [], what="export gone")
    found, warnings = clusters.counted()
    assert found == {"east", "north"}
    assert warnings == ['cluster "west" is missing from this answer: it exports no Prometheus']
    west.publish([one])
    peers.eventually(lambda: clusters.hub.is_linked("west"), what="export there")
    assert clusters.is_whole()


def test_an_export_may_change_its_name_and_its_server(clusters):
    west = clusters.gateways["west"]
    renamed = fleet.export(clusters.monitors["east"]).replace("name: prometheus", "name: other")
    west.publish([renamed])
    peers.eventually(lambda: [export["name"] for export in clusters.hub.clusters()["west"]["exports"]]
                     == ["other"], what="the new name")
    assert clusters.is_whole()
    with killed(clusters.monitors["west"]):
        assert clusters.is_whole(), "its server is another one now"
    west.publish([fleet.export(clusters.monitors["west"])])
    peers.eventually(lambda: [export["name"] for export in clusters.hub.clusters()["west"]["exports"]]
                     == ["prometheus"], what="the old name")
    peers.eventually(clusters.is_whole)


def test_links_come_and_go_without_a_restart(clusters):
    clusters.hub.unlink("west")
    peers.eventually(lambda: "west" not in clusters.hub.clusters(), what="link gone")
    assert clusters.counted() == ({"east", "north"}, [])
    assert clusters.hub.api("label/cluster/values").json["data"] == ["east", "north"]
    clusters.hub.link(clusters.gateways["west"])
    peers.eventually(lambda: clusters.hub.is_linked("west"), what="link there")
    assert clusters.is_whole()
    assert clusters.hub.api("label/cluster/values").json["data"] == list(NAMES)


@pytest.mark.parametrize("allowed", [64, 3])
def test_a_query_of_many_requests_takes_turns(clusters, allowed):
    """Gateways refuse what is too much at once: nobody may be missing because of that."""
    west = clusters.gateways["west"]
    one = fleet.export(clusters.monitors["west"])
    stamp = "atoll_gateway_config_last_reload_success_timestamp_seconds"
    before = west.metric(stamp)
    west.publish([one + f"    limits:\n      concurrency: {allowed}\n"])
    peers.eventually(lambda: west.metric(stamp) != before, what="the limit in force")
    refused = west.metric('atoll_gateway_denied_total{reason="concurrency"}')
    query = " + ".join(f"sum(foo offset {seconds}s)" for seconds in range(150))

    form = [("query", query), ("time", str(clusters.time))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: clusters.hub.api("query", form=form).json, range(4)):
            assert answer["status"] == "success" and "warnings" not in answer, str(answer)[:500]
            assert answer["data"]["result"][0]["value"][1] == str(150 * 33)
    refused = west.metric('atoll_gateway_denied_total{reason="concurrency"}') - refused
    assert (refused > 0) == (allowed < 32), "the limit was in force, and the hub's own is 32"
    west.publish([one])
    assert clusters.is_whole()


def test_a_queries_own_error_is_an_error_and_not_a_missing_cluster(clusters):
    answer = clusters.ask("foo * on () foo")
    assert (answer["status"], answer["errorType"]) == ("error", "execution")
    assert clusters.ask("sum(")["errorType"] == "bad_data"
    answer = clusters.ask('label_replace(foo, "pod", "same", "", "")')
    assert (answer["status"], answer["errorType"]) == ("error", "execution")


@pytest.mark.parametrize("flag,path,params", [
    ("--query.max-memory-per-query=200KB", "query_range", {"query": "foo"}),
    ("--query.max-memory-per-query=200KB", "query_range", {"query": "sum by (pod) (foo)"}),
    ("--hub.max-answer-bytes=1KB", "query_range", {"query": "g / 7 * time()"}),
    ("--hub.max-fragments=2", "query", {"query": "sum(foo)"}),
])
def test_too_much_is_an_error_that_names_the_limit(clusters, tmp_path, flag, path, params):
    leaf = clusters.hub.argv[3].partition("=")[2]
    assert leaf.endswith("hub-hub")
    with fleet.Hub(tmp_path, leaf, flag) as hub:
        for gateway in clusters.gateways.values():
            hub.link(gateway)
        peers.eventually(lambda: hub.is_linked(*NAMES), what="all clusters linked")
        if path == "query_range":
            params = {**params, "start": clusters.time - 1800, "end": clusters.time, "step": "200ms"}
        answer = hub.api(path, **params).json
        assert answer["status"] == "error", str(answer)[:300]
        assert flag.partition("=")[0].lstrip("-") in answer["error"], answer
        assert hub.api("query", query="1").json["status"] == "success"


def test_nothing_of_the_kind_ends_a_program(clusters):
    for program in (clusters.hub, *clusters.monitors.values(), *clusters.gateways.values()):
        assert program.process.poll() is None, program.output()[-2000:]
