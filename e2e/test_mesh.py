"""A real gateway in front of a real Prometheus: who gets in, and how far."""
import http.server
import json
import pathlib
import subprocess
import threading

import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
LARGE_BYTES = 300 * 1024 * 1024
LINE = b'{"metric":{"__name__":"up","instance":"10.0.0.%d:9090","job":"node"},"value":[1,"%d"]},\n'


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module", name="prometheus")
def start_prometheus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prometheus")
    port = peers.free_port()
    config = peers.scrape_config({"self": [f"{peers.HOST}:{port}"]})
    server = peers.Prometheus(directory, config)
    server.argv = [arg.replace(str(server.port), str(port))
                   if "listen-address" in arg else arg for arg in server.argv]
    server.port = port
    with server:
        peers.eventually(lambda: server.instant("up == 1"))
        yield server


@pytest.fixture(scope="module", name="gateway")
def start_gateway(tmp_path_factory, trust, prometheus):
    exports = [mesh.export("prometheus", prometheus.url, ["*.hub." + mesh.DOMAIN])]
    with mesh.Gateway(tmp_path_factory.mktemp("gateway"), trust, exports) as gateway:
        yield gateway


@pytest.fixture(scope="module", name="hub")
def make_hub_leaf(trust):
    return trust.leaf("hub", "hub")


def test_answers_are_the_services_own(gateway, prometheus, hub):
    for path in ("/api/v1/query?query=up&time=1", "/api/v1/labels", "/api/v1/label/job/values",
                 "/api/v1/series?match[]=up", "/api/v1/status/buildinfo", "/api/v1/metadata",
                 "/api/v1/query?query=sum(", "/-/healthy", "/-/ready",
                 "/api/v1/query_range?query=vector(1)&start=0&end=60&step=15"):
        direct = peers.http(prometheus.url + path)
        code, status, body = gateway.curl(hub, path)
        assert (code, status, body) == (0, direct.status, direct.text), path


def test_queries_may_be_posted(gateway, prometheus, hub):
    code, status, body = gateway.curl(hub, "/api/v1/query", "-d", "query=up&time=1")
    assert (code, status) == (0, 200)
    assert body == prometheus.api("query", form=[("query", "up"), ("time", "1")]).text


def test_answers_are_compressed_when_asked(gateway, prometheus, hub, tmp_path):
    path = "/api/v1/metadata"
    plain = peers.http(prometheus.url + path).body
    for encoding, tool in (("gzip", ["gzip", "-dc"]), ("zstd", ["zstd", "-dcq"])):
        target = tmp_path / encoding
        code, status, _ = gateway.curl(
            hub, path, "-H", f"Accept-Encoding: {encoding}", "-o", target)
        assert (code, status) == (0, 200)
        packed = target.read_bytes()
        assert len(packed) < len(plain) / 3
        if subprocess.run(["which", tool[0]], capture_output=True).returncode == 0:
            unpacked = subprocess.run(tool, input=packed, capture_output=True, check=True).stdout
            assert json.loads(unpacked) == json.loads(plain)


@pytest.mark.parametrize("method,path", [
    ("GET", "/api/v1/status/config"), ("GET", "/api/v1/status/flags"),
    ("GET", "/api/v1/status/tsdb"), ("POST", "/api/v1/admin/tsdb/snapshot"),
    ("POST", "/api/v1/admin/tsdb/delete_series?match[]=up"), ("POST", "/api/v1/write"),
    ("POST", "/-/reload"), ("PUT", "/-/reload"), ("POST", "/-/quit"), ("PUT", "/-/quit"),
    ("GET", "/debug/pprof/heap"), ("GET", "/metrics"), ("GET", "/graph"), ("GET", "/"),
    ("GET", "//api/v1/query?query=up"), ("GET", "/api/v1/./query?query=up"),
    ("GET", "/x/../api/v1/query?query=up"), ("GET", "/api/v1/%71uery?query=up"),
    ("GET", "/api/v1%2fquery?query=up"), ("GET", "/api/v1/query%2e?query=up"),
    ("GET", "/api/v1/query/../status/config"), ("GET", "/api/v1/label/../status/config/values"),
    ("GET", "/api/v1/label/%2e%2e/values"), ("GET", "/api/v1/query;/../status/config"),
])
def test_what_does_not_read_is_forbidden(gateway, hub, method, path):
    before = gateway.metric('atoll_gateway_denied_total{reason="path"}')
    code, status, body = gateway.curl(hub, path, "-X", method)
    assert (code, status) == (0, 403), body
    assert json.loads(body)["status"] == "error"
    assert gateway.metric('atoll_gateway_denied_total{reason="path"}') == before + 1


@pytest.mark.parametrize("method,path", [
    ("DELETE", "/api/v1/series?match[]=up"), ("PUT", "/api/v1/query"), ("POST", "/federate"),
    ("HEAD", "/api/v1/query?query=up"), ("OPTIONS", "/api/v1/query"), ("POST", "/-/healthy"),
])
def test_methods_that_do_not_fit_are_refused(gateway, hub, method, path):
    flags = ["-I"] if method == "HEAD" else ["-X", method]
    code, status, _ = gateway.curl(hub, path, *flags)
    assert (code, status) == (0, 405)


def test_an_absolute_target_is_refused(gateway, hub):
    code, status, _ = gateway.curl(hub, "", "--request-target", "http://x/api/v1/query?query=up")
    assert code == 92 or status in (400, 403), "the stream is reset, or the request refused"


@pytest.mark.parametrize("name", ["other", "Prometheus", "prometheus.", "localhost", "prometheus:9090"])
def test_only_exports_are_reachable(gateway, hub, name):
    code, status, body = gateway.curl(hub, "/api/v1/query?query=up", export_name=name)
    assert (code, status) == (0, 403), body


def test_only_identities_named_are_let_through(gateway, trust):
    before = gateway.metric('atoll_gateway_denied_total{reason="identity"}')
    code, status, body = gateway.curl(trust.leaf("hub", "north"), "/api/v1/query?query=up")
    assert (code, status) == (0, 403)
    assert "hub.atoll.serviceaccount.identity.linkerd.north.mesh.test" in json.loads(body)["error"]
    assert gateway.metric('atoll_gateway_denied_total{reason="identity"}') == before + 1


def assert_refused(gateway, reason, sentence, leaf, **options):
    name = f'atoll_gateway_refused_total{{reason="{reason}"}}'
    before = gateway.metric(name)
    code, status, body = gateway.curl(leaf, "/api/v1/query?query=up", **options)
    assert code != 0 and status == 0, body
    peers.eventually(lambda: gateway.metric(name) == before + 1, what=f"{name} counted")
    peers.eventually(lambda: any(
        f"reason={reason} " in line and sentence in line
        for line in gateway.output().splitlines()), what=f"{sentence} in the log")


def test_a_client_without_a_certificate_is_refused(gateway):
    assert_refused(gateway, "no_certificate", "sent no certificate", None)


def test_a_client_under_another_anchor_is_refused(gateway, tmp_path):
    stranger = mesh.Trust(tmp_path).leaf("hub", "hub")
    assert_refused(gateway, "wrong_anchor", "we trust", stranger, anchor=gateway.tls)


def test_an_expired_client_is_refused(gateway, trust, tmp_path):
    leaf = trust.leaf("brief", "hub", "--lifetime", "1s", directory=tmp_path / "brief")
    peers.eventually(lambda: subprocess.run(
        [peers.atoll(), "trust", "inspect", leaf], capture_output=True).returncode != 0)
    assert_refused(gateway, "expired", "certificate has expired", leaf)


def test_another_clusters_name_is_refused(gateway, trust):
    leaf = trust.forge("north", "DNS:" + HUB, "north-as-hub")
    assert_refused(gateway, "name_constraint", "permitted subtree violation", leaf)


@pytest.mark.parametrize("label,names,sentence", [
    ("two", f"DNS:{HUB},DNS:{mesh.identity('x', 'hub')}", "it has 2 DNS names"),
    ("uri", f"DNS:{HUB},URI:spiffe://hub.{mesh.DOMAIN}/ns/a/sa/b", "of type URI"),
    ("wild", f"DNS:*.atoll.serviceaccount.identity.linkerd.hub.{mesh.DOMAIN}", "has a wildcard"),
    ("plain", f"DNS:hub.{mesh.DOMAIN}", "is not of the form"),
    ("sub", f"DNS:a.b.serviceaccount.identity.linkerd.x.hub.{mesh.DOMAIN}", "belongs to trust domain"),
])
def test_names_that_constraints_let_through_are_refused(gateway, trust, label, names, sentence):
    assert_refused(gateway, "identity", sentence, trust.forge("hub", names, label))


def test_a_leaf_of_years_is_refused(gateway, trust):
    leaf = trust.forge("hub", "DNS:" + HUB, "years", days=3650)
    assert_refused(gateway, "identity", "at most 25 are allowed", leaf)


def test_a_leaf_for_servers_only_is_refused(gateway, trust):
    leaf = trust.forge("hub", "DNS:" + HUB, "server", usage="serverAuth")
    assert_refused(gateway, "certificate", "unsuitable certificate purpose", leaf)


def test_identity_headers_of_clients_do_not_get_through(tmp_path, trust, hub):
    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.update({key.lower(): value for key, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with serve(Handler) as url:
        exports = [mesh.export("prometheus", url, [HUB])]
        with mesh.Gateway(tmp_path, trust, exports) as gateway:
            flags = []
            for header in ("l5d-client-id: evil", "x-forwarded-client-cert: evil",
                           "forwarded: for=evil", "x-forwarded-for: evil", "x-scope-orgid: evil",
                           "authorization: evil", "cookie: evil", "l5d-dst-override: evil"):
                flags += ["-H", header]
            assert gateway.curl(hub, "/api/v1/query?query=up", *flags)[:2] == (0, 200)
            assert "evil" not in json.dumps(seen)
            assert seen["l5d-client-id"] == HUB
            assert seen["forwarded"] == (
                f"by={gateway.identity()};for={HUB};host=prometheus;proto=https")
            loop = gateway.curl(hub, "/api/v1/query?query=up", "-H",
                                f"atoll-via: {gateway.identity()}")
            assert loop[:2] == (0, 508)


class serve:
    """A server of the test's own as a context manager; gives its URL."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer((peers.HOST, 0), handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://{peers.HOST}:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Follower:
    """curl following the catalogue; lines as they come."""

    def __init__(self, gateway, leaf):
        self.process = subprocess.Popen(
            ["curl", "-sSN", "--http2", "--noproxy", "*", "-H", "Host: atoll",
             "--connect-to", f"::{peers.HOST}:{gateway.gateway_port}",
             "--cacert", gateway.tls / "ca.crt", "--cert", leaf / "tls.crt",
             "--key", leaf / "tls.key",
             f"https://{gateway.identity()}/atoll/v1/catalogue?watch=1"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def document(self):
        """The next one that is no heartbeat."""
        for line in self.process.stdout:
            document = json.loads(line)
            if "exports" in document:
                return [item["name"] for item in document["exports"]]
        raise AssertionError("the catalogue ended")


def test_exports_and_certificates_change_live(tmp_path, trust, prometheus, hub):
    one = mesh.export("prometheus", prometheus.url, [HUB])
    two = mesh.export("second", prometheus.url, [HUB])
    other = mesh.export("third", prometheus.url, ["*.elsewhere.test"])
    with mesh.Gateway(tmp_path, trust, [one]) as gateway, Follower(gateway, hub) as follower:
        assert follower.document() == ["prometheus"]
        gateway.publish([one, two, other])
        assert follower.document() == ["prometheus", "second"]
        assert gateway.curl(hub, "/-/ready", export_name="second")[:2] == (0, 200)

        before = gateway.serial()
        trust.leaf("gateway", "west", directory=gateway.tls)
        peers.eventually(lambda: gateway.serial() != before, what="the new certificate in use")

        gateway.publish([two])
        assert follower.document() == ["second"], "the connection from before goes on"
        assert gateway.curl(hub, "/-/ready")[1] == 403

        gateway.config.write_text("exports:\n  - nme: x\n")
        peers.eventually(lambda: "unknown key" in gateway.output())
        assert f'{gateway.config}: line 2: unknown key \\"nme\\"' in gateway.output()
        assert gateway.metric("atoll_gateway_config_last_reload_successful") == 0
        assert gateway.curl(hub, "/-/ready", export_name="second")[:2] == (0, 200)
        assert gateway.stop() == 0


def test_a_kept_certificate_never_expires(tmp_path, trust, prometheus, hub):
    with mesh.Gateway(tmp_path, trust, [mesh.export("prometheus", prometheus.url, [HUB])]) as gateway:
        trust.leaf("gateway", "west", "--lifetime", "3s", directory=gateway.tls)
        keeper = peers.Program(tmp_path, "keeper", [
            peers.atoll(), "trust", "keep", f"--issuer={trust.issuer('west')}", "--lifetime=3s",
            gateway.tls], ready=None)
        with keeper:
            seen = set()

            def several():
                assert gateway.curl(hub, "/-/ready")[:2] == (0, 200)
                seen.add(gateway.serial())
                return len(seen) >= 4

            peers.eventually(several, what="four certificates, each in time")
            assert keeper.stop() == 0


def test_a_service_that_is_down_is_a_502_with_a_sentence(tmp_path, trust, hub):
    url = f"http://{peers.HOST}:{peers.free_port()}"
    with mesh.Gateway(tmp_path, trust, [mesh.export("prometheus", url, [HUB])]) as gateway:
        code, status, body = gateway.curl(hub, "/api/v1/query?query=up")
        assert (code, status) == (0, 502)
        error = json.loads(body)
        assert error["errorType"] == "unavailable"
        assert error["error"].startswith(f'export "prometheus" at {url}: ')


def peak_bytes(program):
    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class LargeHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        block = b"".join(LINE % (i, i * 7919) for i in range(1000))
        try:
            for _ in range(LARGE_BYTES // len(block) + 1):
                self.wfile.write(block)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def test_a_large_answer_passes_in_constant_memory(tmp_path, trust, hub):
    with serve(LargeHandler) as url:
        exports = [mesh.export("prometheus", url, [HUB], response_bytes="1GB")]
        with mesh.Gateway(tmp_path, trust, exports) as gateway:
            assert gateway.curl(hub, "/-/ready", "-r", "0-0", "-o", "/dev/null")[0] == 0
            before = peak_bytes(gateway)
            code, status, size = gateway.curl(
                hub, "/api/v1/query?query=up", "-o", "/dev/null", "-w", "\n%{size_download}")
            assert code == 0 and int(status) >= LARGE_BYTES, size
            slow = gateway.curl(hub, "/api/v1/query?query=up", "-o", "/dev/null",
                                "--limit-rate", "2M", "--max-time", "3")
            assert slow[0] == 28
            grown = peak_bytes(gateway) - before
            print(f"{LARGE_BYTES >> 20} MiB passed, peak memory grew by {grown >> 10} KiB")
            assert grown < 32 * 1024 * 1024


def test_an_answer_over_the_limit_is_broken_off(tmp_path, trust, hub):
    with serve(LargeHandler) as url:
        exports = [mesh.export("prometheus", url, [HUB], response_bytes="1MB")]
        with mesh.Gateway(tmp_path, trust, exports) as gateway:
            code, _, _ = gateway.curl(hub, "/api/v1/query?query=up", "-o", "/dev/null")
            assert code == 92, "curl sees that the stream was not closed cleanly"
            assert "raise limits.response_bytes or ask for less" in gateway.output()


def test_mistakes_are_told_and_end_with_1(tmp_path, trust, prometheus):
    tls = trust.leaf("gateway", "west", directory=tmp_path / "tls")
    config = tmp_path / "gateway.yaml"
    config.write_text("exports: [{name: x}]\n")

    def run(*flags):
        return subprocess.run(
            [peers.atoll(), "gateway", f"--config.file={config}", f"--tls.directory={tls}",
             f"--web.listen-address={peers.HOST}:0", *flags],
            capture_output=True, text=True, timeout=20)

    done = run(f"--gateway.listen-address={peers.HOST}:0")
    assert done.returncode == 1 and 'gateway.yaml: line 1: export lacks "kind"' in done.stderr
    config.write_text("exports: []\n")
    taken = prometheus.url.removeprefix("http://")
    done = run(f"--gateway.listen-address={taken}")
    assert done.returncode == 1 and taken in done.stderr
    done = run(f"--tls.directory={tmp_path}")
    assert done.returncode == 1 and "tls.crt" in done.stderr
