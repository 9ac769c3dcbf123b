"""The trust anchor and issuers of a running mesh are replaced: nothing fails, nothing restarts."""
import collections
import concurrent.futures
import contextlib
import subprocess
import threading

import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
CLUSTERS = ["east", "north", "west"]
LIFETIME_S = 12
WAIT = "--wait=90s"


@pytest.fixture(name="service")
def start_service():
    with mesh.serving(mesh.OneSeries) as url:
        yield url


class Mesh:
    """A hub linked with three clusters, one of which dials it; keepers of short-lived leaves."""

    def __init__(self, directory, service, clusters=tuple(CLUSTERS)):
        self.stack = contextlib.ExitStack()
        self.directory = directory
        self.trust = mesh.Trust(directory / "trust")
        self.new = self.trust.directory / "new-anchor"
        self.clusters = list(clusters)
        self.hub_leaf = self.leaf("hub", "hub")
        self.hub = mesh.Hub(directory, self.hub_leaf)
        exports = [mesh.export("prometheus", service, [HUB])]
        self.gateways = {}
        for cluster in self.clusters:
            dials = [mesh.dialled(HUB, self.hub.links_port)] if cluster == "north" else []
            gateway = mesh.Gateway(
                directory / cluster, self.trust, exports, cluster=cluster, hubs=dials)
            self.leaf("gateway", cluster, directory=gateway.tls)
            self.gateways[cluster] = gateway
            if dials:
                self.hub.dialling(cluster)
            else:
                self.hub.link(gateway)
        self.keepers = {}

    def leaf(self, name, cluster, **where):
        return self.trust.leaf(name, cluster, "--lifetime", f"{LIFETIME_S}s", **where)

    def issuers(self):
        return [self.trust.issuer(cluster) for cluster in ["hub", *self.clusters]]

    def keeper(self, cluster, leaf):
        self.keepers[cluster] = self.stack.enter_context(peers.Program(
            self.directory, f"keeper-{cluster}", [
                peers.atoll(), "trust", "keep", f"--issuer={self.trust.issuer(cluster)}",
                f"--lifetime={LIFETIME_S}s", leaf], ready=None))

    def __enter__(self):
        for cluster, gateway in self.gateways.items():
            self.keeper(cluster, gateway.tls)
            self.stack.enter_context(gateway)
        self.keeper("hub", self.hub_leaf)
        self.stack.enter_context(self.hub)
        peers.eventually(lambda: self.hub.answer() == (sorted(self.clusters), []),
                         what="all clusters linked")
        return self

    def __exit__(self, *reason):
        return self.stack.__exit__(*reason)

    def rotate(self, step, *flags, fails=False):
        done = subprocess.run(
            [peers.atoll(), "trust", "rotate-anchor", step, "--directory", self.new, *flags],
            capture_output=True, text=True)
        assert (done.returncode != 0) == fails, f"{step}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def begin(self, *flags):
        issuers = [f"--issuer={issuer}" for issuer in self.issuers()]
        return self.rotate("begin", "--anchor", self.trust.anchor, "--hub", self.hub.url,
                           f"--leaf-lifetime={LIFETIME_S}s", *issuers, *flags)

    def report(self):
        return peers.http(f"{self.hub.url}/api/v1/atoll/trust").json["data"]

    def programs(self):
        return [self.hub, *self.gateways.values(), *self.keepers.values()]


def anchors_of(path):
    lines = mesh.atoll("trust", "bundle", path).splitlines()
    return {line.split()[0] for line in lines[1:]}


@contextlib.contextmanager
def load(hub, threads=4):
    """Queries without a pause; gives the outcomes as they are counted."""
    outcomes = collections.Counter()
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            outcomes[str(hub.answer())] += 1

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        asking = [pool.submit(ask) for _ in range(threads)]
        try:
            yield outcomes
        finally:
            stop.set()
        for future in asking:
            future.result()


def test_an_anchor_and_then_issuers_are_replaced_under_load(tmp_path, service):
    with Mesh(tmp_path, service) as world:
        old = anchors_of(world.trust.anchor)
        running = [program.process.pid for program in world.programs()]
        with load(world.hub) as outcomes:
            world.begin()
            world.rotate("publish")
            world.rotate("switch", WAIT)
            world.rotate("retire", WAIT)
            world.rotate("status", WAIT)
            new = anchors_of(world.new)
            for issuer in world.issuers():
                assert anchors_of(issuer) == new
            report = world.report()
            for member in [report, *report["links"]]:
                assert member["trust"] == {"anchors": list(new), "chain_anchor": [*new][0]}
            assert new.isdisjoint(old)

            before = {name: gateway.serial() for name, gateway in world.gateways.items()}
            for issuer in world.issuers():
                mesh.atoll("trust", "rotate-issuer", "--anchor", world.new, "--issuer", issuer)
            issuers = {cluster: (world.trust.issuer(cluster) / "tls.crt").read_text()
                       for cluster in world.clusters}
            for name, gateway in world.gateways.items():
                peers.eventually(lambda: gateway.serial() != before[name], what="a new leaf")
                assert (gateway.tls / "tls.crt").read_text().endswith(issuers[name])
            # And as long again as any leaf of the old issuers lives.
            counts = [world.hub.output().count("link renewed")]
            peers.eventually(lambda: world.hub.output().count("link renewed") >= counts[0] + 4,
                             timeout=60, what="sessions with leaves of the new issuers")
        assert list(outcomes) == [f"({CLUSTERS}, [])"], outcomes
        print(f"{outcomes.total()} queries to {len(CLUSTERS)} clusters, none failed")
        assert "link down" not in world.hub.output()
        for program, pid in zip(world.programs(), running):
            assert program.process.poll() is None and program.process.pid == pid
            assert " level=error " not in program.output(), program.output()


def test_steps_wait_for_those_who_are_not_ready(tmp_path, service):
    with Mesh(tmp_path, service, clusters=["west"]) as world:
        world.begin()
        assert "publish the new anchor first" in world.rotate("switch", fails=True)
        world.keepers["west"].stop()
        world.rotate("publish")
        said = world.rotate("switch", "--wait=1s", fails=True)
        assert "not yet: west: it does not believe the new anchor yet" in said
        said = world.rotate("status", fails=True)
        assert "step published" in said and "not ready for it" in said
        assert "west: it does not believe the new anchor yet" in said
        assert "has begun already" in subprocess.run(
            [peers.atoll(), "trust", "rotate-anchor", "begin", "--directory", world.new,
             "--anchor", world.trust.anchor, "--hub", world.hub.url,
             f"--issuer={world.trust.issuer('west')}"], capture_output=True, text=True).stderr

        # By hand, as for a cluster that is managed elsewhere.
        mesh.atoll("trust", "bundle", world.new / "bundle.crt", "--install",
                   world.gateways["west"].tls)
        said = world.rotate("switch", WAIT)
        assert "switched; next retire" in said
        said = world.rotate("retire", fails=True)
        # Whoever is asked first and is not there yet: the hub or the cluster, or their old leaves.
        assert "its certificate does not descend from the new anchor yet" in said \
            or "may be alive for another" in said


@pytest.mark.long
def test_a_cluster_that_is_left_out_comes_back_by_a_bundle(tmp_path, service):
    with Mesh(tmp_path, service, clusters=["east", "west"]) as world:
        # West is managed elsewhere, and cannot be reached while the others rotate.
        west = world.gateways["west"]
        issuer = world.trust.issuer("west")
        world.keepers["west"].stop()
        west.stop()
        issuers = [f"--issuer={world.trust.issuer(cluster)}" for cluster in ("hub", "east")]
        world.rotate("begin", "--anchor", world.trust.anchor, "--hub", world.hub.url,
                     f"--leaf-lifetime={LIFETIME_S}s", *issuers)
        world.rotate("publish")
        peers.eventually(lambda: "not yet: west: its link is not up" in world.rotate(
            "switch", fails=True), what="all but west believing both")
        assert "no hub has a link" in world.rotate("switch", "--without=wset", fails=True)
        said = world.rotate("switch", "--without=west", WAIT)
        assert "west is left out" in said and "bundle.crt" in said
        world.rotate("retire", WAIT)
        assert "west: left out" in world.rotate("status", WAIT)

        mesh.atoll("trust", "bundle", world.new / "bundle.crt", "--install", issuer)
        mesh.atoll("trust", "rotate-issuer", "--anchor", world.new, "--issuer", issuer)
        world.keeper("west", west.tls)
        peers.eventually(lambda: anchors_of(west.tls) >= anchors_of(world.new))
        west.start()
        peers.eventually(lambda: world.hub.answer() == (["east", "west"], []),
                         what="west linked again")


def test_who_is_asked_must_answer(tmp_path, service):
    with Mesh(tmp_path, service, clusters=["west"]) as world:
        world.begin(f"--hub=http://{peers.HOST}:{peers.free_port()}")
        world.rotate("publish")
        assert "the hub cannot be asked" in world.rotate("switch", "--wait=1s", fails=True)
