"""Gateways that no hub can reach dial the hub: the same rules, over connections of their own."""
import contextlib
import ssl
import time

import frames
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


@pytest.fixture(name="hub")
def start_hub(tmp_path, trust):
    with mesh.Hub(tmp_path / "hub", trust.leaf("hub", "hub", directory=tmp_path / "hub-tls")) as hub:
        yield hub


def gateway_of(directory, trust, service, hub, cluster, allow=(HUB,), name=HUB):
    return mesh.Gateway(directory / cluster, trust, [mesh.export("prometheus", service, allow)],
                        cluster=cluster, hubs=[mesh.dialled(name, hub.links_port)])


def test_clusters_that_dial_answer_beside_one_that_is_dialled(tmp_path, trust, service, hub):
    with contextlib.ExitStack() as stack:
        for cluster in ("north", "south"):
            hub.dialling(cluster)
            stack.enter_context(gateway_of(tmp_path, trust, service, hub, cluster))
        west = stack.enter_context(mesh.Gateway(
            tmp_path / "west", trust, [mesh.export("prometheus", service, [HUB])]))
        hub.link(west)
        peers.eventually(lambda: hub.answer() == (["north", "south", "west"], []))
        for cluster in ("north", "south", "west"):
            assert hub.metric(f'atoll_link_up{{cluster="{cluster}"}}') == 1
            assert hub.metric(f'atoll_link_received_bytes_total{{cluster="{cluster}"}}') > 0


def test_both_sides_may_go_away_and_come_back(tmp_path, trust, service, hub):
    hub.dialling("north")
    with gateway_of(tmp_path, trust, service, hub, "north") as gateway:
        peers.eventually(lambda: hub.answer() == (["north"], []))
        connected = f'atoll_gateway_hub_connected{{hub="{HUB}"}}'
        peers.eventually(lambda: gateway.metric(connected) == 1)
        gateway.kill()

        def is_named():
            clusters, warnings = hub.answer()
            return clusters == [] and len(warnings) == 1 and '"north"' in warnings[0]

        peers.eventually(is_named, what="a warning that names the cluster")
        gateway.start()
        peers.eventually(lambda: hub.answer() == (["north"], []))

        hub.kill()
        peers.eventually(lambda: gateway.metric(connected) == 0)
        hub.start()
        peers.eventually(lambda: hub.answer() == (["north"], []))
        assert gateway.stop() == 0
        assert hub.stop() == 0


def test_exports_and_hubs_change_live(tmp_path, trust, service, hub):
    hub.dialling("north")
    with gateway_of(tmp_path, trust, service, hub, "north") as gateway:
        peers.eventually(lambda: hub.answer() == (["north"], []))
        one = mesh.export("prometheus", service, [HUB])
        gateway.publish([])
        peers.eventually(lambda: hub.answer()[0] == [])
        gateway.publish([one])
        peers.eventually(lambda: hub.answer() == (["north"], []))
        for at in range(100):
            gateway.publish([one, mesh.export(f"flaps-{at}", service, [HUB])])
            time.sleep(0.01)
        gateway.publish([one])
        peers.eventually(lambda: hub.answer() == (["north"], []))
        assert "link down" not in hub.output(), "many changes are no reason to part"
        gateway.hubs = ""
        gateway.publish([one])
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="north"}') == 0)
        assert "hub removed" in gateway.output()


def test_dialling_gives_a_hub_no_more_than_the_export_does(tmp_path, trust, service, hub):
    hub.dialling("north")
    other = mesh.identity("other", "hub")
    with gateway_of(tmp_path, trust, service, hub, "north", allow=[other]):
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="north"}') == 1)
        clusters, _ = hub.answer()
        assert clusters == []


def refused(hub, reason, sentence):
    """Waits until a gateway was refused for a reason, and it is in the log."""
    name = f'atoll_link_refused_total{{reason="{reason}"}}'
    peers.eventually(lambda: hub.metric(name) >= 1, what=name)
    assert any(f"reason={reason} " in line and sentence in line
               for line in hub.output().splitlines()), sentence


def test_a_gateway_that_no_link_expects_is_refused(tmp_path, trust, service, hub):
    hub.dialling("north")
    with gateway_of(tmp_path, trust, service, hub, "east") as gateway:
        refused(hub, "unexpected", mesh.identity("gateway", "east"))
        peers.eventually(lambda: "hub not connected" in gateway.output())
    assert hub.answer()[0] == []


def test_a_gateway_under_another_anchor_is_refused(tmp_path, trust, service, hub):
    hub.dialling("north")
    stranger = mesh.Trust(tmp_path / "stranger")
    gateway = gateway_of(tmp_path, stranger, service, hub, "north")
    with gateway:
        peers.eventually(lambda: "hub not connected" in gateway.output())
        anchors = (trust.anchor / "ca.crt").read_text() + (stranger.anchor / "ca.crt").read_text()
        mixed = gateway.tls / "..data" / "ca.crt"
        mixed.write_text(anchors)
        refused(hub, "wrong_anchor", "we trust")
    assert hub.answer()[0] == []


def test_another_clusters_name_is_refused(tmp_path, trust, service, hub):
    hub.dialling("north")
    forged = trust.forge("east", "DNS:" + mesh.identity("gateway", "north"), "east-as-north")
    gateway = gateway_of(tmp_path, trust, service, hub, "east")
    flag = gateway.argv.index(f"--tls.directory={gateway.tls}")
    gateway.argv[flag] = f"--tls.directory={forged}"
    gateway.start(wait=False)
    assert gateway.process.wait(20) == 1, "it does not even start with what nobody believes"
    assert "permitted subtree violation" in gateway.output()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with frames.Connection(Door(hub, trust), forged, alpn="atoll-reverse/1") as connection:
            assert connection.read() is None
    refused(hub, "name_constraint", "permitted subtree violation")


class Door:
    """The hub's listener for gateways, as frames.Connection wants to be told of it."""

    def __init__(self, hub, trust):
        self.tls, self.gateway_port = trust.anchor, hub.links_port

    def identity(self):
        return HUB


def test_the_hubs_door_is_for_gateways_only(tmp_path, trust, hub):
    hub.dialling("north")
    door = Door(hub, trust)
    leaf = trust.leaf("gateway", "north", directory=tmp_path / "leaf")
    for options, reason, sentence in (
            ({"alpn": "h2"}, "protocol", "none of our protocols"),
            ({"alpn": "atoll-reverse/1", "version": ssl.TLSVersion.TLSv1_2}, "protocol",
             "unsupported protocol")):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            frames.Connection(door, leaf, **options)
        refused(hub, reason, sentence)
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with frames.Connection(door, None, alpn="atoll-reverse/1") as connection:
            assert connection.read() is None
    refused(hub, "no_certificate", "sent no certificate")
