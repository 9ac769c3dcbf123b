"""Mirrors: exports of clusters as listeners of the hub's machine, and the files that tell of them."""
import http.client
import json
import os
import pathlib
import pwd
import random
import re
import socket
import stat
import subprocess
import threading

import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")


@pytest.fixture(scope="module", name="service")
def start_service():
    with mesh.serving(mesh.OneSeries) as url:
        yield url


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


class MirrorHub(mesh.Hub):
    """A hub with mirrors."""

    def __init__(self, directory, leaf, *flags, listen="tcp", ports=None):
        super().__init__(directory, leaf)
        self.mirrors = pathlib.Path(directory) / "mirrors"
        first = random.randrange(20000, 32000)
        self.argv += [f"--mirror.listen={listen}", f"--mirror.directory={self.mirrors}",
                      f"--mirror.port-range={ports or f'{first}-{first + 49}'}", *flags]

    def file(self, name):
        return self.mirrors / name

    def groups(self):
        """file_sd, as labels by target."""
        return {group["targets"][0]: group["labels"]
                for group in json.loads(self.file("prometheus.json").read_text())}

    def status(self):
        """What the hub says, by "cluster/export"."""
        answer = peers.http(f"{self.url}/api/v1/atoll/mirrors").json
        assert answer["status"] == "success"
        return {f"{item['cluster']}/{item['export']}": item for item in answer["data"]["mirrors"]}

    def state(self, name):
        return self.status().get(name, {}).get("state")

    def mirror(self, name="west/prometheus"):
        """Waits until a mirror is ready and the files say so; its URL."""
        peers.eventually(lambda: self.state(name) == "ready", what=f"{name} ready")
        address = self.status()[name]["address"]
        peers.eventually(lambda: self.groups()[address]["__meta_atoll_state"] == "ready")
        return f"http://{address}"


@pytest.fixture(name="leaf")
def make_leaf(tmp_path, trust):
    return trust.leaf("hub", "hub", directory=tmp_path / "hub-tls")


@pytest.fixture(name="hub")
def start_hub(tmp_path, leaf):
    with MirrorHub(tmp_path / "hub", leaf) as hub:
        yield hub


@pytest.fixture(name="gateway")
def start_gateway(tmp_path, trust, service):
    with mesh.Gateway(tmp_path / "west", trust,
                      [mesh.export("prometheus", service, [HUB])]) as gateway:
        yield gateway


def test_an_export_is_a_port_and_stands_in_the_files(hub, gateway):
    hub.link(gateway)
    url = hub.mirror()
    answer = peers.http(f"{url}/api/v1/query?query=up")
    assert answer.status == 200 and answer.json["status"] == "success"
    assert peers.http(f"{url}/api/v1/query", data=[("query", "up")]).json["status"] == "success"
    target = url.removeprefix("http://")
    peers.eventually(lambda: hub.groups()[target]["__meta_atoll_state"] == "ready")
    labels = hub.groups()[target]
    assert labels["cluster"] == "west" and labels["export"] == "prometheus"
    assert labels["__meta_atoll_identity"] == gateway.identity()
    sd = peers.http(f"{hub.url}/api/v1/atoll/mirrors/sd")
    assert sd.headers["Content-Type"] == "application/json"
    assert sd.json == [{"targets": [target], "labels": labels}]
    grafana = hub.file("grafana.yaml").read_text()
    assert 'uid: "atoll_west_prometheus"' in grafana and url in grafana
    assert stat.S_IMODE(hub.file("prometheus.json").stat().st_mode) == 0o644
    peers.eventually(lambda: hub.metric(
        'atoll_mirror_requests_total{cluster="west",export="prometheus",code="200"}') == 2)
    assert hub.metric('atoll_mirror_ready{cluster="west",export="prometheus"}') == 1
    assert hub.metric('atoll_mirrors{state="ready"}') == 1


def test_what_the_gateway_refuses_is_refused_through_a_mirror(hub, gateway):
    hub.link(gateway)
    url = hub.mirror()
    answer = peers.http(f"{url}/api/v1/admin/tsdb/snapshot", data=b"")
    assert answer.status == 403 and answer.headers["atoll-gateway-error"] == "denied"
    assert "reading" in answer.json["error"] or "path" in answer.json["error"], answer.text


def test_a_new_export_is_there_in_under_two_seconds(hub, gateway, service):
    hub.link(gateway)
    hub.mirror()
    for at in range(3):
        names = [mesh.export("prometheus", service, [HUB])]
        names += [mesh.export(f"new-{index}", service, [HUB]) for index in range(at + 1)]
        gateway.publish(names)

        def visible(name=f"new-{at}"):
            targets = [target for target, labels in hub.groups().items()
                       if labels["export"] == name and labels["__meta_atoll_state"] == "ready"]
            return targets and peers.http(
                f"http://{targets[0]}/api/v1/query?query=up").json["status"] == "success"

        peers.eventually(visible, timeout=2)


def test_ports_stay_over_restarts_and_removals(hub, gateway, service):
    hub.link(gateway)
    first = hub.mirror()
    both = [mesh.export("prometheus", service, [HUB]), mesh.export("second", service, [HUB])]
    gateway.publish(both)
    second = hub.mirror("west/second")
    hub.kill()
    hub.start()
    assert hub.mirror() == first and hub.mirror("west/second") == second
    gateway.publish(both[:1])
    peers.eventually(lambda: hub.state("west/second") == "removed")
    with pytest.raises(OSError):
        peers.http(f"{second}/-/healthy")
    peers.eventually(lambda: "west/second" in
                     hub.file("grafana.yaml").read_text().partition("\ndatasources:")[0],
                     what="its data source is to be deleted")
    assert hub.stop() == 0
    hub.start()
    gateway.publish(both)
    assert hub.mirror("west/second") == second


def test_a_link_that_is_gone_takes_its_mirrors_along(tmp_path, trust, service, leaf, gateway):
    with MirrorHub(tmp_path / "brief", leaf, "--mirror.port-grace=1s") as hub:
        hub.link(gateway)
        url = hub.mirror()
        (hub.links / "west.yaml").unlink()
        peers.eventually(lambda: hub.groups() == {})
        with pytest.raises(OSError):
            peers.http(f"{url}/-/healthy")
        assert "atoll_mirror_ready{" not in peers.http(f"{hub.url}/metrics").text
        peers.eventually(lambda: hub.status() == {}, what="the port is given up")
        peers.eventually(lambda: json.loads(hub.file("state.json").read_text())["mirrors"] == [])


def test_a_dead_link_explains_itself_and_grows_stale(tmp_path, leaf, gateway):
    with MirrorHub(tmp_path / "strict", leaf, "--mirror.max-stale=3s") as hub:
        hub.link(gateway)
        url = hub.mirror()
        target = url.removeprefix("http://")
        gateway.kill()

        def refused(word, sentence):
            answer = peers.http(f"{url}/api/v1/query?query=up")
            return (answer.status == 503 and answer.headers["atoll-mirror-error"] == word
                    and sentence in answer.json["error"])

        peers.eventually(lambda: refused("link", "link to west is down"))
        peers.eventually(lambda: hub.state("west/prometheus") == "stale")
        assert refused("stale", "more than --mirror.max-stale allows (3 s)")
        assert hub.status()["west/prometheus"]["reason"].startswith("the catalogue of cluster west")
        peers.eventually(lambda: hub.groups()[target]["__meta_atoll_state"] == "stale")
        assert hub.metric('atoll_mirror_ready{cluster="west",export="prometheus"}') == 0
        hub.kill()
        hub.start()
        assert hub.status()["west/prometheus"]["address"] == target, "known before any catalogue"
        assert refused("stale", "no catalogue of cluster west has come since the start")
        gateway.start()
        assert hub.mirror() == url
        assert peers.http(f"{url}/api/v1/query?query=up").status == 200


def test_a_port_that_another_program_has_is_said_and_taken_when_free(hub, gateway):
    hub.link(gateway)
    url = hub.mirror()
    port = int(url.rpartition(":")[2])
    hub.kill()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((peers.HOST, port))
        other.listen()
        hub.start()
        peers.eventually(lambda: hub.state("west/prometheus") == "failed")
        assert f"its port {port}" in hub.status()["west/prometheus"]["reason"]
    assert hub.mirror() == url


def test_sockets_have_the_mode_that_is_asked_for(tmp_path, leaf, gateway):
    with MirrorHub(tmp_path / "unix", leaf, "--mirror.socket-mode=0660", listen="unix") as hub:
        hub.link(gateway)
        peers.eventually(lambda: hub.state("west/prometheus") == "ready")
        path = pathlib.Path(hub.status()["west/prometheus"]["path"])
        assert path == hub.mirrors / "sockets" / "west.prometheus"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        done = subprocess.run(["curl", "-sS", "--unix-socket", path, "http://any/api/v1/query?query=up"],
                              capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["status"] == "success"
        assert hub.groups() == {}
        (hub.links / "west.yaml").unlink()
        peers.eventually(lambda: not path.exists())


def test_pages_of_others_do_not_get_in(hub, gateway):
    hub.link(gateway)
    url = hub.mirror()
    port = url.rpartition(":")[2]
    for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{port}"},
                    {"Host": f"127.0.0.1.evil.example:{port}"},
                    {"Origin": "https://evil.example"}, {"Origin": "null"},
                    {"Origin": "http://127.0.0.1:1"}):
        answer = peers.http(f"{url}/api/v1/query?query=up", headers=headers)
        assert answer.status == 403 and answer.headers["atoll-mirror-error"] == "origin", headers
    for headers in ({"Host": f"localhost:{port}"}, {"Origin": url}):
        assert peers.http(f"{url}/api/v1/query?query=up", headers=headers).status == 200


def test_what_is_too_long_for_the_link_is_refused_and_harms_nothing(hub, gateway):
    """HTTP/1.1 takes 64 KiB of header here, and HTTP/2 counts otherwise."""
    hub.link(gateway)
    url = hub.mirror()
    host, _, port = url.removeprefix("http://").partition(":")
    statuses = set()
    for size in [*range(65100, 65600, 20), 70000]:
        client = http.client.HTTPConnection(host, int(port), timeout=60)
        client.putrequest("GET", "/api/v1/query?query=up#".replace("#", "&x=") + "a" * (size - 60),
                          skip_accept_encoding=True)
        client.endheaders()
        statuses.add(client.getresponse().status)
        client.close()
    # 414 is the service's own.
    assert 431 in statuses and statuses <= {200, 414, 431, 502, 503}, statuses
    assert peers.http(f"{url}/api/v1/query?query=up").status == 200
    flying = 'atoll_mirror_requests_in_flight{cluster="west",export="prometheus"}'
    assert hub.metric(flying) == 0
    assert hub.stop() == 0


class Large(mesh.OneSeries):
    """Answers /federate with many bytes, /api/v1/labels not at all until it may."""
    size = 64 * 1024 * 1024
    asked = threading.Event()
    release = threading.Event()

    def do_GET(self):
        if self.path.startswith("/federate"):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(self.size))
            self.end_headers()
            block = random.Random(1).randbytes(1024 * 1024)
            for _ in range(self.size // len(block)):
                self.wfile.write(block)
        elif self.path.startswith("/api/v1/labels"):
            self.asked.set()
            self.release.wait(60)
            self.answer("")
        else:
            super().do_GET()


def resident_bytes(program):
    text = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def test_a_large_answer_passes_in_bounded_memory_and_waits_for_its_reader(
        tmp_path, trust, leaf, monkeypatch):
    # The address sanitizer would keep what was freed.
    options = os.environ.get("ASAN_OPTIONS", "")
    monkeypatch.setenv("ASAN_OPTIONS", f"{options}:quarantine_size_mb=1".lstrip(":"))
    with mesh.serving(Large) as url, mesh.Gateway(
            tmp_path / "west", trust, [mesh.export("prometheus", url, [HUB])]) as gateway, \
            MirrorHub(tmp_path / "hub", leaf) as hub:
        hub.link(gateway)
        host, _, port = hub.mirror().removeprefix("http://").partition(":")
        before = resident_bytes(hub)
        received = 'atoll_mirror_response_bytes_total{cluster="west",export="prometheus"}'
        client = http.client.HTTPConnection(host, int(port), timeout=60)
        client.request("GET", "/federate")
        answer = client.getresponse()
        last = [-1.0]

        def stands_still():
            now, before_that = hub.metric(received), last[0]
            last[0] = now
            return now > 0 and now == before_that

        peers.eventually(stands_still, every=0.5, what="the answer waits for its reader")
        assert last[0] < Large.size / 2, "no more than queues and the kernel hold"
        total = 0
        while block := answer.read(1024 * 1024):
            total += len(block)
        client.close()
        assert total == Large.size
        assert resident_bytes(hub) - before < 40 * 1024 * 1024


def test_a_client_that_leaves_ends_its_request_and_a_cut_link_breaks_answers_off(
        tmp_path, trust, hub):
    with mesh.serving(Large) as url, mesh.Gateway(
            tmp_path / "west", trust, [mesh.export("prometheus", url, [HUB])]) as gateway:
        hub.link(gateway)
        host, _, port = hub.mirror().removeprefix("http://").partition(":")
        flying = 'atoll_mirror_requests_in_flight{cluster="west",export="prometheus"}'
        client = http.client.HTTPConnection(host, int(port), timeout=60)
        client.request("GET", "/api/v1/labels")
        peers.eventually(lambda: hub.metric(flying) == 1)
        client.close()
        peers.eventually(lambda: hub.metric(flying) == 0)
        aborted = 'atoll_mirror_requests_total{cluster="west",export="prometheus",code="aborted"}'
        assert hub.metric(aborted) == 1
        client = http.client.HTTPConnection(host, int(port), timeout=60)
        client.request("GET", "/federate")
        answer = client.getresponse()
        gateway.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while answer.read(1024 * 1024):
                pass
        Large.release.set()
        gateway.start()
        peers.eventually(lambda: peers.http(
            f"http://{host}:{port}/api/v1/query?query=up").status == 200)


def test_one_cluster_does_not_take_all_ports(tmp_path, leaf, gateway, service):
    with MirrorHub(tmp_path / "few", leaf, "--mirror.max-per-cluster=2") as hub:
        hub.link(gateway)
        hub.mirror()
        gateway.publish([mesh.export(name, service, [HUB]) for name in ("a", "b", "prometheus")])
        hub.mirror("west/a")
        assert sorted(hub.status()) == ["west/a", "west/prometheus"]
        assert "raise --mirror.max-per-cluster" in hub.output()


def test_a_second_hub_does_not_take_the_same_directory(tmp_path, hub, leaf):
    other = mesh.Hub(tmp_path / "other", leaf)
    done = subprocess.run([*other.argv, "--mirror.listen=tcp", f"--mirror.directory={hub.mirrors}"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "--mirror.directory" in done.stderr, done.stderr


@pytest.mark.parametrize("flag, sentence", [
    ("--mirror.listen=udp", "none of off, tcp, unix"),
    ("--mirror.port-range=9", "not like 19500-19999"),
    ("--mirror.port-range=20-10", "not like 19500-19999"),
    ("--mirror.port-range=1-70000", "not like 19500-19999"),
    ("--mirror.socket-mode=888", "not like 0660"),
    ("--mirror.socket-owner=no-such-user-here", 'no user "no-such-user-here"'),
    ("--mirror.socket-owner=:no-such-group-here", 'no group "no-such-group-here"'),
    ("--mirror.max-stale=0s", "more than 0"),
])
def test_flags_that_mean_nothing_are_refused(tmp_path, leaf, flag, sentence):
    hub = mesh.Hub(tmp_path / "hub", leaf)
    done = subprocess.run([*hub.argv, flag], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and sentence in done.stderr, done.stderr


def test_mirrors_need_no_hub(tmp_path, leaf, gateway):
    hub = MirrorHub(tmp_path / "alone", leaf)
    hub.argv[1] = "mirror"
    with hub:
        hub.link(gateway)
        url = hub.mirror()
        assert peers.http(f"{url}/api/v1/query?query=up").json["status"] == "success"
        assert peers.http(f"{hub.url}/api/v1/atoll/mirrors/sd").json == [
            {"targets": [url.removeprefix("http://")], "labels": hub.groups()[url[7:]]}]
        assert hub.metric('atoll_mirrors{state="ready"}') == 1
        assert hub.stop() == 0
    done = subprocess.run([*hub.argv, "--mirror.listen=off"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "nothing to do" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives sockets away")
def test_sockets_have_the_owner_that_is_asked_for(tmp_path, leaf, gateway):
    with MirrorHub(tmp_path / "owned", leaf, "--mirror.socket-owner=nobody:4711", listen="unix") as hub:
        hub.link(gateway)
        peers.eventually(lambda: hub.state("west/prometheus") == "ready")
        info = pathlib.Path(hub.status()["west/prometheus"]["path"]).stat()
        assert (pwd.getpwuid(info.st_uid).pw_name, info.st_gid) == ("nobody", 4711)
        assert stat.S_IMODE(info.st_mode) == 0o600


def test_a_broken_state_is_not_guessed_at(tmp_path, leaf):
    hub = MirrorHub(tmp_path / "hub", leaf)
    hub.mirrors.mkdir()
    hub.file("state.json").write_text("{")
    done = subprocess.run(hub.argv, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "state.json" in done.stderr, done.stderr
