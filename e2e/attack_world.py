"""What the attack tests share: a gateway with one export, the hub that may use it, a service that
remembers. Import the fixtures by name; each test is marked attack(GROUP), of these: 1 certificates,
2 names, 3 issuers, 4 TLS, 5 connections, 6 transport headers of Linkerd's, 7 frames, 8 fields, 9 HTTP/1,
10 whom and what a request means, 11 requests of our own making, 12 resources, 13 keys and tokens."""
import contextlib
import re
import socket
import threading

import frames
import mesh
import peers
import pytest

HUB = mesh.identity("hub", "hub")
QUERY = "/api/v1/query?query=up"
FORM = ("content-type", "application/x-www-form-urlencoded")


def slug(text):
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


class Recorder:
    """A service that keeps every byte it receives and answers each request alike."""

    def __init__(self):
        self.listener = socket.create_server((peers.HOST, 0))
        self.url = f"http://{peers.HOST}:{self.listener.getsockname()[1]}"
        self.requests = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        data = b""
        with contextlib.suppress(OSError), peer:
            while more := peer.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, rest = data.partition(b"\r\n\r\n")
                    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                                   if line.lower().startswith(b"content-length:")), 0)
                    if len(rest) < length:
                        break
                    self.requests.append((head, rest[:length]))
                    data = rest[length:]
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 b"Content-Length: 2\r\n\r\n{}")
            if data:
                self.requests.append((b"cut off", data))


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module", name="service")
def start_service():
    return Recorder()


@pytest.fixture(scope="module", name="gateway")
def start_gateway(tmp_path_factory, trust, service):
    exports = [mesh.export("prometheus", service.url, [HUB])]
    with mesh.Gateway(tmp_path_factory.mktemp("gateway"), trust, exports) as gateway:
        yield gateway


@pytest.fixture(scope="module", name="hub")
def make_hub_leaf(trust):
    return trust.leaf("hub", "hub")


@pytest.fixture(name="keeps_serving")
def check_that_it_keeps_serving(gateway, hub, service):
    """Whatever a test does, the next honest request is answered, and by the same process."""
    service.requests.clear()
    yield
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(frames.get(QUERY)) == (200, b"{}")
    assert gateway.process.poll() is None


def refused(gateway, reason):
    return gateway.metric(f'atoll_gateway_refused_total{{reason="{reason}"}}')
