"""What is revoked is cut off within seconds, wherever it is connected."""
import subprocess
import time

import frames
import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
# How long a revocation may take to reach everybody and to end what is open.
AT_MOST_S = 10


@pytest.fixture(name="service")
def start_service():
    with mesh.serving(mesh.OneSeries) as url:
        yield url


def revoke(signer, leaf, *flags):
    return mesh.atoll("trust", "revoke", "--signer", signer, "--directory", leaf / "denied", *flags)


def digest_of(directory):
    return mesh.openssl("x509", "-in", directory / "tls.crt", "-noout", "-fingerprint",
                        "-sha256").strip().partition("=")[2].replace(":", "").lower()


def serial_of(directory):
    return mesh.openssl(
        "x509", "-in", directory / "tls.crt", "-noout", "-serial").strip().partition("=")[2]


class World:
    """A hub linked with two clusters."""

    def __init__(self, directory, service):
        self.trust = mesh.Trust(directory / "trust")
        allowed = [HUB, mesh.identity("probe", "hub"), mesh.identity("probe", "west")]
        exports = [mesh.export("prometheus", service, allowed)]
        self.west, self.east = (
            mesh.Gateway(directory / cluster, self.trust, exports, cluster=cluster)
            for cluster in ("west", "east"))
        self.leaf = self.trust.leaf("hub", "hub")
        self.hub = mesh.Hub(directory, self.leaf)

    def __enter__(self):
        for program in (self.west, self.east, self.hub):
            program.start()
        for gateway in (self.west, self.east):
            self.hub.link(gateway)
        self.linked("east", "west")
        return self

    def __exit__(self, *_):
        for program in (self.hub, self.west, self.east):
            program.stop()

    def linked(self, *clusters):
        peers.eventually(
            lambda: self.hub.answer()[0] == list(clusters), what=f"{clusters} answering")


def is_cut(connection):
    """Waits for the end of a connection that was open a moment ago; says how long that took."""
    start = time.monotonic()
    connection.socket.settimeout(AT_MOST_S)
    while connection.read():
        pass
    return time.monotonic() - start


def test_a_list_at_the_hub_reaches_gateways_and_ends_what_is_open(tmp_path, service):
    with World(tmp_path, service) as world:
        probe = world.trust.leaf("probe", "hub")
        with frames.Connection(world.east, probe) as connection:
            assert connection.ask(frames.get("/api/v1/query?query=up"))[0] == 200
            said = revoke(world.trust.issuer("hub"), world.leaf, "--serial", serial_of(probe))
            assert "1 denied" in said
            print(f"cut after {is_cut(connection):.2f} s")
        assert world.east.metric('atoll_gateway_refused_total{reason="revoked"}') == 1
        peers.eventually(lambda: (world.west.tls / "denied" / f"hub.{mesh.DOMAIN}.deny").exists(),
                         what="the list at both gateways")
        # A certificate made since is another one, and the identity is not denied.
        assert world.east.curl(world.trust.leaf("probe", "hub"), "/api/v1/query?query=up")[1] == 200
        world.linked("east", "west")


def test_a_list_at_a_gateway_reaches_the_others_and_survives_a_restart(tmp_path, service):
    with World(tmp_path, service) as world:
        probe = world.trust.leaf("probe", "west")
        with frames.Connection(world.east, probe) as connection:
            assert connection.ask(frames.get("/api/v1/query?query=up"))[0] == 200
            revoke(world.trust.issuer("west"), world.west.tls,
                   "--identity", mesh.identity("probe", "west"))
            is_cut(connection)
        world.east.stop()
        world.east.start()
        code, status, _ = world.east.curl(probe, "/api/v1/query?query=up")
        assert code != 0 and status == 0
        assert f"{mesh.identity('probe', 'west')} is revoked" in world.east.output()


def test_an_issuer_that_was_stolen_is_denied_by_the_anchor(tmp_path, service):
    with World(tmp_path, service) as world:
        revoke(world.trust.anchor, world.leaf,
               "--issuer-digest", digest_of(world.trust.issuer("west")))
        peers.eventually(lambda: world.hub.answer()[0] == ["east"], timeout=AT_MOST_S,
                         what="west cut off")
        assert "its issuer is on a deny-list" in str(world.hub.answer()[1])
        mesh.atoll("trust", "rotate-issuer", "--anchor", world.trust.anchor, "--issuer",
                   world.trust.issuer("west"))
        world.trust.leaf("gateway", "west", directory=world.west.tls)
        world.linked("east", "west")


def test_who_is_forgiven_comes_back(tmp_path, service):
    with World(tmp_path, service) as world:
        issuer = world.trust.issuer("hub")
        revoke(issuer, world.east.tls, "--identity", HUB)
        peers.eventually(lambda: world.hub.answer()[0] == ["west"], timeout=AT_MOST_S,
                         what="the hub cut off by east")
        said = revoke(issuer, world.east.tls, "--identity", HUB, "--forgive")
        assert "0 denied" in said
        world.linked("east", "west")


def test_nobody_denies_what_is_not_theirs(trust_of):
    issuer = trust_of.issuer("west")
    for flags, reason in (
            (["--identity", HUB], f"is not of west.{mesh.DOMAIN}"),
            (["--issuer-digest", "a" * 64], "only the anchor denies issuers"),
            (["--serial", "0a"], "is no serial number in upper-case hex"),
            (["--serial", "0A", "--forgive"], "is not on the list")):
        done = subprocess.run(
            [peers.atoll(), "trust", "revoke", "--signer", issuer, "--directory", issuer, *flags],
            capture_output=True, text=True)
        assert done.returncode == 2 and reason in done.stderr, done


@pytest.fixture(name="trust_of")
def make_trust(tmp_path):
    return mesh.Trust(tmp_path / "trust")
