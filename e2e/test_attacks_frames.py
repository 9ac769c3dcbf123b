"""Frames and header blocks that no honest client sends: they end a stream or the connection, and
nobody else notices."""
import contextlib
import struct

import frames
import mesh
import peers
import pytest
from attack_world import (FORM, QUERY, check_that_it_keeps_serving, make_hub_leaf,  # noqa: F401
                          make_trust, slug, start_gateway, start_service)
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY,
                    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame)

pytestmark = [pytest.mark.usefixtures("keeps_serving"), pytest.mark.attack(7)]

PUSH_PROMISE = 5
PADDED, PRIORITY_FLAG = 8, 0x20
WHOLE = END_HEADERS | END_STREAM


def word(number):
    return struct.pack(">I", number)


def setting(name, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", name, value))


def asked(stream=1, flags=WHOLE, fields=None):
    return frame(HEADERS, flags, stream, frames.block(fields or frames.get(QUERY)))


def indexed(number):
    """An indexed field of HPACK."""
    return bytes([0x80 | number]) if number < 127 else b"\xff" + varint(number - 127)


def varint(number):
    out = b""
    while number >= 128:
        out, number = out + bytes([number % 128 + 128]), number // 128
    return out + bytes([number])


GET = frames.block(frames.get(QUERY))
POST = frames.get("/api/v1/query", method="POST") + [FORM]
# A header of 4 kB that goes into the table, and then references to it.
BOMB = b"\x40" + b"\x03big" + b"\x7f" + varint(4000 - 127) + b"x" * 4000

# What ends the whole connection; the service sees nothing.
CONNECTION_ERRORS = {
    "headers on stream 0": [frame(HEADERS, WHOLE, 0, GET)],
    "headers on an even stream": [frame(HEADERS, WHOLE, 2, GET)],
    "data on stream 0": [frame(DATA, 0, 0, b"x")],
    "data on a stream never opened": [frame(DATA, END_STREAM, 7, b"x")],
    "data on an even stream": [frame(DATA, END_STREAM, 8, b"x")],
    "reset of stream 0": [frame(RST_STREAM, 0, 0, word(8))],
    "reset of a stream never opened": [frame(RST_STREAM, 0, 9, word(8))],
    "reset of a wrong length": [asked(1, END_HEADERS), frame(RST_STREAM, 0, 1, b"123")],
    "priority of stream 0": [frame(PRIORITY, 0, 0, struct.pack(">IB", 1, 1))],
    "settings on a stream": [frame(SETTINGS, 0, 1)],
    "settings of a wrong length": [frame(SETTINGS, 0, 0, b"12345")],
    "settings acknowledged with contents": [frame(SETTINGS, 1, 0, b"123456")],
    "settings of a window above 2^31": [setting(4, 2**31)],
    "settings of a frame size of 1": [setting(5, 1)],
    "settings of a frame size of 2^24": [setting(5, 2**24)],
    "settings of a push of 2": [setting(2, 2)],
    "settings with 100 entries": [frame(SETTINGS, 0, 0, struct.pack(">HI", 0x99, 1) * 100)],
    "a window that overflows": [frame(WINDOW_UPDATE, 0, 0, word(2**31 - 1))] * 2,
    "a window opened by 0": [frame(WINDOW_UPDATE, 0, 0, word(0))],
    "a window update of a wrong length": [frame(WINDOW_UPDATE, 0, 0, b"123")],
    "a window of a stream never opened": [frame(WINDOW_UPDATE, 0, 11, word(1))],
    "a ping of a wrong length": [frame(PING, 0, 0, b"1234567")],
    "a ping on a stream": [frame(PING, 0, 1, b"12345678")],
    "goaway on a stream": [frame(GOAWAY, 0, 1, word(0) + word(0))],
    "goaway of a wrong length": [frame(GOAWAY, 0, 0, b"1234")],
    "push promise of a client": [frame(PUSH_PROMISE, END_HEADERS, 1, word(2) + GET)],
    "continuation of nothing": [frame(CONTINUATION, END_HEADERS, 1, GET)],
    "continuation on stream 0": [frame(HEADERS, 0, 1, GET[:9]),
                                 frame(CONTINUATION, END_HEADERS, 0, GET[9:])],
    "continuation of another stream": [frame(HEADERS, 0, 1, GET[:9]),
                                       frame(CONTINUATION, END_HEADERS, 3, GET[9:])],
    "another frame within a header": [frame(HEADERS, 0, 1, GET[:9]), frame(PING, 0, 0, b"12345678"),
                                      frame(CONTINUATION, END_HEADERS, 1, GET[9:])],
    "data within a header": [frame(HEADERS, 0, 1, GET[:9]), frame(DATA, 0, 1, b"x")],
    "padding longer than the frame": [frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + GET[:20])],
    "data padded longer than the frame": [asked(1, END_HEADERS, POST),
                                          frame(DATA, PADDED, 1, b"\xffxx")],
    "a padded frame without contents": [frame(HEADERS, WHOLE | PADDED, 1)],
    "a frame of 16 MB": [b"\xff\xff\xff" + struct.pack(">BBI", DATA, 0, 1)],
    "a frame longer than allowed": [frame(HEADERS, WHOLE, 1, GET + b"\x00\x01a\x7f" + varint(16300)
                                          + b"y" * 16427)],
    "an index beyond the table": [frame(HEADERS, WHOLE, 1, indexed(1000))],
    "an index of 0": [frame(HEADERS, WHOLE, 1, b"\x80")],
    "a huge integer": [frame(HEADERS, WHOLE, 1, b"\x00\x01a\x7f" + b"\xff" * 12 + b"\x01")],
    "an integer without end": [frame(HEADERS, WHOLE, 1, b"\x00\x01a\x7f" + b"\x80" * 100)],
    "a string longer than its block": [frame(HEADERS, WHOLE, 1, b"\x00\x01a\x7e")],
    "a block that breaks off": [frame(HEADERS, WHOLE, 1, b"\x00")],
    "huffman padding of zeros": [frame(HEADERS, WHOLE, 1, GET + b"\x00\x01a\x81\x00")],
    "huffman padding of a byte": [frame(HEADERS, WHOLE, 1, GET + b"\x00\x01a\x82\x1f\xff")],
    "huffman of the end's own code": [frame(HEADERS, WHOLE, 1, GET + b"\x00\x01a\x84\xff\xff\xff\xff")],
    "a table larger than agreed": [frame(HEADERS, WHOLE, 1, b"\x3f" + varint(2**20) + GET)],
    "a table resized within a block": [frame(HEADERS, WHOLE, 1, GET + b"\x20")],
}


@pytest.mark.parametrize("what", CONNECTION_ERRORS, ids=slug)
def test_ends_the_connection(gateway, hub, service, what):
    with frames.Connection(gateway, hub) as connection:
        with contextlib.suppress(OSError):
            connection.send(*CONNECTION_ERRORS[what])
            # Some only show when more comes.
            connection.send(frame(PING, 0, 0, b"12345678"))
        code = connection.goodbye()
        assert code not in (0,), "no error was told"
        assert connection.read() is None
    assert [head for head, _ in service.requests if b"/api/v1/query" not in head] == []


# What ends a stream; the connection goes on.
STREAM_ERRORS = {
    "a window of a stream opened by 0": (
        [asked(1, END_HEADERS, POST), frame(WINDOW_UPDATE, 0, 1, word(0))]),
    "a window of a stream that overflows": (
        [asked(1, END_HEADERS, POST)] + [frame(WINDOW_UPDATE, 0, 1, word(2**31 - 1))] * 2),
    "a stream that depends on itself": (
        [frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, struct.pack(">IB", 1, 1) + GET)]),
    "trailers with a pseudo header": (
        [asked(1, END_HEADERS, POST), frame(DATA, 0, 1, b"query=up"),
         frame(HEADERS, WHOLE, 1, frames.block([(":path", "/-/quit")]))]),
    "trailers that do not end the stream": (
        [asked(1, END_HEADERS, POST), frame(DATA, 0, 1, b"query=up"),
         frame(HEADERS, END_HEADERS, 1, frames.block([("a", "b")]))]),
}


@pytest.mark.parametrize("what", STREAM_ERRORS, ids=slug)
def test_ends_the_stream(gateway, hub, service, what):
    with frames.Connection(gateway, hub) as connection:
        connection.send(*STREAM_ERRORS[what])
        assert connection.answer(1)[0] in ("reset", "gone", 400)
    assert [head for head, _ in service.requests if b"quit" in head] == []


# What is odd and allowed: the request is answered as any other.
HARMLESS = {
    "frames of no known type": [frame(0x42, 0xff, 0, b"x" * 100), asked()],
    "settings of no known name": [setting(0x4242, 1), asked()],
    "padding": [frame(HEADERS, WHOLE | PADDED, 1, b"\x10" + GET + b"\x00" * 16)],
    "a header in pieces": [frame(HEADERS, END_STREAM, 1, GET[:5]), frame(CONTINUATION, 0, 1, GET[5:7]),
                           frame(CONTINUATION, END_HEADERS, 1, GET[7:])],
    "a table of size 0": [frame(HEADERS, WHOLE, 1, b"\x20" + GET)],
    "goaway before a request": [frame(GOAWAY, 0, 0, word(0) + word(0)), asked()],
    "reserved bits": [frame(HEADERS, WHOLE, 1 | 1 << 31, GET)],
}


@pytest.mark.parametrize("what", HARMLESS, ids=slug)
def test_harms_nobody(gateway, hub, what):
    with frames.Connection(gateway, hub) as connection:
        connection.send(*HARMLESS[what])
        assert connection.answer(1) == (200, b"{}")


def test_a_preface_in_pieces_is_put_together(gateway, hub):
    with frames.Connection(gateway, hub, preface=False) as connection:
        for byte in frames.PREFACE:
            connection.send(bytes([byte]))
        connection.send(frame(SETTINGS, 0, 0), asked())
        assert connection.answer(1) == (200, b"{}")


@pytest.mark.parametrize("first", [
    b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: prometheus\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: prometheus\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", frame(SETTINGS, 0, 0), b"\x00" * 100, b"\xff" * 100,
], ids=["http_1", "h2c", "torn", "none", "zeros", "ones"])
def test_another_preface_is_refused(gateway, hub, service, first):
    with frames.Connection(gateway, hub, preface=False) as connection:
        connection.send(first)
        connection.goodbye()
        assert connection.read() is None
    assert service.requests == []


def test_no_settings_first_is_refused(gateway, hub, service):
    with frames.Connection(gateway, hub, preface=False) as connection:
        connection.send(frames.PREFACE, asked())
        connection.goodbye()
        assert connection.read() is None
    assert service.requests == []


def test_a_small_block_that_unfolds_is_refused(gateway, hub, service):
    """References of one byte each to a header of 4 kB: 40 MB when put together."""
    with frames.Connection(gateway, hub) as connection:
        connection.send(frame(HEADERS, WHOLE, 1, GET + BOMB + indexed(62) * 10000))
        assert connection.answer(1)[0] in (431, "reset", "gone")
    assert service.requests == []


def test_tables_resized_without_end_cost_little(gateway, hub):
    """Each block may resize its table; a thousand of them are only blocks."""
    with frames.Connection(gateway, hub) as connection:
        for i in range(50):
            connection.send(frame(HEADERS, WHOLE, 2 * i + 1, b"\x20" + b"\x3f\xe1\x1f" + GET))
        assert connection.answer(99) == (200, b"{}")


def test_a_stream_that_goes_back_is_not_answered(gateway, hub, service):
    with frames.Connection(gateway, hub) as connection:
        connection.send(asked(5), frame(HEADERS, WHOLE, 3, GET), asked(7))
        assert connection.answer(7) == (200, b"{}")
    assert len(service.requests) == 2


def test_data_after_the_end_is_refused(gateway, hub, service):
    with frames.Connection(gateway, hub) as connection:
        connection.send(asked(1, END_HEADERS, POST), frame(DATA, END_STREAM, 1, b"query=up"),
                        frame(DATA, END_STREAM, 1, b"&more"))
        while connection.read() is not None:
            pass
    assert [body for _, body in service.requests if b"more" in body] == []


def test_resets_that_the_client_provokes_are_counted(gateway, hub):
    """Each stream is made to fail by the gateway itself, so that the client sends no reset."""
    with frames.Connection(gateway, hub) as connection:
        with contextlib.suppress(OSError):
            for i in range(20000):
                connection.send(frame(HEADERS, END_HEADERS, 2 * i + 1, frames.block(POST)),
                                frame(WINDOW_UPDATE, 0, 2 * i + 1, word(0)))
        assert connection.goodbye() in (frames.ENHANCE_YOUR_CALM, 1, None)
        assert connection.read() is None


def test_one_byte_of_data_at_a_time_with_padding_is_a_flood(gateway, hub, service):
    with frames.Connection(gateway, hub) as connection:
        with contextlib.suppress(OSError):
            connection.send(asked(1, END_HEADERS, POST))
            for _ in range(400):
                connection.send(*[frame(DATA, PADDED, 1, b"\x01x\x00")] * 50)
        assert connection.goodbye() in (frames.ENHANCE_YOUR_CALM, None)
    assert service.requests == []


def test_acknowledged_pings_that_nobody_sent_are_ignored(gateway, hub):
    with frames.Connection(gateway, hub) as connection:
        connection.send(frame(PING, 1, 0, b"12345678"), asked())
        assert connection.answer(1) == (200, b"{}")


def test_unknown_frames_do_not_pile_up(gateway, hub):
    with frames.Connection(gateway, hub) as connection:
        for _ in range(200):
            connection.send(*[frame(0x77, 0, 0, b"z" * 16000)] * 4)
        connection.send(asked())
        assert connection.answer(1) == (200, b"{}")


# Pseudo headers and names: group 8.

def without(name):
    return [field for field in frames.get(QUERY) if field[0] != name]


FIELDS = {
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "no authority": without(":authority"),
    "two methods": frames.get(QUERY) + [(":method", "GET")],
    "two paths": without(":path") + [(":path", QUERY), (":path", "/-/quit")],
    "two authorities": frames.get(QUERY) + [(":authority", "other")],
    "two schemes": frames.get(QUERY) + [(":scheme", "https")],
    "a pseudo header after a header": without(":path") + [("accept", "x"), (":path", QUERY)],
    "status in a request": frames.get(QUERY) + [(":status", "200")],
    "protocol without connect": frames.get(QUERY) + [(":protocol", "websocket")],
    "an empty name": frames.get(QUERY) + [("", "x")],
    "a name with a colon": frames.get(QUERY) + [("a:b", "x")],
    "a name with a space before the colon": frames.get(QUERY) + [("accept ", "x")],
    "a name with a line end": frames.get(QUERY) + [("a\r\nb", "x")],
    "a name with a byte above 127": frames.get(QUERY) + [(b"a\xff", "x")],
    "a value with a lone line end": frames.get(QUERY) + [("accept", "x\ry")],
    "a value with a bell": frames.get(QUERY) + [("accept", "x\x07")],
    "an authority with a user": [*without(":authority"), (":authority", "me@prometheus")],
    "an authority with a line end": [*without(":authority"), (":authority", "prometheus\r\nx: y")],
    "an authority with a space": [*without(":authority"), (":authority", "prometheus x")],
    "a path with a line end": [*without(":path"), (":path", QUERY + "\r\nx: y")],
    "a path with a space": [*without(":path"), (":path", "/api/v1/query?query=up x")],
    "two lengths": frames.get(QUERY) + [("content-length", "0"), ("content-length", "1")],
    "a length that is no number": frames.get(QUERY) + [("content-length", "x")],
    "a length above 2^64": frames.get(QUERY) + [("content-length", "99999999999999999999")],
    "a length with a plus": frames.get(QUERY) + [("content-length", "+0")],
    "te of anything but trailers": frames.get(QUERY) + [("te", "gzip")],
    "an upper case pseudo header": without(":path") + [(":Path", QUERY)],
    "an asterisk": [*without(":path"), (":path", "*")],
    "connect with a path": frames.get(QUERY, method="CONNECT"),
    "connect without authority": [(":method", "CONNECT")],
}


@pytest.mark.attack(8)
@pytest.mark.parametrize("what", FIELDS, ids=slug)
def test_fields(gateway, hub, service, what):
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(FIELDS[what])[0] in (400, 403, 501, "reset", "gone")
    assert service.requests == []


# Who may be meant: group 10.

STRIPPED = ["l5d-client-id", "l5d-orig-proto", "l5d-dst-override", "l5d-require-id", "forwarded",
            "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via",
            "x-forwarded-client-cert", "authorization", "proxy-authorization", "cookie", "x-scope-orgid",
            "x-http-method-override", "range", "if-none-match", "expect", "referer"]


@pytest.mark.attack(10)
@pytest.mark.parametrize("name", STRIPPED, ids=slug)
def test_header_does_not_go_on(gateway, hub, service, name):
    with frames.Connection(gateway, hub) as connection:
        status = connection.ask(frames.get(QUERY) + [(name, "of-the-client")])[0]
    assert status in (200, 400, "reset")
    assert not any(b"of-the-client" in head for head, _ in service.requests)
    for head, _ in service.requests:
        lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"l5d-client-id")]
        assert lines == [b"L5d-Client-Id: " + mesh.identity("hub", "hub").encode()]


@pytest.mark.attack(10)
@pytest.mark.parametrize("via", [
    "gateway.atoll.serviceaccount.identity.linkerd.west.mesh.test", "a, b, c, d, e",
    "a,gateway.atoll.serviceaccount.identity.linkerd.west.mesh.test,b"], ids=["itself", "far", "hidden"])
def test_a_request_that_goes_round_is_stopped(gateway, hub, service, via):
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(frames.get(QUERY) + [("atoll-via", via)])[0] == 508
    assert service.requests == []


@pytest.mark.attack(11)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "kubernetes.default.svc",
                                  "metadata.google.internal", "0x7f000001", "prometheus.west"], ids=slug)
def test_no_address_can_be_asked_for(gateway, hub, service, name):
    for authority in (name, f"{name}:{gateway.gateway_port}"):
        with frames.Connection(gateway, hub) as connection:
            assert connection.ask(frames.get("/api/v1/query", authority=authority))[0] == 403
    assert service.requests == []


@pytest.mark.attack(12)
def test_names_asked_for_make_no_new_series(gateway, hub):
    def series():
        return len(peers.http(f"{gateway.url}/metrics").text.splitlines())
    with frames.Connection(gateway, hub) as connection:
        connection.ask(frames.get("/x", authority="first"))
        before = series()
        for i in range(100):
            connection.ask(frames.get(f"/{i}", authority=f"made-up-{i}", method=f"M{i}"))
    assert series() <= before + 1


@pytest.mark.attack(12)
def test_what_is_asked_for_does_not_write_the_log(gateway, hub):
    with frames.Connection(gateway, hub) as connection:
        connection.ask(frames.get("/%0alevel=error msg=forged", authority="a level=error msg=forged"))
        connection.ask(frames.get("/x", authority='b" level=error msg="forged'))
    assert not any(line.startswith("level=error") or ' msg="forged' in line.replace('\\"', "")
                   for line in gateway.output().splitlines())
