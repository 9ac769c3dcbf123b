"""A stock Prometheus and what Grafana asks, through mirrors; and mirrors of every kind of link."""
import collections
import gzip
import threading
import time
import urllib.request

import mesh
import peers
import pytest
from test_mirror import HUB, MirrorHub

EXPOSITION = """# TYPE demo_requests_total counter
demo_requests_total{code="200"} 100
demo_requests_total{code="500"} 7
# TYPE demo_temperature gauge
demo_temperature{room="attic"} 21.5
"""


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module", name="remote")
def start_remote(tmp_path_factory):
    """The cluster's own Prometheus."""
    with peers.Exporter(EXPOSITION) as target, peers.Prometheus(
            tmp_path_factory.mktemp("remote"),
            peers.scrape_config({"demo": [target.address]})) as prometheus:
        peers.eventually(lambda: prometheus.instant("demo_temperature"))
        yield prometheus


@pytest.fixture(name="hub")
def start_hub(tmp_path, trust):
    with MirrorHub(tmp_path / "hub", trust.leaf("hub", "hub", directory=tmp_path / "tls")) as hub:
        yield hub


def central(directory, discovery):
    """A Prometheus that federates from all that is discovered."""
    return peers.Prometheus(directory, f"""
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{'match[]': ['{{job="demo"}}']}}
    {discovery}
    relabel_configs:
      - source_labels: [__meta_atoll_state]
        target_label: mirror_state
""", name="central")


def federated(prometheus):
    found = prometheus.instant('demo_requests_total{code="500"}')
    return [item["metric"] for item in found if item["value"][1] == "7"]


@pytest.mark.parametrize("kind", ["file", pytest.param("http", marks=pytest.mark.long)])
def test_prometheus_discovers_mirrors_and_federates_through_them(
        tmp_path, trust, hub, remote, kind):
    discovery = (f"file_sd_configs: [{{files: ['{hub.file('prometheus.json')}']}}]"
                 if kind == "file" else
                 "http_sd_configs: [{refresh_interval: 1s, "
                 f"url: '{hub.url}/api/v1/atoll/mirrors/sd'}}]")
    with mesh.Gateway(tmp_path / "west", trust,
                      [mesh.export("prometheus", remote.url, [HUB])]) as west, \
            central(tmp_path / "central", discovery) as prometheus:
        assert federated(prometheus) == []
        hub.link(west)
        peers.eventually(lambda: federated(prometheus))
        metric = federated(prometheus)[0]
        assert metric["cluster"] == "west" and metric["export"] == "prometheus"
        assert metric["job"] == "demo" and metric["mirror_state"] == "ready"
        up = prometheus.instant('up{job="federate",cluster="west"}')
        assert [item["value"][1] for item in up] == ["1"]
        with mesh.Gateway(tmp_path / "east", trust,
                          [mesh.export("team-a", remote.url, [HUB])], cluster="east") as east:
            hub.link(east)
            peers.eventually(lambda: {item["cluster"] for item in federated(prometheus)}
                             == {"west", "east"})
        west.kill()
        peers.eventually(lambda: [item["value"][1] for item in prometheus.instant(
            'up{job="federate",cluster="west"}')] == ["0"], what="it is down, not gone")


def test_a_data_source_through_a_mirror_says_what_the_service_says(tmp_path, trust, hub, remote):
    with mesh.Gateway(tmp_path / "west", trust,
                      [mesh.export("prometheus", remote.url, [HUB])]) as west:
        hub.link(west)
        url = hub.mirror()
        at = time.time() - 1
        requests = [
            ("query", [("query", "sum by (code) (demo_requests_total)"), ("time", at)]),
            ("query_range", [("query", "demo_temperature"), ("start", at - 60), ("end", at),
                             ("step", "15")]),
            ("labels", [("match[]", "demo_temperature")]),
            ("series", [("match[]", "demo_temperature")]),
            ("query", [("query", "sum(")]),
        ]
        for path, form in requests:
            ours = peers.http(f"{url}/api/v1/{path}", data=form)
            theirs = peers.http(f"{remote.url}/api/v1/{path}", data=form)
            assert (ours.status, ours.json) == (theirs.status, theirs.json), path
        for path in ("label/room/values", "metadata", "rules", "alerts", "status/buildinfo"):
            ours = peers.http(f"{url}/api/v1/{path}")
            assert ours.status == 200 and ours.json == peers.http(f"{remote.url}/api/v1/{path}").json
        packed = peers.http(f"{url}/federate?match[]=%7B__name__%3D~%22.%2B%22%7D",
                            headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "demo_temperature" in gzip.decompress(packed.body).decode()
        assert peers.http(f"{url}/-/healthy", method="HEAD").status == 200


def test_a_cluster_that_dials_is_mirrored_too(tmp_path, trust, hub, remote):
    hub.dialling("north")
    with mesh.Gateway(tmp_path / "north", trust, [mesh.export("prometheus", remote.url, [HUB])],
                      cluster="north", hubs=[mesh.dialled(HUB, hub.links_port)]) as north:
        url = hub.mirror("north/prometheus")
        assert peers.http(f"{url}/api/v1/query?query=up").status == 200
        north.kill()
        peers.eventually(lambda: peers.http(f"{url}/api/v1/query?query=up").status == 503)
        north.start()
        peers.eventually(lambda: peers.http(f"{url}/api/v1/query?query=up").status == 200)


def test_no_request_fails_while_certificates_are_renewed(tmp_path, remote):
    trust = mesh.Trust(tmp_path / "trust")
    leaf = trust.leaf("hub", "hub", "--lifetime", "10s")
    with mesh.Gateway(tmp_path / "west", trust,
                      [mesh.export("prometheus", remote.url, [HUB])]) as west, \
            peers.Program(tmp_path, "keeper", [
                peers.atoll(), "trust", "keep", f"--issuer={trust.issuer('hub')}",
                "--lifetime=10s", leaf], ready=None), \
            MirrorHub(tmp_path / "hub", leaf) as hub:
        hub.link(west)
        url = hub.mirror()
        outcomes = collections.Counter()
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                outcomes[peers.http(f"{url}/api/v1/query?query=up").status] += 1

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        try:
            peers.eventually(lambda: hub.output().count("link renewed") >= 2, timeout=60)
        finally:
            stop.set()
            for thread in asking:
                thread.join()
        assert list(outcomes) == [200], outcomes
        assert "mirror not ready" not in hub.output()


def test_more_requests_than_the_link_takes_wait_for_their_turn(tmp_path, trust, hub):
    """A gateway by default lets 64 through at once, a link's mirrors send 32."""
    most, now, lock = [0], [0], threading.Lock()

    class Slow(mesh.OneSeries):
        def do_GET(self):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.05)
            with lock:
                now[0] -= 1
            super().do_GET()

    with mesh.serving(Slow) as service, mesh.Gateway(
            tmp_path / "west", trust, [mesh.export("prometheus", service, [HUB])]) as west:
        hub.link(west)
        url = hub.mirror()
        statuses = collections.Counter()

        def ask():
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"{url}/api/v1/query?query=up", timeout=60) as answer:
                statuses[answer.status] += 1

        asking = [threading.Thread(target=ask) for _ in range(100)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert statuses == {200: 100}, statuses
        assert most[0] <= 32
