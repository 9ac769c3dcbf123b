"""Links over a long, narrow wire that is stalled and cut: queries end with an answer or with a sentence, the
link comes back, and nothing is left behind."""
import os
import random
import threading
import time

import mesh
import peers
import pytest
import relay

HUB = mesh.identity("hub", "hub")
DELAY = 0.04
ASKERS = 4
# Kept-alive connections to whoever asks and to the service: some of either may stand, or not.
IDLE_MAX = 2 * ASKERS
CUTS = 100 if os.environ.get("LONG") else 10


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(name="world")
def make_world(tmp_path, trust):
    """A hub and the gateway of a cluster with a relay between them."""
    with mesh.serving(mesh.OneSeries) as url:
        exports = [mesh.export("prometheus", url, [HUB])]
        with mesh.Gateway(tmp_path / "west", trust, exports) as gateway, \
                relay.Relay(gateway.gateway_port, DELAY, 100e6) as wire, \
                mesh.Hub(tmp_path / "hub", trust.leaf("hub", "hub", directory=tmp_path / "tls")) as hub:
            gateway.gateway_port = wire.port
            hub.link(gateway)
            peers.eventually(lambda: hub.answer() == (["west"], []))
            yield hub, gateway, wire


def descriptors(program):
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


class Asker(threading.Thread):
    """Asks without pause; an answer has the series, or a warning that names the cluster."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub, self.is_over = hub, False
        self.answered = self.warned = 0
        self.wrong, self.slowest = [], 0.0
        self.start()

    def run(self):
        while not self.is_over:
            began = time.monotonic()
            try:
                clusters, warnings = self.hub.answer()
            except (OSError, AssertionError) as error:
                self.wrong.append(repr(error))
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            if clusters == ["west"] and not warnings:
                self.answered += 1
            elif clusters == [] and len(warnings) == 1 and '"west"' in warnings[0]:
                self.warned += 1
            else:
                self.wrong.append((clusters, warnings))


def test_links_that_are_cut_mid_query_come_back_and_leave_nothing_behind(world):
    hub, gateway, wire = world
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    askers = [Asker(hub) for _ in range(ASKERS)]
    settled = None
    for turn in range(CUTS):
        answered = sum(asker.answered for asker in askers)
        passed = wire.passed
        # Somewhere in the middle of an answer: after so many more bytes have passed.
        peers.eventually(lambda: wire.passed > passed + chance.randrange(4000), every=0.001)
        wire.cut()
        peers.eventually(lambda: hub.metric('atoll_link_up{cluster="west"}') == 0)
        wire.mend()
        peers.eventually(lambda: sum(asker.answered for asker in askers) > answered + 8,
                         what="answers after the cut")
        if turn == 4:
            settled = descriptors(hub), descriptors(gateway)
    for asker in askers:
        asker.is_over = True
    for asker in askers:
        asker.join(30)
        assert not asker.is_alive(), "a query hangs"
        assert asker.wrong == []
    print(f"descriptors {descriptors(hub)}, {descriptors(gateway)}, after five cuts {settled}")
    peers.eventually(lambda: descriptors(hub) <= settled[0] + IDLE_MAX
                     and descriptors(gateway) <= settled[1] + IDLE_MAX,
                     what="as few descriptors as after five cuts")
    assert hub.stop() == 0
    assert gateway.stop() == 0


def test_a_wire_that_swallows_everything_is_noticed_and_named(world):
    hub, _, wire = world
    wire.stall()
    peers.eventually(lambda: hub.metric('atoll_link_up{cluster="west"}') == 0, 60, what="noticed")
    clusters, warnings = hub.answer()
    assert clusters == [] and '"west"' in warnings[0]
    wire.flow()
    peers.eventually(lambda: hub.answer() == (["west"], []), 60, what="back again")
