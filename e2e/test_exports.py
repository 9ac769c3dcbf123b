"""Exports from a directory, and over the gateway's API: known to hubs at once, there after restarts."""
import json
import stat
import subprocess

import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
TOKEN = "a-token-of-more-than-16-bytes"


@pytest.fixture(scope="module", name="service")
def start_service():
    with mesh.serving(mesh.OneSeries) as url:
        yield url


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


class Gateway(mesh.Gateway):
    """A gateway with a directory of exports and a token for its API."""

    def __init__(self, directory, trust, exports):
        super().__init__(directory, trust, exports)
        self.exports = directory / "exports"
        self.exports.mkdir()
        self.token = directory / "token"
        self.token.write_text(TOKEN + "\n")
        self.argv += [f"--exports.directory={self.exports}", f"--exports.token-file={self.token}"]

    def write(self, name, text):
        temporary = self.exports / ".new"
        temporary.write_text(text)
        temporary.rename(self.exports / name)

    def call(self, method, name, body=None, token=TOKEN):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return peers.http(f"{self.url}/atoll/v1/exports{name and '/' + name}", method=method,
                          data=body, headers=headers)

    def list(self):
        answer = self.call("GET", "").json
        assert answer["status"] == "success"
        return {item["name"]: item["file"] for item in answer["exports"]}


def export(name, service, allow=(HUB,)):
    return json.dumps({"name": name, "kind": "prometheus", "url": service, "allow": list(allow)})


@pytest.fixture(name="gateway")
def start_gateway(tmp_path, trust, service):
    with Gateway(tmp_path / "west", trust,
                 [mesh.export("main", service, [HUB])]) as gateway:
        yield gateway


@pytest.fixture(name="leaf")
def make_leaf(tmp_path, trust):
    return trust.leaf("hub", "hub", directory=tmp_path / "hub-tls")


def status(gateway, leaf, name):
    return gateway.curl(leaf, "/api/v1/query?query=up", export_name=name)[1]


def test_a_file_is_an_export_and_a_broken_one_harms_no_other(gateway, leaf, service):
    assert status(gateway, leaf, "main") == 200 and status(gateway, leaf, "one") == 403
    gateway.write("one.yaml", export("one", service))
    peers.eventually(lambda: status(gateway, leaf, "one") == 200, timeout=2)
    gateway.write("two.yaml", "name: two\nkind: prometheus\n")
    gateway.write("three.yaml", export("main", service))
    fine = "atoll_gateway_export_files_successful"
    peers.eventually(lambda: gateway.metric(fine) == 0)
    peers.eventually(lambda: "two.yaml" in gateway.output() and
                     'export \\"main\\" is in the configuration already' in gateway.output())
    assert status(gateway, leaf, "one") == 200 and status(gateway, leaf, "two") == 403
    gateway.write("one.yaml", "name: [")
    peers.eventually(lambda: "what it was before counts" in gateway.output())
    assert status(gateway, leaf, "one") == 200
    gateway.publish([mesh.export("main", service, [HUB]), mesh.export("four", service, [HUB])])
    peers.eventually(lambda: status(gateway, leaf, "four") == 200)
    assert status(gateway, leaf, "one") == 200
    for name in ("one", "two", "three"):
        (gateway.exports / f"{name}.yaml").unlink()
    peers.eventually(lambda: status(gateway, leaf, "one") == 403)
    peers.eventually(lambda: gateway.metric(fine) == 1)
    assert status(gateway, leaf, "main") == 200


def test_put_is_in_use_when_answered_and_stays(gateway, leaf, service):
    answer = gateway.call("PUT", "fresh", export("fresh", service).encode())
    assert answer.status == 201, answer.text
    assert status(gateway, leaf, "fresh") == 200
    assert gateway.list() == {"fresh": "fresh.yaml", "main": ""}
    assert stat.S_IMODE((gateway.exports / "fresh.yaml").stat().st_mode) == 0o640
    gateway.kill()
    gateway.start()
    assert status(gateway, leaf, "fresh") == 200
    nobody = export("fresh", service, ["*.nobody.mesh.test"]).encode()
    assert gateway.call("PUT", "fresh", nobody).status == 200
    assert status(gateway, leaf, "fresh") == 403
    assert gateway.call("DELETE", "fresh").status == 200
    assert gateway.call("DELETE", "fresh").status == 404
    assert gateway.list() == {"main": ""} and list(gateway.exports.iterdir()) == []


def test_put_is_with_a_hub_in_under_two_seconds(tmp_path, gateway, leaf, service):
    with mesh.Hub(tmp_path / "hub", leaf) as hub:
        hub.link(gateway)
        peers.eventually(lambda: hub.answer() == (["west"], []))

        def names():
            clusters = peers.http(f"{hub.url}/api/v1/atoll/clusters").text
            return [name for name in ("main", "x-0", "x-1", "x-2") if f'"{name}"' in clusters]

        for at in range(3):
            gateway.call("PUT", f"x-{at}", export(f"x-{at}", service).encode())
            peers.eventually(lambda name=f"x-{at}": name in names(), timeout=2)


def test_nobody_without_the_token_is_let_in(gateway, service):
    body = export("evil", service).encode()
    for token in (None, "", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
        for method, name, data in (("PUT", "evil", body), ("DELETE", "evil", None),
                                   ("GET", "", None)):
            answer = gateway.call(method, name, data, token=token)
            assert answer.status == 401, (method, token)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    basic = peers.http(f"{gateway.url}/atoll/v1/exports", headers={"Authorization": f"Basic {TOKEN}"})
    assert basic.status == 401
    gateway.token.write_text("short\n")
    assert gateway.call("GET", "", token="short").status == 401
    gateway.token.write_text("another-token-of-the-operator\n")
    assert gateway.call("GET", "").status == 401
    assert gateway.call("GET", "", token="another-token-of-the-operator").status == 200
    gateway.token.unlink()
    assert gateway.call("GET", "", token="another-token-of-the-operator").status == 401
    assert list(gateway.exports.iterdir()) == []


@pytest.mark.parametrize("method, name, make, expected, sentence", [
    ("PUT", "other", lambda url: export("one", url), 400, 'the path says'),
    ("PUT", "one", lambda url: "name: one\n", 400, "line 1"),
    ("PUT", "one", lambda url: "", 400, ""),
    ("PUT", "one", lambda url: export("one", "file:///etc/passwd"), 400, "url"),
    ("PUT", "one", lambda url: export("one", url, ["*"]), 400, "identity"),
    ("PUT", "one", lambda url: export("one", url) + "#" * 70000, 400, "at most 65536"),
    ("PUT", "atoll", lambda url: export("atoll", url), 400, "atoll"),
    ("PUT", "..%2Fone", lambda url: export("one", url), 400, "lower-case"),
    ("PUT", "main", lambda url: export("main", url), 409, "the gateway's configuration"),
    ("PUT", "held", lambda url: export("held", url), 409, "held.yaml holds export"),
    ("DELETE", "main", lambda url: None, 409, "the gateway's configuration"),
    ("DELETE", "nothing", lambda url: None, 404, "no export of that name"),
    ("POST", "one", lambda url: export("one", url), 405, ""),
])
def test_what_cannot_be_is_refused_with_a_sentence(
        gateway, service, method, name, make, expected, sentence):
    gateway.write("held.yaml", export("person", service))
    peers.eventually(lambda: "person" in gateway.list())
    body = make(service)
    answer = gateway.call(method, name, body if body is None else body.encode())
    assert answer.status == expected and sentence in answer.text, answer.text
    assert gateway.list() == {"main": "", "person": "held.yaml"}
    assert [path.name for path in gateway.exports.iterdir()] == ["held.yaml"]


@pytest.mark.parametrize("flags, sentence", [
    (["--exports.directory=/nonexistent"], "does not exist"),
    (["--exports.token-file=/nonexistent"], "needs --exports.directory"),
    (["--exports.directory=.", "--exports.token-file=/nonexistent"], "does not exist"),
    (["--exports.directory=.", "--exports.token-file=gateway.yaml",
      "--web.listen-address=0.0.0.0:0"], "loopback"),
])
def test_flags_that_cannot_be_are_refused(tmp_path, trust, service, flags, sentence):
    gateway = mesh.Gateway(tmp_path / "west", trust, [mesh.export("main", service, [HUB])])
    done = subprocess.run([*gateway.argv, *flags], capture_output=True, text=True, timeout=30,
                          cwd=gateway.directory)
    assert done.returncode == 1 and sentence in done.stderr, done.stderr
