"""HTTP/2 over TLS, frame by frame, for what no well-behaved client would send."""
import contextlib
import socket
import ssl
import struct

import peers

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
ENHANCE_YOUR_CALM = 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Of HPACK's static table: what answers use.
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
# Of its Huffman code: digits are 5 bits up to '2', 6 bits from there on.
DIGITS = {f"{i:05b}": str(i) for i in range(3)} | {f"{i + 22:06b}": str(i) for i in range(3, 10)}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _length(number):
    if number < 127:
        return bytes([number])
    rest, out = number - 127, b"\x7f"
    while rest >= 128:
        out, rest = out + bytes([rest % 128 + 128]), rest // 128
    return out + bytes([rest])


def block(fields):
    """Fields as HPACK has them without index and without Huffman code."""
    out = b""
    for name, value in fields:
        name, value = (text.encode() if isinstance(text, str) else text for text in (name, value))
        out += b"\x00" + _length(len(name)) + name + _length(len(value)) + value
    return out


def get(path, authority="prometheus", method="GET", scheme="https"):
    """The fields of a plain request."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]


def status_of(payload):
    """The first field of an answer."""
    if payload[0] == 0x20:  # The table's size, as we set it.
        payload = payload[1:]
    if payload[0] & 0x80:
        return STATUSES[payload[0] & 0x7f]
    at = 1
    raw = payload[at + 1:at + 1 + (payload[at] & 0x7f)]
    if not payload[at] & 0x80:
        return int(raw)
    bits, digits = "".join(f"{byte:08b}" for byte in raw), ""
    while len(digits) < 3:
        length = 5 if bits[:5] in DIGITS else 6
        digits, bits = digits + DIGITS[bits[:length]], bits[length:]
    return int(digits)


class Connection:
    """A connection to a gateway, after both sides' settings."""

    def __init__(self, gateway, leaf, version=None, alpn="h2", window=None, preface=True):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(gateway.tls / "ca.crt")
        if leaf:
            self.context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
        if alpn:
            self.context.set_alpn_protocols([alpn])
        if version:
            self.context.maximum_version = version
        plain = socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30)
        try:
            self.socket = self.context.wrap_socket(plain, server_hostname=gateway.identity())
        except BaseException:
            plain.close()
            raise
        self.pending, self.stream = b"", -1
        # No table of the peer's answers: status_of knows only what stands for itself.
        settings = struct.pack(">HI", 1, 0)
        settings += struct.pack(">HI", 4, window) if window is not None else b""
        if preface:
            self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def request(self, fields, body=None, flags=END_HEADERS):
        """Sends a request on a stream of its own; returns the stream."""
        self.stream += 2
        end = END_STREAM if body is None else 0
        self.send(frame(HEADERS, flags | end, self.stream, block(fields)))
        if body is not None:
            self.send(frame(DATA, END_STREAM, self.stream, body))
        return self.stream

    def read(self):
        """The next frame as (kind, flags, stream, payload); None at the end."""
        while len(self.pending) < 9 or len(self.pending) < 9 + self._payload():
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not more:
                return None
            self.pending += more
        length = self._payload()
        kind, flags, stream = struct.unpack(">BBI", self.pending[3:9])
        payload, self.pending = self.pending[9:9 + length], self.pending[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            with contextlib.suppress(OSError):
                self.send(frame(SETTINGS, ACK, 0))
        return kind, flags, stream, payload

    def _payload(self):
        return int.from_bytes(self.pending[:3], "big")

    def answer(self, stream):
        """What became of a request: (status, body); status is 'reset' or 'gone' if it failed."""
        status, body = None, b""
        while True:
            got = self.read()
            if got is None or got[0] == GOAWAY:
                return "gone", body
            kind, flags, at, payload = got
            if at != stream:
                continue
            if kind == RST_STREAM:
                return status if status else "reset", body
            if kind == HEADERS and status is None:
                status = status_of(payload)
            if kind == DATA:
                body += payload
                if payload and not flags & END_STREAM:
                    update = struct.pack(">I", len(payload))
                    self.send(frame(WINDOW_UPDATE, 0, 0, update),
                              frame(WINDOW_UPDATE, 0, stream, update))
            if flags & END_STREAM:
                return status, body

    def ask(self, fields, body=None):
        return self.answer(self.request(fields, body))

    def goodbye(self):
        """The error code of the peer's GOAWAY, None if it left without one."""
        with contextlib.suppress(TimeoutError):
            while (got := self.read()) is not None:
                if got[0] == GOAWAY:
                    return struct.unpack(">I", got[3][4:8])[0]
        return None
