"""Links from bundles, and each way in which one fails, in the words that users get."""
import hashlib
import json
import re
import socket
import subprocess
import threading

import mesh
import peers
import pytest


@pytest.fixture(name="trust")
def make_trust(tmp_path):
    return mesh.Trust(tmp_path / "trust")


@pytest.fixture(name="service", scope="module")
def make_service():
    class Ready(mesh.OneSeries):
        def do_GET(self):
            self.send(b"ready\n", "text/plain")
    with mesh.serving(Ready) as url:
        yield url


def run(*argv, code=0):
    """Runs a command that must end so; returns what it said, on both streams."""
    done = subprocess.run([peers.atoll(), *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Linked:
    """A gateway, and a hub's side that is not linked with it yet."""

    def __init__(self, tmp_path, trust, service, allow=("*.hub." + mesh.DOMAIN,)):
        self.path = tmp_path
        self.trust = trust
        self.gateway = mesh.Gateway(
            tmp_path / "west", trust, [mesh.export("prometheus", service, list(allow))])
        self.links = tmp_path / "links"
        self.links.mkdir()
        self.tls = trust.leaf("hub", "hub")
        self.bundle = tmp_path / "west.link"

    def create(self, *flags, code=0):
        return run("link", "create", f"--tls.directory={self.gateway.tls}", f"--file={self.bundle}",
                   f"--address={peers.HOST}:{self.gateway.gateway_port}", *flags, code=code)

    def add(self, *flags, code=0, tls=None):
        return run("link", "add", f"--links.directory={self.links}",
                   f"--tls.directory={tls or self.tls}", self.bundle, *flags, code=code)

    def check(self, *flags, code=0, tls=None):
        return run("link", "check", f"--links.directory={self.links}",
                   f"--tls.directory={tls or self.tls}", *flags, code=code)

    def write(self, cluster="west", identity=None, address=None):
        """A link file by hand."""
        (self.links / f"{cluster}.yaml").write_text(
            f"cluster: {cluster}\nidentity: {identity or self.gateway.identity()}\n"
            f"addresses: ['{address or f'{peers.HOST}:{self.gateway.gateway_port}'}']\n")


@pytest.fixture(name="linked")
def make_linked(tmp_path, trust, service):
    linked = Linked(tmp_path, trust, service)
    with linked.gateway:
        yield linked


def anchors(directory):
    lines = mesh.atoll("trust", "bundle", directory).splitlines()
    return [line.split()[0] for line in lines[1:]]


def other_mesh(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return mesh.Trust(tmp_path / "elsewhere" / "trust")


def test_a_bundle_links_two_sides_of_one_mesh_without_anything_else(linked):
    said = linked.create()
    assert hashlib.sha256(linked.bundle.read_bytes()).hexdigest() in said
    assert linked.bundle.stat().st_mode & 0o777 == 0o600
    assert "believed by an anchor that was believed before" in linked.add()
    text = linked.check()
    for line in ("its name is found (DNS)", "both sides believe each other's trust anchor",
                 "it sends its catalogue", "export prometheus (prometheus) answers",
                 "both sides believe the same anchors", "Status check results are √"):
        assert line in text
    answer = json.loads(linked.check("-o", "json"))
    assert answer["success"] and {item["state"] for item in answer["checks"]} == {"ok"}
    shown = json.loads(run("link", "list", f"--links.directory={linked.links}", "-o", "json"))
    assert [link["cluster"] for link in shown] == ["west"]


def test_a_bundle_counts_once(linked):
    linked.create()
    linked.add()
    run("link", "remove", f"--links.directory={linked.links}", "west")
    assert not (linked.links / "west.yaml").exists()
    assert "was used here already, and counts once" in linked.add(code=1)
    assert not (linked.links / "west.yaml").exists()


def test_two_at_once_with_one_bundle_one_wins(linked):
    linked.create()
    codes = []

    def add():
        codes.append(subprocess.run(
            [peers.atoll(), "link", "add", f"--links.directory={linked.links}", "--replace",
             f"--tls.directory={linked.tls}", linked.bundle], capture_output=True,
            check=False).returncode)
    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0, 1, 1, 1]


def test_a_bundle_ends(linked):
    linked.create("--lifetime=1s")
    peers.eventually(lambda: "link bundle: it ended at" in linked.add(code=1), timeout=10)
    said = linked.create("--lifetime=2d", code=2)
    assert "a bundle ends with the certificate that signs it" in said


@pytest.mark.parametrize("old, new", [
    (r"address \S+", "address evil.example:4143"),
    (r"cluster \S+", "cluster east"),
    (r"expires \S+", "expires 4000000000000"),
    (r"id \S+", "id " + "0" * 32),
])
def test_a_bundle_that_was_changed_is_noticed(linked, old, new):
    linked.create()
    text = linked.bundle.read_text()
    changed = re.sub(f"^{old}$", new, text, count=1, flags=re.MULTILINE)
    assert changed != text
    linked.bundle.write_text(changed)
    assert "its signature does not fit: it was changed after it was signed" in linked.add(code=1)
    assert list(linked.links.glob("*.yaml")) == []


def test_a_bundle_of_another_mesh_needs_its_digest_and_our_word(linked, tmp_path):
    stranger = other_mesh(tmp_path)
    tls = stranger.leaf("hub", "hub")
    linked.create()
    said = linked.add(code=1, tls=tls)
    assert anchors(linked.gateway.tls)[0] in said and anchors(tls)[0] in said
    assert "give that as --digest, with --trust" in said
    assert "and not what --digest says" in linked.add("--digest=" + "0" * 64, "--trust", code=1, tls=tls)
    digest = hashlib.sha256(linked.bundle.read_bytes()).hexdigest()
    assert "with --trust to believe" in linked.add(f"--digest={digest}", code=1, tls=tls)
    assert anchors(linked.gateway.tls)[0] in linked.add(f"--digest={digest}", "--trust", tls=tls)
    assert sorted(anchors(tls)) == sorted(anchors(linked.gateway.tls) + anchors(stranger.anchor))
    # The gateway does not believe us yet, and that is what is said.
    text = linked.check(code=1, tls=tls)
    assert "The other side does not believe the trust anchor" in text and anchors(stranger.anchor)[0] in text


def test_a_gateway_of_another_anchor_is_told_with_both_digests(linked, tmp_path):
    tls = other_mesh(tmp_path).leaf("hub", "hub")
    linked.write()
    text = linked.check(code=1, tls=tls)
    assert "× " in text and "both sides believe each other's trust anchor: certificate of issuer" in text
    assert "; it is signed by" in text and "we trust" in text
    assert "descends from a trust anchor that is not believed here" in text
    assert anchors(tls)[0] in text


def test_each_failure_has_its_sentence(linked, tmp_path):
    cases = {
        "dns": (f"nowhere.invalid:{linked.gateway.gateway_port}", "cannot be resolved on this machine"),
        "refused": (f"{peers.HOST}:{peers.free_port()}", "nothing listens on that port"),
    }
    for address, sentence in cases.values():
        linked.write(address=address)
        assert sentence in linked.check(code=1)
    linked.write(identity=mesh.identity("other", "west"))
    text = linked.check(code=1)
    assert f'peer is "{linked.gateway.identity()}", expected' in text and "is somebody else's" in text
    linked.write()
    text = linked.check("--export=secret", code=1)
    assert '"secret" is not exported to us' in text and 'under its "allow"' in text
    assert "no link file names" in linked.check("east", code=1)


def test_what_speaks_no_tls_and_what_says_nothing(linked):
    with socket.create_server((peers.HOST, 0)) as silent:
        def answer():
            for greeting in (b"SSH-2.0-other\r\n", b""):
                connection, _ = silent.accept()
                connection.recv(1)
                connection.sendall(greeting)
                connection.close()
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        linked.write(address=f"{peers.HOST}:{silent.getsockname()[1]}")
        assert "does not speak TLS 1.3 with our protocol" in linked.check(code=1)
        assert "it speaks TLS 1.3 and our protocol: " in linked.check(code=1)


def test_an_expired_certificate_is_told(linked, trust):
    linked.write()
    # The gateway shows a certificate that ends while it runs.
    trust.leaf("gateway", "west", "--lifetime=3s", directory=linked.gateway.tls)

    def ended():
        text = any_check(linked)
        return text if "certificate has expired" in text else None
    text = peers.eventually(ended)
    assert "it is valid from" in text and "our clock says" in text
    assert "A certificate has expired: renew it" in text


def any_check(linked):
    """However it ends."""
    done = subprocess.run(
        [peers.atoll(), "link", "check", f"--links.directory={linked.links}",
         f"--tls.directory={linked.tls}"], capture_output=True, text=True, check=False)
    return done.stdout


def test_a_denied_gateway_is_told(linked, trust):
    linked.write()
    mesh.atoll("trust", "revoke", "--signer", trust.issuer("west"), "--directory",
               linked.tls / "denied", "--identity", linked.gateway.identity())
    text = linked.check(code=1)
    assert "is revoked" in text and "on a deny-list" in text


def test_a_service_that_is_down_is_told(tmp_path, trust):
    linked = Linked(tmp_path, trust, f"http://{peers.HOST}:{peers.free_port()}")
    with linked.gateway:
        linked.write()
        text = linked.check(code=1)
        assert "export prometheus: its service behind the gateway answers 502" in text


def test_a_hub_records_what_failed_and_explains_it(linked, tmp_path):
    closed = peers.free_port()
    with mesh.Hub(tmp_path / "hub", linked.tls) as hub:
        (hub.links / "west.yaml").write_text(
            f"cluster: west\nidentity: {linked.gateway.identity()}\n"
            f"addresses: ['{peers.HOST}:{closed}']\n")

        def explained():
            done = subprocess.run([peers.atoll(), "link", "explain", f"--hub={hub.url}", "west"],
                                  capture_output=True, text=True, check=False)
            return done.stdout if "nothing listens on that port" in done.stdout else None
        text = peers.eventually(explained)
        assert "link west is down" in text and "connect (refused)" in text
        assert anchors(linked.tls)[0] in text
        hub.link(linked.gateway)
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="west"}') == 1)
        assert abs(hub.metric('atoll_link_clock_skew_seconds{cluster="west"}')) < 1
        assert "link west is up" in run("link", "explain", f"--hub={hub.url}", hub.links / "west.yaml")
        table = run("link", "list", f"--hub={hub.url}")
        assert re.search(r"^west +up +hub +127.0.0.1", table, re.MULTILINE)
        assert "the hub's link is up" in run(
            "link", "check", f"--links.directory={hub.links}", f"--tls.directory={linked.tls}",
            f"--hub={hub.url}")
        linked.gateway.stop()
        answer = peers.eventually(lambda: [
            failure for link in peers.http(f"{hub.url}/atoll/v1/links").json["data"]["links"]
            for failure in link["failures"] if failure["stage"] in ("session", "connect")])
        assert answer[0]["advice"] and answer[0]["count"] >= 1
        run("link", "remove", f"--links.directory={hub.links}", "west")
        peers.eventually(lambda: not peers.http(f"{hub.url}/atoll/v1/links").json["data"]["links"])
        assert "has no link to" in run("link", "explain", f"--hub={hub.url}", "west", code=1)


def test_a_gateway_records_whom_it_refused(linked, tmp_path):
    tls = other_mesh(tmp_path).leaf("hub", "hub")
    linked.gateway.curl(tls, "/-/ready", anchor=linked.gateway.tls)
    linked.gateway.curl(None, "/-/ready")
    refusals = peers.eventually(lambda: (found := peers.http(
        f"{linked.gateway.url}/atoll/v1/refusals").json["data"]["refusals"]) and len(found) == 2
        and found)
    assert {refusal["reason"] for refusal in refusals} == {"wrong_anchor", "no_certificate"}
    assert {refusal["address"] for refusal in refusals} == {peers.HOST}
    status = peers.http(f"{linked.gateway.url}/atoll/v1/status").json["data"]
    assert status["identity"] == linked.gateway.identity()
    assert [export["name"] for export in status["exports"]] == ["prometheus"]


def test_commands_are_used_wrongly_with_exit_code_2(linked):
    assert "--address is missing" in run("link", "create", "--file=x", code=2)
    assert "--file is missing" in run("link", "create", "--address=a:1", code=2)
    assert "name the one link bundle" in run("link", "add", code=2)
    assert "neither table nor json" in linked.check("-o", "xml", code=2)
    assert "is not like host:4143" in linked.create("--address=nonsense", code=2)


def test_a_hub_makes_a_bundle_and_the_gateway_dials_it(tmp_path, trust, service):
    hub_tls = trust.leaf("hub", "hub")
    hubs = tmp_path / "hubs"
    hubs.mkdir()
    gateway = mesh.Gateway(tmp_path / "west", trust,
                           [mesh.export("prometheus", service, ["*.hub." + mesh.DOMAIN])])
    gateway.argv.append(f"--hubs.directory={hubs}")
    bundle = tmp_path / "hub.link"
    with mesh.Hub(tmp_path / "hub", hub_tls) as hub, gateway:
        said = run("link", "create", f"--tls.directory={hub_tls}", "--cluster=west",
                   f"--dialled-by={gateway.identity()}", f"--links.directory={hub.links}",
                   f"--address={peers.HOST}:{hub.links_port}", f"--file={bundle}")
        assert "own link file" in said
        add = ("link", "add", f"--hubs.directory={hubs}", bundle)
        other = trust.leaf("other", "west")
        assert "expects" in run(*add, f"--tls.directory={other}", code=1)
        assert "name the gateway's --hubs.directory" in run(
            "link", "add", bundle, f"--tls.directory={gateway.tls}", code=2)
        run(*add, f"--tls.directory={gateway.tls}")
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="west"}') == 1)
        status = peers.http(f"{gateway.url}/atoll/v1/status").json["data"]["hubs"]
        assert [item["identity"] for item in status] == [mesh.identity("hub", "hub")]
        assert "the hub's link is up" in run(
            "link", "check", f"--links.directory={hub.links}", f"--tls.directory={hub_tls}",
            f"--hub={hub.url}", "west")
        (hubs / "hub-hub.yaml").unlink()
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="west"}') == 0)


def test_a_bundle_with_a_token_brings_the_first_certificate(tmp_path, trust, linked):
    tokens = tmp_path / "tokens"
    serving = trust.leaf("issuing", "west")
    port = peers.free_port()
    wanted = mesh.identity("hub", "west")
    with peers.Program(tmp_path, "issuing", [
            peers.atoll(), "trust", "serve", f"--issuer={trust.issuer('west')}", f"--tokens={tokens}",
            f"--tls.directory={serving}", f"--listen-address={peers.HOST}:{port}"],
            ready=None) as issuing:
        peers.eventually(lambda: "issuing service listening" in issuing.output())
        said = linked.create(
            f"--tokens={tokens}", f"--join-url=https://{peers.HOST}:{port}", "-o", "json",
            f"--join-server={mesh.identity('issuing', 'west')}", f"--join-identity={wanted}")
        new = tmp_path / "new-tls"
        assert "Compare the bundle's own SHA-256" in linked.add("--join", code=1, tls=new)
        linked.add("--join", f"--digest={json.loads(said)['sha256']}", tls=new)
        assert f"peers believe {wanted}" in mesh.atoll("trust", "inspect", new)
        assert "holds no join token" in (linked.create() and linked.add("--join", code=2))
