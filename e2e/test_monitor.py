"""atoll monitor beside Debian's Prometheus on the same targets: what a scrape makes of an answer."""
import contextlib
import json
import time

import pytest
import yaml

import peers
from scrape_target import OPENMETRICS, Page, Target, make_certificate

MIX = """\
# HELP mix_total Things.
# TYPE mix_total counter
mix_total{Code="A b",env="prod",host="one",twin="one",tmp_a="1",tmp_b="2"} 1
mix_total{Code="B",env="dev",host="two",twin="three",tmp_a="3",tmp_b="4"} 2
mix_total{Code="ÀÉ",env="prod",host="three",twin="three"} 3
# TYPE other gauge
other{env="prod",empty=""} -4.5
other 5
"""

# Rules for targets, and for metrics, by the name of the job that tries them.
RULES = {
    "replace": [{"source_labels": ["env", "host"], "separator": "/", "regex": "(p.*)/(.*)",
                 "target_label": "joined", "replacement": "${2}_$1-x"}],
    "replace_default": [{"source_labels": ["host"], "target_label": "copy"}],
    "replace_constant": [{"target_label": "fixed", "replacement": "yes"}],
    "replace_empties": [{"source_labels": ["env"], "regex": "prod", "target_label": "host",
                         "replacement": ""}],
    "replace_name_from_value": [{"source_labels": ["env"], "regex": "(.*)",
                                 "target_label": "is_${1}", "replacement": "1"}],
    "replace_unmatched": [{"source_labels": ["env"], "regex": "pro", "target_label": "no",
                           "replacement": "1"}],
    "replace_alternatives": [{"source_labels": ["env"], "regex": "dev|prod|x", "target_label": "is",
                              "replacement": "$0 $$1"}],
    "keep": [{"source_labels": ["env"], "regex": "prod", "action": "keep"}],
    "drop": [{"source_labels": ["env"], "regex": "p.*", "action": "drop"}],
    "keepequal": [{"source_labels": ["host"], "target_label": "twin", "action": "keepequal"}],
    "dropequal": [{"source_labels": ["host"], "target_label": "twin", "action": "dropequal"}],
    "hashmod": [{"source_labels": ["host", "env"], "modulus": 97, "target_label": "shard",
                 "action": "hashmod"}],
    "labelmap": [{"regex": "tmp_(.+)", "action": "labelmap"}],
    "labelmap_replacement": [{"regex": "tmp_(.+)", "replacement": "got_${1}_x",
                              "action": "labelmap"}],
    "labeldrop": [{"regex": "tmp_.*|host", "action": "labeldrop"}],
    "labelkeep": [{"regex": "__.*|job|Code|env", "action": "labelkeep"}],
    "lowercase": [{"source_labels": ["Code"], "target_label": "lower", "action": "lowercase"}],
    "uppercase": [{"source_labels": ["Code", "env"], "separator": "ß", "target_label": "upper",
                   "action": "uppercase"}],
    "chain": [{"source_labels": ["host"], "target_label": "__tmp_host"},
              {"source_labels": ["__tmp_host"], "regex": "t(.*)", "target_label": "tail"},
              {"source_labels": ["tail", "env"], "regex": "wo;dev", "action": "drop"},
              {"regex": "twin", "action": "labeldrop"}],
}
METRIC_RULES = {
    "rename": [{"source_labels": ["__name__"], "regex": "(.*)_total", "target_label": "__name__",
                "replacement": "${1}_renamed"}],
    "drop_by_name": [{"source_labels": ["__name__"], "regex": "other", "action": "drop"}],
    "collide": [{"regex": "Code|env|host|twin|tmp_.*", "action": "labeldrop"}],
    "drop_instance": [{"regex": "instance", "action": "labeldrop"}],
    "drop_all": [{"source_labels": ["job"], "regex": ".*", "action": "drop"}],
}
LABELS = [
    {"env": "prod", "host": "one", "twin": "one", "Code": "A b", "tmp_a": "1", "tmp_b": "2"},
    {"env": "dev", "host": "two", "twin": "three", "Code": "B", "tmp_a": "3", "tmp_b": "4"},
    {"env": "prod", "host": "three", "twin": "three", "Code": "ÀÉ"},
]

HONOR = """\
h{job="x",instance="y",exported_job="z",a="1"} 1
h{job="",instance="",a="2"} 2
h{exported_job="q",exported_exported_job="r",job="s"} 3
h{extra="mine"} 4
"""

# Ten samples and a hundred bytes exactly, for limits.
TEN = "".join(f"ten{{i=\"{i}\"}} 1\n" for i in range(10))
HUNDRED = "hundred 1\n" + "#" * 89 + "\n"

# What may go wrong in an answer, or looks as if it did: each a target of its own.
ANSWERS = {
    "good": Page("a 1\nb 2\n"),
    "no_value": Page("a 1\nb\nc 3\n"),
    "bad_number": Page("a 1\nb 1x\n"),
    "bad_label": Page('a{b=c} 1\n'),
    "open_quote": Page('a{b="c} 1\n'),
    "open_brace": Page('a{b="c"\n'),
    "bad_name": Page("a 1\n0b 1\n"),
    "bad_escape": Page('a{b="\\x"} 1\n'),
    "bad_time": Page("a 1 xyz\n"),
    "three_numbers": Page("a 1 2 3\n"),
    "bad_type": Page("# TYPE a thing\na 1\n"),
    "not_utf8": Page(b'a{b="\xff\xfe"} 1\n'),
    "label_twice": Page('a{b="1",b="2"} 1\n'),
    "series_twice": Page("a 1\na 2\nb 3\n"),
    "no_last_newline": Page("a 1\nb 2"),
    "carriage_return": Page("a 1\r\nb 2\r\n"),
    "spaces": Page('a   1  \n\n\nb\t2\nc { d = "e" , } 3\n'),
    "numbers": Page("a 0x1p-2\nb +Inf\nc -inf\nd nan\ne 1e400\nf .5\ng 1_0\n"),
    "odd_numbers": Page("a 0x1p-2\nb +Inf\nc -inf\nd nan\nf .5\ng 5.\nh 1E3\n"),
    "empty": Page(""),
    "newline": Page("\n"),
    "comments": Page("# nothing here\n#\n# HELP a\n# TYPE a gauge\n"),
    "html": Page("<html>\n<body>no metrics</body>\n</html>\n", content_type="text/html"),
    "bare_type": Page("a 1\n", content_type="text/plain"),
    "status_500": Page("a 1\n", status=500),
    "status_204": Page("", status=204),
    "redirected": Page("", status=302, headers={"Location": "/answer/good"}),
    "redirected_for_ever": Page("", status=302, headers={"Location": "/answer/redirected_for_ever"}),
    "cut_off": Page("a 1\nb 2\nc 3\n", cut=4),
    "packed": Page("a 1\nb 2\n", packed=True),
    "packed_badly": Page("a 1\nb 2\n", headers={"Content-Encoding": "gzip"}),
    "odd_encoding": Page("a 1\nb 2\n", headers={"Content-Encoding": "identity"}),
    "not_http": Page("", raw=b"a 1\nb 2\n"),
    "closed": Page("", raw=b""),
    "old_http": Page("", raw=b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\nb 2\n"),
    "chunked": Page("", raw=b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n4\r\nb 2\n\r\n0\r\n\r\n"),
    "chunked_cut": Page("", raw=b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n4\r\nb"),
    "openmetrics": Page("# TYPE a counter\n# UNIT b_seconds seconds\na_total 1\nb_seconds 2\n# EOF\n",
                        content_type=OPENMETRICS),
    "openmetrics_endless": Page("a 1\n", content_type=OPENMETRICS),
    "openmetrics_after_end": Page("a 1\n# EOF\nb 2\n", content_type=OPENMETRICS),
    "openmetrics_exemplar": Page('# TYPE a counter\na_total 1 # {id="7"} 0.5 1.5\n# EOF\n',
                                 content_type=OPENMETRICS),
    "openmetrics_comment": Page("# a comment\na 1\n# EOF\n", content_type=OPENMETRICS),
    "openmetrics_seconds": Page("a 1 1.5e9\n# EOF\n", content_type=OPENMETRICS),
}

def job(name, address, path="/mix", labels=None, **settings):
    groups = [{"targets": [address], "labels": one} for one in labels or [{}]]
    return {"job_name": name, "metrics_path": path, "static_configs": groups, **settings}


def answer_job(address):
    labels = [{"answer": name, "__metrics_path__": f"/answer/{name}"} for name in ANSWERS]
    return job("answers", address, labels=labels)


def limit_jobs(address):
    yield job("samples_fit", address, "/ten", sample_limit=10)
    yield job("samples_over", address, "/ten", sample_limit=9)
    yield job("samples_dropped_fit", address, "/ten", sample_limit=9, metric_relabel_configs=[
        {"source_labels": ["i"], "regex": "7", "action": "drop"}])
    yield job("bytes_fit", address, "/hundred", body_size_limit="101B")
    yield job("bytes_over", address, "/hundred", body_size_limit="100B")
    yield job("bytes_over_packed", address, "/hundred_packed", body_size_limit="100B")
    yield job("bytes_fit_packed", address, "/hundred_packed", body_size_limit="101B")
    # __name__, i, job, instance
    yield job("labels_fit", address, "/ten", label_limit=4)
    yield job("labels_over", address, "/ten", label_limit=3)
    yield job("names_fit", address, "/ten", label_name_length_limit=8)
    yield job("names_over", address, "/ten", label_name_length_limit=7)
    yield job("values_fit", address, "/ten", label_value_length_limit=len(address))
    yield job("values_over", address, "/ten", label_value_length_limit=len(address) - 1)
    yield job("targets_fit", address, "/ten", [{"n": "1"}, {"n": "2"}], target_limit=2)
    yield job("targets_over", address, "/ten", [{"n": "1"}, {"n": "2"}], target_limit=1)


def make_config(target, secure, certificate, exporter, silent):
    address = target.address
    jobs = [job(f"target_{name}", address, "/ten", LABELS, relabel_configs=rules)
            for name, rules in RULES.items()]
    jobs += [job(f"metric_{name}", address, metric_relabel_configs=rules)
             for name, rules in {**RULES, **METRIC_RULES}.items()]
    jobs += [
        job("address", "nowhere.invalid:1", "/wrong", relabel_configs=[
            {"target_label": "__address__", "replacement": address},
            {"target_label": "__metrics_path__", "replacement": "/right"},
            {"target_label": "__param_module", "replacement": "a b&c"},
            {"target_label": "__scrape_interval__", "replacement": "1500ms"},
            {"target_label": "__scrape_timeout__", "replacement": "1200ms"},
            {"target_label": "job", "replacement": "moved"},
            {"source_labels": ["__address__", "__metrics_path__", "__param_module"],
             "target_label": "where"}]),
        job("honoring", address, "/honor", [{"extra": "theirs"}], honor_labels=True),
        job("exporting", address, "/honor", [{"extra": "theirs"}]),
        job("own_times", address, "/times"),
        job("no_own_times", address, "/times", honor_timestamps=False),
        job("asking", address, "/asked", params={"module": ["a b", "ü&=/"], "z": ["1"]},
            basic_auth={"username": "me", "password": "pass:word"}),
        job("bearing", address, "/borne", authorization={"credentials": "tok-en"}),
        job("secure", secure.address, "/ten", scheme="https",
            tls_config={"ca_file": str(certificate)}),
        job("secure_named", secure.address, "/ten", scheme="https",
            tls_config={"ca_file": str(certificate), "server_name": "target.test"}),
        job("secure_misnamed", secure.address, "/ten", scheme="https",
            tls_config={"ca_file": str(certificate), "server_name": "other.test"}),
        job("secure_untrusted", secure.address, "/ten", scheme="https"),
        job("secure_unchecked", secure.address, "/ten", scheme="https",
            tls_config={"insecure_skip_verify": True}),
        job("plain_to_secure", secure.address, "/ten"),
        job("no_redirects", address, "/answer/redirected", follow_redirects=False),
        job("refused", silent),
        job("slow", address, "/slow", scrape_timeout="300ms"),
        job("node", exporter.address, "/metrics", params={"collect[]": ["loadavg", "filefd", "uname"]}),
        answer_job(address), *limit_jobs(address)]
    return yaml.safe_dump({
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s",
                   "external_labels": {"region": "not-stored"}},
        "scrape_configs": jobs}, allow_unicode=True)


def test_connections_are_kept(tmp_path):
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(Target({"/metrics": "a 1\n"})) for _ in range(20)]
        config = peers.scrape_config({"many": [one.address for one in targets]}, interval="300ms")
        stack.enter_context(peers.Monitor(tmp_path, config))
        peers.eventually(lambda: all(len(one.asked) >= 4 for one in targets))
        assert [one.connections for one in targets] == [1] * len(targets)


class Pair:
    def __init__(self, stock, ours, target, own_time):
        self.stock, self.ours, self.target = stock, ours, target
        self.own_time = own_time  # In ms, of the sample that comes with a timestamp.
        self.both = (stock, ours)


def pages(own_time):
    hanging = Page("slow 1\n")
    hanging.hang = True
    found = {"/mix": MIX, "/ten": TEN, "/honor": HONOR, "/hundred": HUNDRED, "/slow": hanging,
             "/hundred_packed": Page(HUNDRED, packed=True), "/right": Page(TEN, packed=True),
             "/asked": "asked 1\n", "/borne": "borne 1\n",
             "/times": f"timed 1 {own_time}\nuntimed 2\n"}
    found.update({f"/answer/{name}": page for name, page in ANSWERS.items()})
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("monitor")
    certificate = make_certificate(directory)
    with contextlib.ExitStack() as stack:
        # Not at import: in a long run of tests, all the lookback could have passed since.
        own_time = int(time.time() * 1000) - 30_000
        target = stack.enter_context(Target(pages(own_time)))
        secure = stack.enter_context(Target({"/ten": TEN}, certificate))
        exporter = stack.enter_context(peers.NodeExporter(directory))
        exporter.address = f"{peers.HOST}:{exporter.port}"
        silent = f"{peers.HOST}:{peers.free_port()}"
        config = make_config(target, secure, certificate[0], exporter, silent)
        stock = stack.enter_context(peers.Prometheus(directory, config))
        ours = stack.enter_context(peers.Monitor(directory, config))
        yield Pair(stock, ours, target, own_time)
        assert ours.stop() == 0, ours.output()[-4000:]


def view(server, query):
    """What an instant query gives: labels -> value."""
    return {tuple(sorted(one["metric"].items())): one["value"][1] for one in server.instant(query)}


def same(pair, query, count=None):
    """Waits until both give the same, and 'count' elements (any, but some, if None)."""
    last = {}

    def check():
        last["stock"], last["ours"] = (view(server, query) for server in pair.both)
        enough = len(last["stock"]) > 0 if count is None else len(last["stock"]) == count
        return enough and last["stock"] == last["ours"]
    try:
        peers.eventually(check, what=query)
    except AssertionError:
        only = {who: sorted(set(last[who].items()) - set(last[other].items()))
                for who, other in (("stock", "ours"), ("ours", "stock"))}
        raise AssertionError(f"{query}: {len(last['stock'])} stock, {len(last['ours'])} ours, "
                             f"wanted {count}; only in {only}") from None
    return last["ours"]


def scraped(pair, name, least=2):
    """Waits until both have scraped the job a few times."""
    for server in pair.both:
        peers.eventually(lambda at=server: all(
            float(value) >= least
            for value in (view(at, f'count_over_time(up{{job="{name}"}}[5m])') or {0: "0"}).values()),
            what=f"{least} scrapes of {name} by {server.name}")


# Of a first scrape; the second adds none.
REPORTS = "up|scrape_samples_scraped|scrape_samples_post_metric_relabeling|scrape_series_added"


def same_job(pair, name, count=None):
    """All series of the job that the target exposes, and the reports on it, are the same."""
    scraped(pair, name)
    same(pair, f'{{job="{name}",__name__!~"up|scrape_.*"}}', count)
    same(pair, f'{{job="{name}",__name__=~"{REPORTS}"}}')
    same(pair, f'count by (__name__) ({{job="{name}",__name__=~"up|scrape_.*"}})', 5)


def up(pair, name):
    scraped(pair, name)
    return same(pair, f'up{{job="{name}"}}')


@pytest.mark.parametrize("name", RULES)
def test_targets_are_relabelled_alike(pair, name):
    same_job(pair, f"target_{name}")


@pytest.mark.parametrize("name", RULES | METRIC_RULES)
def test_samples_are_relabelled_alike(pair, name):
    same_job(pair, f"metric_{name}", 0 if name == "drop_all" else None)


def test_relabelling_says_where_and_how_often_to_scrape(pair):
    same_job(pair, "moved", 10)
    asked = {who: pair.target.requests(who, "/right")[-1] for who in ("stock", "ours")}
    assert asked["ours"][0] == asked["stock"][0] == "/right?module=a+b%26c"
    timeout = "X-Prometheus-Scrape-Timeout-Seconds"
    assert asked["ours"][1][timeout] == asked["stock"][1][timeout] == "1.2"


@pytest.mark.parametrize("name", ["honoring", "exporting"])
def test_clashing_labels(pair, name):
    peers.eventually(lambda: view(pair.stock, "h"))
    scraped(pair, "exporting")
    for selector in ('h{extra=~"mine|theirs",job!~"exporting|s"}', 'h{job="exporting"}', "h"):
        same(pair, selector)


def test_timestamps_of_the_target(pair):
    same_job(pair, "own_times", 2)
    times = same(pair, 'timestamp(timed{job="own_times"})', 1)
    assert list(times.values()) == [json.dumps(pair.own_time / 1000).removesuffix(".0")]
    scraped(pair, "no_own_times")
    same_job(pair, "no_own_times", 2)
    for server in pair.both:
        assert float(list(view(server, 'timestamp(timed{job="no_own_times"})').values())[0]) > \
            pair.own_time / 1000 + 20


def test_params_and_credentials(pair):
    same_job(pair, "asking", 1)
    same_job(pair, "bearing", 1)
    for path in ("/asked", "/borne"):
        asked = {who: pair.target.requests(who, path)[-1] for who in ("stock", "ours")}
        assert asked["ours"][0] == asked["stock"][0]
        assert asked["ours"][1]["Authorization"] == asked["stock"][1]["Authorization"]
        assert asked["ours"][1]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("name,value", [
    ("secure", "1"), ("secure_named", "1"), ("secure_misnamed", "0"), ("secure_untrusted", "0"),
    ("secure_unchecked", "1"), ("plain_to_secure", "0"), ("no_redirects", "0"), ("refused", "0"),
    ("slow", "0")])
def test_reaching_a_target(pair, name, value):
    assert set(up(pair, name).values()) == {value}
    same_job(pair, name, 10 if value == "1" else 0)


def test_external_labels_are_not_stored(pair):
    scraped(pair, "secure")
    assert view(pair.ours, '{region=~".+"}') == {}


def test_node_exporter(pair):
    scraped(pair, "node")
    same(pair, 'count by (__name__,job,instance) ({job="node",__name__!~"scrape_.*|go_.*|process_.*"})')
    same(pair, 'node_uname_info', 1)
    same(pair, 'count({job="node",__name__=~"go_.*|process_.*"})')


LIMITS = {name["job_name"]: None for name in limit_jobs("127.0.0.1:1")}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(pair, name):
    good = "_fit" in name
    assert set(up(pair, name).values()) == {"1" if good else "0"}
    same_job(pair, name, None if good else 0)
    if not good:
        setting = {"samples": "sample_limit", "bytes": "body_size_limit", "labels": "label_limit",
                   "names": "label_name_length_limit", "values": "label_value_length_limit",
                   "targets": "target_limit"}[name.partition("_")[0]]
        for active in targets_of(pair.ours, name):
            assert setting in active["lastError"], active


def targets_of(server, name):
    data = server.api("targets").json["data"]
    return [active for active in data["activeTargets"] if active["scrapePool"] == name]


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_good_and_bad(pair, name):
    scraped(pair, "answers")
    same(pair, f'up{{answer="{name}"}}', 1)
    same(pair, f'{{answer="{name}",__name__=~"scrape_samples_.*|scrape_series_added"}}', 3)
    is_up = list(view(pair.stock, f'up{{answer="{name}"}}').values()) == ["1"]
    if is_up:
        same(pair, f'{{answer="{name}",__name__!~"up|scrape_.*"}}',
             count=len(view(pair.stock, f'{{answer="{name}",__name__!~"up|scrape_.*"}}')))
    else:
        same(pair, f'{{answer="{name}",__name__!~"up|scrape_.*"}}', 0)
        error = [active["lastError"] for active in targets_of(pair.ours, "answers")
                 if active["labels"]["answer"] == name]
        assert error and error[0]


TARGET_KEYS = ("labels", "scrapePool", "scrapeUrl", "scrapeInterval",
               "scrapeTimeout", "health")


def test_api_targets(pair):
    def listed(server):
        data = server.api("targets").json["data"]
        # Debian's release spoils the discovered labels of targets that are relabelled.
        return sorted(json.dumps([active[key] for key in TARGET_KEYS] + [
            "target_" in active["scrapePool"] or active["scrapePool"] == "address" or
            active["discoveredLabels"]], sort_keys=True) for active in data["activeTargets"])
    peers.eventually(lambda: listed(pair.stock) and listed(pair.ours) == listed(pair.stock))
    dropped = [sorted(json.dumps(one["discoveredLabels"], sort_keys=True) for one in
                      server.api("targets", state="dropped").json["data"]["droppedTargets"]
                      if one["discoveredLabels"]["job"] != "target_chain")
               for server in pair.both]
    assert dropped[0] == dropped[1] and dropped[0]
    moved = targets_of(pair.ours, "address")[0]["discoveredLabels"]
    assert moved == {"__address__": "nowhere.invalid:1", "__metrics_path__": "/wrong",
                     "__scheme__": "http", "__scrape_interval__": "2s", "__scrape_timeout__": "2s",
                     "job": "address"}
    for active in pair.ours.api("targets", state="active").json["data"]["activeTargets"]:
        assert (active["health"] == "up") == (active["lastError"] == "")
        assert active["lastScrape"].endswith("Z") and active["lastScrapeDuration"] > 0


def test_api_metadata(pair):
    scraped(pair, "node")

    def known(server, **params):
        return {name: sorted(families, key=repr) for name, families in
                server.api("metadata", **params).json["data"].items()}
    # A page with broken metadata is read by one up to where it breaks, by the other not at all.
    whole = ("mix_total", "other", "b_seconds", "node_load1", "go_goroutines")
    for name in whole:
        peers.eventually(lambda metric=name: known(pair.ours, metric=metric) and
                         known(pair.ours, metric=metric) == known(pair.stock, metric=metric), what=name)
    assert len(known(pair.ours, limit=3)) == 3


def test_status_config_hides_secrets(pair):
    text = pair.ours.api("status/config").json["data"]["yaml"]
    assert "tok-en" not in text and "pass:word" not in text
    shown = {one["job_name"]: one for one in yaml.safe_load(text)["scrape_configs"]}
    assert shown["asking"]["basic_auth"] == {"username": "me", "password": "<secret>"}
    assert shown["bearing"]["authorization"]["credentials"] == "<secret>"
    stock = {one["job_name"]: one for one in
             yaml.safe_load(pair.stock.api("status/config").json["data"]["yaml"])["scrape_configs"]}
    assert shown.keys() == stock.keys()
    for name, settings in stock.items():
        for key in set(settings) & set(shown[name]):
            if key.endswith("relabel_configs"):  # Stock leaves out an empty replacement.
                shown[name][key] = [{k: v for k, v in rule.items() if v != ""}
                                    for rule in shown[name][key]]
            if key == "tls_config":  # Stock also shows what is off.
                settings[key] = {k: v for k, v in settings[key].items() if v}
            assert shown[name][key] == settings[key], (name, key)
