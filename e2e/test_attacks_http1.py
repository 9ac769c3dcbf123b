"""HTTP/1 at its worst: from clients to our own listeners, and from services behind a gateway."""
import contextlib
import re
import socket
import threading

import frames
import mesh
import peers
import pytest
from attack_world import HUB, slug

pytestmark = pytest.mark.attack(9)

READY = b"GET /-/ready HTTP/1.1\r\nHost: x\r\n"
POSTED = b"POST /-/ready HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class RawService:
    """Answers a query of a name with the bytes that are listed under it, and closes."""

    def __init__(self):
        self.listener = socket.create_server((peers.HOST, 0))
        self.url = f"http://{peers.HOST}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def serve(peer):
        with contextlib.suppress(OSError), peer:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := peer.recv(65536)):
                    return
                head += more
            name = head.partition(b"query=")[2].partition(b" ")[0].decode()
            for piece in ANSWERS[name]:
                peer.sendall(piece)


@pytest.fixture(scope="module", name="trust")
def make_trust(tmp_path_factory):
    return mesh.Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module", name="gateway")
def start_gateway(tmp_path_factory, trust):
    exports = [mesh.export("prometheus", RawService().url, [HUB], timeout="5s")]
    with mesh.Gateway(tmp_path_factory.mktemp("gateway"), trust, exports) as gateway:
        yield gateway


@pytest.fixture(scope="module", name="hub")
def make_hub_leaf(trust):
    return trust.leaf("hub", "hub")


@pytest.fixture(autouse=True)
def keeps_serving(gateway):
    yield
    assert peers.http(f"{gateway.url}/-/ready").status == 200
    assert gateway.process.poll() is None


def talk(gateway, *pieces):
    """All that comes back, until the listener closes: by itself, or as it is asked to."""
    port = int(gateway.url.rsplit(":", 1)[1])
    answer = b""
    with socket.create_connection((peers.HOST, port), timeout=30) as plain:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                plain.sendall(piece)
            while more := plain.recv(65536):
                answer += more
    return answer


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", answer)]


# What is refused with one answer, after which the connection is closed: what follows is not read.
REFUSED = {
    "length and chunks": POSTED + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POSTED + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks of another name": POSTED + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POSTED + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunks and identity": POSTED + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks with a tab": POSTED + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks with a space before the colon": POSTED + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks of HTTP 1.0": b"POST /-/ready HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POSTED + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "lengths in a list": POSTED + b"Content-Length: 0, 5\r\n\r\n",
    "a length with a plus": POSTED + b"Content-Length: +0\r\n\r\n",
    "a length with zeros before it": POSTED + b"Content-Length: 000\r\n\r\n",
    "a length below zero": POSTED + b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": POSTED + b"Content-Length: 0x0\r\n\r\n",
    "a length above 2^64": POSTED + b"Content-Length: 18446744073709551616\r\n\r\n",
    "an empty length": POSTED + b"Content-Length:\r\n\r\n",
    "a chunk size that is none": POSTED + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a chunk size below zero": POSTED + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk size above 2^64": POSTED + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    "a chunk without its end": POSTED + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n",
    "a folded line": READY + b"A: b\r\n c: d\r\n\r\n",
    "a line without a colon": READY + b"nonsense\r\n\r\n",
    "a name with a space": READY + b"A b: c\r\n\r\n",
    "an empty name": READY + b": c\r\n\r\n",
    "a NUL": READY + b"A: b\0c\r\n\r\n",
    "a lone CR": READY + b"A: b\rc\r\n\r\n",
    "no host": b"GET /-/ready HTTP/1.1\r\n\r\n",
    "two hosts": READY + b"Host: y\r\n\r\n",
    "a host with a path": b"GET /-/ready HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "HTTP 0.9": b"GET /-/ready\r\n\r\n",
    "HTTP 2.0": b"GET /-/ready HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP 1.10": b"GET /-/ready HTTP/1.10\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /-/ready HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab": b"GET\t/-/ready HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target with a NUL": b"GET /-/rea\0dy HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target without a slash": b"GET ready HTTP/1.1\r\nHost: x\r\n\r\n",
    "a line of a megabyte": b"GET /" + b"x" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of a megabyte": READY + b"A: " + b"x" * 2**20 + b"\r\n\r\n",
    "ten thousand headers": READY + b"".join(b"A%d: b\r\n" % i for i in range(10000)) + b"\r\n",
    "a connection to elsewhere": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",
    "the preface of HTTP 2": frames.PREFACE,
    "TLS": b"\x16\x03\x01\x00\xa0\x01" + b"x" * 160,
}


@pytest.mark.parametrize("what", REFUSED, ids=slug)
def test_request_with(gateway, what):
    got = statuses(talk(gateway, REFUSED[what], SMUGGLED))
    assert len(got) <= 1 and all(400 <= status <= 505 for status in got), got


# What is odd and means one thing only.
ALLOWED = {
    "chunks with extensions": (POSTED + b"Transfer-Encoding: chunked\r\n\r\n0;a=b\r\n\r\n", [405]),
    "an upgrade that is not taken": (READY + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", [200]),
    "spaces around a value": (READY + b"A:   b  \r\n\r\n", [200]),
    "a hundred at once": ((READY + b"\r\n") * 100, [200] * 100),
}


@pytest.mark.parametrize("what", ALLOWED, ids=slug)
def test_request_is_answered_with(gateway, what):
    sent, expected = ALLOWED[what]
    got = statuses(talk(gateway, sent, SMUGGLED))
    # It may close after an answer that is an error, but what follows is a request of its own.
    assert got == [*expected, 200] or got == expected == [405], got


def test_a_request_in_pieces_of_one_byte(gateway):
    last = READY + b"Connection: close\r\n\r\n"
    assert statuses(talk(gateway, *(bytes([byte]) for byte in last))) == [200]


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

# What a service answers, and whether anything of it may look like a whole answer.
ANSWERS = {
    "nothing": [],
    "no-http": [b"hello\r\n\r\n"],
    "http-0.9": [b"<html>"],
    "no-status": [b"HTTP/1.1\r\n\r\n"],
    "status-of-two-digits": [b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
    "status-0": [b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"],
    "line-without-colon": [OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}"],
    "nul": [OK + b"A: b\0c\r\nContent-Length: 2\r\n\r\n{}"],
    "two-lengths": [OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"],
    "negative-length": [OK + b"Content-Length: -2\r\n\r\n{}"],
    "length-of-letters": [OK + b"Content-Length: two\r\n\r\n{}"],
    "less-than-said": [OK + b"Content-Length: 100\r\n\r\n{}"],
    "cut-chunk": [OK + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{}"],
    "no-last-chunk": [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    "bad-chunk": [OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"],
    "long-chunk": [OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}"],
    "header-only": [OK],
    "header-of-megabytes": [OK + b"A: " + b"x" * 4_000_000 + b"\r\n\r\n{}"],
    "switching": [b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"],
    "flood-of-1xx": [b"HTTP/1.1 100 Continue\r\n\r\n" * 100000],
    "early-hints-only": [b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    # Whole ones:
    "more-than-said": [OK + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
    "hop-by-hop": [OK + b"Connection: close, x-secret\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\n{}"],
    "pushing": [OK + b"Link: </x>; rel=preload\r\nSet-Cookie: a=b\r\nAlt-Svc: h2=\":1\"\r\n"
                b"Location: http://127.0.0.1/\r\nContent-Length: 2\r\n\r\n{}"],
}
WHOLE = ("more-than-said", "hop-by-hop", "pushing")


@pytest.mark.parametrize("what", [name for name in ANSWERS if name not in WHOLE], ids=slug)
def test_service_that_answers(gateway, hub, what):
    """The client gets an error of the gateway's or a stream that was reset, never a clean end."""
    with frames.Connection(gateway, hub) as connection:
        stream = connection.request(frames.get(f"/api/v1/query?query={what}"))
        status, ended = None, None
        while ended is None:
            kind, flags, at, payload = connection.read()
            if at != stream:
                continue
            if kind == frames.HEADERS and status is None:
                status = frames.status_of(payload)
            if kind == frames.RST_STREAM:
                ended = "reset"
            elif flags & frames.END_STREAM:
                ended = "whole"
    assert ended == "reset" or status in (502, 504), (status, ended)


@pytest.mark.parametrize("what", WHOLE, ids=slug)
def test_service_answers_with(gateway, hub, what):
    with frames.Connection(gateway, hub) as connection:
        stream = connection.request(frames.get(f"/api/v1/query?query={what}"))
        payload = next(got[3] for got in iter(connection.read, None)
                       if got[0] == frames.HEADERS and got[2] == stream)
        assert frames.status_of(payload) == 200
        assert connection.answer(stream)[1] == b"{}"
    for word in (b"secret", b"cookie", b"alt-svc", b"location", b"link"):
        assert word not in payload
