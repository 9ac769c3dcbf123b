"""Certificates are renewed under load: nothing fails, what is open goes on, nothing restarts."""
import collections
import concurrent.futures
import struct
import threading

import frames
import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
LIFETIME_S = 10
CHUNK = b"0123456789abcdef" * 4096
CHUNKS = 64


class Service(mesh.OneSeries):
    """/federate is larger than any window."""

    def do_GET(self):
        if self.path.startswith("/federate"):
            self.send(CHUNK * CHUNKS, "text/plain")
        else:
            super().do_GET()


@pytest.fixture(name="service")
def start_service():
    with mesh.serving(Service) as url:
        yield url


def keeper(directory, trust, cluster, leaf):
    return peers.Program(directory, f"keeper-{cluster}", [
        peers.atoll(), "trust", "keep", f"--issuer={trust.issuer(cluster)}",
        f"--lifetime={LIFETIME_S}s", leaf], ready=None)


def test_nothing_fails_while_both_sides_renew(tmp_path, service):
    trust = mesh.Trust(tmp_path / "trust")
    exports = [mesh.export("prometheus", service, [HUB])]
    leaf = trust.leaf("hub", "hub", "--lifetime", f"{LIFETIME_S}s")
    with mesh.Gateway(tmp_path / "gateway", trust, exports) as gateway:
        trust.leaf("gateway", "west", "--lifetime", f"{LIFETIME_S}s", directory=gateway.tls)
        hub = mesh.Hub(tmp_path, leaf)
        hub.link(gateway)
        with keeper(tmp_path, trust, "west", gateway.tls), keeper(tmp_path, trust, "hub", leaf), hub:
            peers.eventually(lambda: "link up" in hub.output(), what="the link up")
            outcomes = collections.Counter()
            stop = threading.Event()

            def ask():
                while not stop.is_set():
                    outcomes[str(hub.answer())] += 1

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                asking = [pool.submit(ask) for _ in range(4)]
                try:
                    peers.eventually(lambda: hub.output().count("link renewed") >= 2
                                     or any(future.done() for future in asking),
                                     timeout=60, what="the link renewed twice")
                finally:
                    stop.set()
                for future in asking:
                    future.result()
            assert list(outcomes) == ["(['west'], [])"], outcomes
            assert "link down" not in hub.output()
            assert gateway.metric('atoll_gateway_refused_total{reason="expired"}') == 0
            print(f"{outcomes.total()} queries, {hub.output().count('link renewed')} renewals")
            assert gateway.stop() == 0


def test_an_open_connection_goes_on_and_new_ones_use_the_new_certificate(tmp_path, service):
    trust = mesh.Trust(tmp_path / "trust")
    leaf = trust.leaf("hub", "hub")
    exports = [mesh.export("prometheus", service, [HUB])]
    with mesh.Gateway(tmp_path / "gateway", trust, exports) as gateway, \
            frames.Connection(gateway, leaf, window=100) as connection:
        before = gateway.serial()
        slow = connection.request(frames.get("/federate"))
        body = b""
        while len(body) < 100:
            kind, _, stream, payload = connection.read()
            body += payload if kind == frames.DATA and stream == slow else b""

        trust.leaf("gateway", "west", directory=gateway.tls)
        peers.eventually(lambda: gateway.serial() != before, what="the new certificate in use")
        old = connection.socket.getpeercert()["serialNumber"]
        assert int(old, 16) == int(before.partition("=")[2], 16)

        update = struct.pack(">I", 2 ** 30)
        connection.send(frames.frame(frames.WINDOW_UPDATE, 0, slow, update),
                        frames.frame(frames.WINDOW_UPDATE, 0, 0, update))
        rest = connection.answer(slow)[1]
        assert body + rest == CHUNK * CHUNKS, "what was under way came whole"
        assert connection.ask(frames.get("/-/healthy"))[0] == 200


def test_a_peer_is_cut_off_when_its_certificate_expires(tmp_path, service):
    trust = mesh.Trust(tmp_path / "trust")
    exports = [mesh.export("prometheus", service, [HUB])]
    with mesh.Gateway(tmp_path / "gateway", trust, exports) as gateway:
        leaf = trust.leaf("hub", "hub", "--lifetime", "4s")
        with frames.Connection(gateway, leaf) as connection:
            assert connection.ask(frames.get("/api/v1/query?query=up"))[0] == 200
            assert connection.goodbye() == 0
            assert connection.read() is None
        assert gateway.metric('atoll_gateway_refused_total{reason="expired"}') == 1
        assert f"that of {HUB}, since it connected" in gateway.output()
