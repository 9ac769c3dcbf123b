"""What no honest client sends: the gateway refuses it, and the service behind sees none of it."""
import contextlib
import os
import pathlib
import socket
import ssl
import stat
import struct
import threading

import frames
import mesh
import peers
import pytest
from attack_world import (HUB, QUERY, check_that_it_keeps_serving, make_hub_leaf,  # noqa: F401
                          make_trust, refused, start_gateway, start_service)

pytestmark = pytest.mark.usefixtures("keeps_serving")


# Who gets in.

@pytest.mark.attack(4)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_older_tls_is_refused(gateway, hub):
    before = refused(gateway, "protocol")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        frames.Connection(gateway, hub, version=ssl.TLSVersion.TLSv1_2)
    peers.eventually(lambda: refused(gateway, "protocol") == before + 1, what="counted")
    assert any("peer refused" in line and "unsupported protocol" in line
               for line in gateway.output().splitlines())


@pytest.mark.attack(4)
@pytest.mark.parametrize("alpn", ["http/1.1", "atoll"])
def test_another_protocol_than_http2_is_refused(gateway, hub, alpn):
    before = refused(gateway, "protocol")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        frames.Connection(gateway, hub, alpn=alpn)
    peers.eventually(lambda: refused(gateway, "protocol") == before + 1, what="counted")
    assert "peer offers none of our protocols" in gateway.output()


@pytest.mark.attack(4)
def test_no_protocol_at_all_is_refused(gateway, hub):
    before = refused(gateway, "protocol")
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with frames.Connection(gateway, hub, alpn=None) as connection:
            assert connection.read() is None
    peers.eventually(lambda: refused(gateway, "protocol") == before + 1, what="counted")


@pytest.mark.attack(4)
def test_what_is_not_tls_is_refused(gateway):
    before = refused(gateway, "protocol")
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=20) as plain:
        plain.sendall(b"GET " + QUERY.encode() + b" HTTP/1.1\r\nHost: prometheus\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            while more := plain.recv(4096):
                answer += more
        assert b"HTTP" not in answer
    peers.eventually(lambda: refused(gateway, "protocol") == before + 1, what="counted")


@pytest.mark.attack(3)
def test_an_issuer_without_limits_is_refused(gateway, trust):
    """Signed by the anchor itself: only our own check stands in its way."""
    loose = trust.loose_issuer("hub")
    before = refused(gateway, "identity")
    leaf = trust.forge("hub", "DNS:" + HUB, "loose", issuer=loose)
    code, status, _ = gateway.curl(leaf, QUERY)
    assert code != 0 and status == 0
    peers.eventually(lambda: refused(gateway, "identity") == before + 1, what="counted")
    assert "it is not limited to" in gateway.output()


@pytest.mark.attack(3)
def test_an_issuer_cannot_name_other_clusters_even_by_an_issuer_of_its_own(gateway, trust):
    """north signs an issuer for hub: its path length is 0, and its constraints do not fit."""
    below = trust.loose_issuer("hub", signer=trust.issuer("north"), label="below")
    before = gateway.metric('atoll_gateway_refused_total{reason="certificate"}')
    leaf = trust.forge("hub", "DNS:" + HUB, "below-leaf", issuer=below)
    assert gateway.curl(leaf, QUERY)[0] != 0
    peers.eventually(lambda: gateway.metric(
        'atoll_gateway_refused_total{reason="certificate"}') == before + 1, what="counted")


@pytest.mark.attack(13)
def test_keys_are_readable_by_their_owner_only(trust, tmp_path):
    old = os.umask(0)
    try:
        fresh = mesh.Trust(tmp_path)
        places = [fresh.anchor, fresh.issuer("west"), fresh.leaf("gateway", "west")]
        fresh.leaf("gateway", "west")
    finally:
        os.umask(old)
    for place in places:
        assert stat.S_IMODE(place.stat().st_mode) == 0o700, place
        keys = [path for path in pathlib.Path(place).rglob("*.key") if not path.is_symlink()]
        assert len(keys) == 1, "a replaced key is gone"
        assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600, keys[0]


# What may be asked.

def assert_denied(gateway, hub, service, fields, expected, body=None):
    with frames.Connection(gateway, hub) as connection:
        status, text = connection.ask(fields, body)
    assert status in expected, (status, text)
    assert service.requests == [], "the service saw something of it"


@pytest.mark.attack(10)
@pytest.mark.parametrize("path", [
    "//api/v1/../admin/tsdb/snapshot", "/api/v1/../v1/query", "/api/v1/query/../../admin",
    "/%2e%2e/api/v1/query", "/api/v1/%2e%2e/%2e%2e/-/quit", "/api/v1/query%00", "/api/v1/query%2f..",
    "/api/v1\\query", "/-/ready/../quit", "/-/ready%2f..%2fquit", "/api/v1/query;jsessionid=1",
    "/API/v1/query", "/api/v1/query/", "/api//v1/query", "/./api/v1/query", "/-/quit", "/-/reload",
    "/api/v1/label/%2e%2e/values", "/api/v1/label/a/b/values", "/api/v1/label//values",
])
def test_no_spelling_of_a_path_gets_around_the_list(gateway, hub, service, path):
    for method in ("GET", "POST"):
        assert_denied(gateway, hub, service, frames.get(path, method=method), (403,))


@pytest.mark.attack(8)
@pytest.mark.parametrize("path", [
    "http://127.0.0.1/api/v1/query", "prometheus/api/v1/query", "", "*", "?query=up", "/x y",
    "/api/v1/query HTTP/1.1\r\nHost: evil\r\n\r\nGET /-/quit", "/api/v1/query#fragment",
    "/api/v1/query\x00", "/api/v1/query\tx",
])
def test_what_is_no_path_is_refused(gateway, hub, service, path):
    assert_denied(gateway, hub, service, frames.get(path), (400, 403, "reset", "gone"))


@pytest.mark.attack(10)
@pytest.mark.parametrize("path", [
    "/api/v1/metadata", "/api/v1/rules", "/api/v1/alerts", "/api/v1/targets", "/federate",
    "/api/v1/label/job/values", "/api/v1/status/buildinfo", "/-/ready",
])
def test_a_form_posted_to_what_is_only_read_is_refused(gateway, hub, service, path):
    fields = frames.get(path, method="POST") + [
        ("content-type", "application/x-www-form-urlencoded")]
    assert_denied(gateway, hub, service, fields, (405,), b"match[]=up")


@pytest.mark.attack(10)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "multipart/form-data"])
def test_a_post_of_anything_but_a_form_is_refused(gateway, hub, service, content_type):
    fields = frames.get(QUERY, method="POST")
    if content_type:
        fields += [("content-type", content_type)]
    assert_denied(gateway, hub, service, fields, (415,), b"query=up")


@pytest.mark.attack(10)
def test_a_get_with_a_body_is_refused(gateway, hub, service):
    assert_denied(gateway, hub, service, frames.get(QUERY), (415,), b"query=up")


@pytest.mark.attack(8)
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "PRI", "get", "G T", "GET\r\n"])
def test_other_methods_are_refused(gateway, hub, service, method):
    assert_denied(gateway, hub, service, frames.get(QUERY, method=method),
                  (400, 405, "reset", "gone"))


@pytest.mark.attack(8)
def test_connect_is_refused(gateway, hub, service):
    plain = [(":method", "CONNECT"), (":authority", "127.0.0.1:22")]
    assert_denied(gateway, hub, service, plain, (501, "reset", "gone"))
    extended = frames.get(QUERY, method="CONNECT") + [(":protocol", "websocket")]
    assert_denied(gateway, hub, service, extended, (501, "reset", "gone"))


@pytest.mark.attack(10)
def test_a_method_override_overrides_nothing(gateway, hub, service):
    fields = frames.get(QUERY + "&_method=DELETE") + [
        ("x-http-method-override", "DELETE"), ("x-http-method", "PUT"), ("x-method-override", "POST"),
        ("x-original-url", "/-/quit"), ("x-rewrite-url", "/-/quit"), ("x-forwarded-host", "evil")]
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(fields)[0] == 200
    (head, body), = service.requests
    assert head.startswith(b"GET /api/v1/query?query=up&_method=DELETE HTTP/1.1\r\n") and not body
    assert b"verride" not in head and b"quit" not in head and b"evil" not in head


@pytest.mark.attack(8)
@pytest.mark.parametrize("name,value", [
    ("transfer-encoding", "chunked"), ("connection", "upgrade"), ("upgrade", "h2c"),
    ("keep-alive", "1"), ("te", "chunked"), ("proxy-connection", "close"), ("content-length", "5"),
    ("content-length", "0, 5"), ("content-length", "-1"), ("Accept", "x"), ("a b", "x"),
    ("accept", "x\r\nX-Evil: 1"), ("accept", "x\nX-Evil: 1"), ("accept", "x\x00"),
    (":path", "/-/quit"), (":unknown", "x"), ("host", "other"),
])
def test_headers_that_smuggle_are_refused(gateway, hub, service, name, value):
    fields = frames.get(QUERY) + [(name, value)]
    assert_denied(gateway, hub, service, fields, (400, "reset", "gone"))


@pytest.mark.attack(8)
def test_a_body_of_another_length_than_said_is_refused(gateway, hub, service):
    for said, body in (("4", b"query=up"), ("80", b"query=up")):
        fields = frames.get("/api/v1/query", method="POST") + [
            ("content-type", "application/x-www-form-urlencoded"), ("content-length", said)]
        assert_denied(gateway, hub, service, fields, ("reset", "gone"), body)


@pytest.mark.attack(10)
def test_a_form_with_a_request_inside_stays_a_body(gateway, hub, service):
    inside = b"query=up\r\n\r\nPOST /-/quit HTTP/1.1\r\nHost: x\r\n\r\n"
    fields = frames.get("/api/v1/query", method="POST") + [
        ("content-type", "application/x-www-form-urlencoded")]
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(fields, inside)[0] == 200
    (head, body), = service.requests
    assert body == inside and b"Transfer-Encoding" not in head


@pytest.mark.attack(10)
def test_the_authority_is_matched_exactly(gateway, hub, service):
    for name in ("prometheus:443", "PROMETHEUS", "prometheus.", "user@prometheus", "[::1]", "atoll.",
                 "prometheus/..", "127.0.0.1", "", "prometheus,prometheus"):
        assert_denied(gateway, hub, service, frames.get(QUERY, authority=name), (400, 403, "reset"))


# Floods.

def flood(gateway, hub, pieces, repeat=20000):
    """Sends 'pieces' of a flood until the gateway has enough; returns its GOAWAY's code."""
    before = gateway.metric('atoll_http_refusals_total{reason="flood"}')
    with frames.Connection(gateway, hub) as connection:
        with contextlib.suppress(OSError):
            for at in range(0, repeat, 100):
                connection.send(*(piece for i in range(at, at + 100) for piece in pieces(i)))
        code = connection.goodbye()
    peers.eventually(lambda: gateway.metric(
        'atoll_http_refusals_total{reason="flood"}') == before + 1, what="counted as a flood")
    return code


def opened(i, flags=frames.END_HEADERS | frames.END_STREAM):
    return frames.frame(frames.HEADERS, flags, 2 * i + 1, frames.block(frames.get("/nowhere")))


@pytest.mark.attack(7)
@pytest.mark.parametrize("name,pieces", [
    ("resets", lambda i: (opened(i), frames.frame(
        frames.RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8)))),
    ("pings", lambda i: (frames.frame(frames.PING, 0, 0, b"12345678"),)),
    ("settings", lambda i: (frames.frame(frames.SETTINGS, 0, 0),)),
    ("priorities", lambda i: (frames.frame(frames.PRIORITY, 0, 1, struct.pack(">IB", 0, 1)),)),
    ("empty data", lambda i: (*([opened(0, frames.END_HEADERS)] if i == 0 else []),
                              frames.frame(frames.DATA, 0, 1))),
    ("windows", lambda i: (frames.frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),)),
])
def test_a_flood_ends_its_connection(gateway, hub, service, name, pieces):
    assert flood(gateway, hub, pieces) in (frames.ENHANCE_YOUR_CALM, None)
    assert service.requests == []


@pytest.mark.attack(7)
def test_a_header_without_end_is_cut(gateway, hub, service):
    with frames.Connection(gateway, hub) as connection:
        with contextlib.suppress(OSError):
            connection.send(frames.frame(frames.HEADERS, 0, 1, frames.block(frames.get(QUERY))))
            for _ in range(1000):
                connection.send(frames.frame(frames.CONTINUATION, 0, 1, b""))
        connection.goodbye()
        assert connection.read() is None
    assert service.requests == []


@pytest.mark.attack(7)
def test_a_long_header_is_refused(gateway, hub, service):
    fields = frames.get(QUERY) + [(f"x-{i}", "y" * 1000) for i in range(14)]
    with frames.Connection(gateway, hub) as connection:
        assert connection.ask(fields)[0] == 200
    service.requests.clear()
    fields = frames.get(QUERY) + [(f"x{i}", "") for i in range(1900)]
    assert_denied(gateway, hub, service, fields, (431,))


@pytest.mark.attack(7)
def test_more_streams_than_allowed_are_refused_not_queued(gateway, hub):
    """Requests that never end: the connection holds 128 of them, and answers others go on."""
    with frames.Connection(gateway, hub) as connection:
        connection.send(*(opened(i, frames.END_HEADERS) for i in range(200)))
        connection.stream = 2 * 200 - 1
        assert connection.answer(2 * 150 + 1)[0] in ("reset", "gone")


# Slowness.

@pytest.mark.attack(5)
def test_silent_connections_do_not_keep_others_out(gateway, hub):
    """More than the gateway holds at once, none of which says a word of TLS."""
    silent = [socket.create_connection((peers.HOST, gateway.gateway_port)) for _ in range(700)]
    try:
        assert gateway.curl(hub, QUERY, "--connect-timeout", "5")[:2] == (0, 200)
    finally:
        for plain in silent:
            plain.close()


@pytest.mark.attack(5)
def test_one_identity_does_not_take_all_connections(gateway, trust, hub):
    other = trust.leaf("other", "hub")
    with contextlib.ExitStack() as stack:
        before = refused(gateway, "limit")
        for _ in range(80):
            with contextlib.suppress(OSError):
                stack.enter_context(frames.Connection(gateway, other))
        peers.eventually(lambda: refused(gateway, "limit") == before + 16, what="16 refused")
        with frames.Connection(gateway, hub) as connection:
            assert connection.ask(frames.get(QUERY))[0] == 200
        assert f"{mesh.identity('other', 'hub')} has 64 connections" in gateway.output()


@pytest.mark.attack(7)
def test_a_window_that_never_opens_costs_little_and_harms_nobody(gateway, hub):
    with frames.Connection(gateway, hub, window=0) as connection:
        streams = [connection.request(frames.get(QUERY)) for _ in range(60)]
        with frames.Connection(gateway, hub) as other:
            assert other.ask(frames.get(QUERY))[0] == 200
        update = struct.pack(">I", 100)
        connection.send(frames.frame(frames.WINDOW_UPDATE, 0, streams[0], update))
        assert connection.answer(streams[0]) == (200, b"{}")
