"""Clusters on hosts of their own: behind a router that lets nobody in, with addresses that are dead, that
move, and wires that are cut."""
import contextlib

import mesh
import netns
import peers
import pytest

HUB = mesh.identity("hub", "hub")
GATEWAY_PORT, LINKS_PORT, MONITOR_PORT = 4143, 4144, 9090


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


class Cluster:
    """A monitor that watches itself and a gateway that exports it, on one host."""

    def __init__(self, host, directory, trust, hubs=()):
        self.host, self.directory, self.trust, self.hubs = host, directory, trust, hubs

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        directory = self.directory
        directory.mkdir()
        (directory / "prometheus.yml").write_text(peers.scrape_config(
            {"self": [f"127.0.0.1:{MONITOR_PORT}"]}))
        (directory / "gateway.yaml").write_text(
            "exports:\n" + mesh.export("prometheus", f"http://127.0.0.1:{MONITOR_PORT}", [HUB])
            + ("hubs:\n" + "".join(self.hubs) if self.hubs else ""))
        self.stack.enter_context(netns.Program(self.host, directory, "monitor", [
            "monitor", f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data"], MONITOR_PORT))
        self.gateway = self.stack.enter_context(netns.Program(self.host, directory, "gateway", [
            "gateway", f"--config.file={directory}/gateway.yaml",
            f"--tls.directory={self.trust.leaf('gateway', 'west')}",
            f"--gateway.listen-address=0.0.0.0:{GATEWAY_PORT}"], 4191))
        return self

    def __exit__(self, *how):
        self.stack.__exit__(*how)


def hub_on(host, directory, trust, link):
    """A hub with one link, to cluster west."""
    links = directory / "links"
    links.mkdir(parents=True)
    (links / "west.yaml").write_text(
        f"cluster: west\nidentity: {mesh.identity('gateway', 'west')}\n{link}")
    return netns.Program(host, directory, "hub", [
        "hub", f"--links.directory={links}", f"--tls.directory={trust.leaf('hub', 'hub')}",
        f"--links.listen-address=0.0.0.0:{LINKS_PORT}"], 9494)


def is_answered(hub):
    return hub.answer() == (["west"], [])


def test_a_cluster_behind_a_router_that_lets_nobody_in_serves_the_hub(tmp_path, trust):
    with netns.wires("10.77.0", "10.78.0") as (outside, inside):
        hub_host, router, west = outside.host("hub"), outside.host("router"), inside.host("west")
        hub_address = outside.plug(hub_host, 2)
        west_address = inside.plug(west, 2)
        router_address = netns.put_behind_router(inside, outside, router)
        west.ip("route", "add", "default", "via", "10.78.0.1")
        dials = f"  - identity: {HUB}\n    addresses: ['{hub_address}:{LINKS_PORT}']\n"
        with hub_on(hub_host, tmp_path / "hub", trust, "dials: gateway\n") as hub, \
                Cluster(west, tmp_path / "west", trust, [dials]) as cluster:
            peers.eventually(lambda: is_answered(hub), what="west answers over its own call")
            assert router_address in hub.output(), "it comes under the address of its router"

            assert west.can_connect(west_address, GATEWAY_PORT), "it does listen"
            assert not hub_host.can_connect(west_address, GATEWAY_PORT), "there is no route"
            hub_host.ip("route", "add", "10.78.0.0/24", "via", router_address)
            assert not hub_host.can_connect(west_address, GATEWAY_PORT), "the router drops it"
            assert not hub_host.can_connect(router_address, GATEWAY_PORT)

            router.ip("link", "set", "wan", "down")
            peers.eventually(lambda: hub.answer()[0] == [], 60, what="the cut is noticed")
            clusters, warnings = hub.answer()
            assert clusters == [] and '"west"' in warnings[0]
            router.ip("link", "set", "wan", "up")
            peers.eventually(lambda: is_answered(hub), 60, what="west is back")


def test_an_address_that_swallows_everything_is_passed_over(tmp_path, trust):
    with netns.wires("10.77.0") as (wire,):
        hub_host, west = wire.host("hub"), wire.host("west")
        wire.plug(hub_host, 2)
        address = wire.plug(west, 3)
        hole = wire.host("hole")
        dead = wire.plug(hole, 4)
        hole.run("nft", "add", "table", "ip", "t")
        hole.run("nft", *"add chain ip t in { type filter hook input priority 0; policy drop; }".split())
        both = f"addresses: ['{dead}:{GATEWAY_PORT}', '{address}:{GATEWAY_PORT}']\n"
        with Cluster(west, tmp_path / "west", trust), \
                hub_on(hub_host, tmp_path / "hub", trust, both) as hub:
            peers.eventually(lambda: is_answered(hub), 60, what="by the other address")


def test_a_gateway_whose_name_moves_to_another_address_is_found(tmp_path, trust):
    with netns.wires("10.77.0") as (wire,):
        hub_host, west = wire.host("hub"), wire.host("west")
        wire.plug(hub_host, 2)
        old = wire.plug(west, 3)
        hub_host.call("gateway.west.example", old)
        named = f"addresses: ['gateway.west.example:{GATEWAY_PORT}']\n"
        with Cluster(west, tmp_path / "west", trust), \
                hub_on(hub_host, tmp_path / "hub", trust, named) as hub:
            peers.eventually(lambda: is_answered(hub))
            west.ip("addr", "del", f"{old}/24", "dev", "eth0")
            west.ip("addr", "add", "10.77.0.33/24", "dev", "eth0")
            hub_host.call("gateway.west.example", "10.77.0.33")
            peers.eventually(lambda: hub.answer()[0] == [], 60, what="the old address is dead")
            peers.eventually(lambda: is_answered(hub), 60, what="the new one is found")
