"""Certificates, names and handshakes that are not believed: nobody is let in, no byte of HTTP is read,
and the reason is told."""
import contextlib
import datetime
import socket
import ssl
import struct

import forge
import frames
import mesh
import peers
import pytest
from attack_world import (HUB, QUERY, check_that_it_keeps_serving, make_hub_leaf,  # noqa: F401
                          make_trust, slug, start_gateway, start_service)

pytestmark = pytest.mark.usefixtures("keeps_serving")

OPENSSL_TIME = "%Y%m%d%H%M%SZ"


def at(**delta):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(**delta)).strftime(OPENSSL_TIME)


@pytest.fixture(scope="module", name="forger")
def make_forger(trust, tmp_path_factory):
    return forge.Forger(trust, tmp_path_factory.mktemp("forger"))


@pytest.fixture(scope="module", name="issuer")
def make_issuer(trust):
    return trust.issuer("hub")


def total(gateway):
    return sum(float(line.rsplit(" ", 1)[1]) for line in peers.http(f"{gateway.url}/metrics").text.splitlines()
               if line.startswith("atoll_gateway_refused_total{"))


def client(gateway, leaf):
    """A context that presents anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_verify_locations(gateway.tls / "ca.crt")
    if leaf:
        context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    context.set_alpn_protocols(["h2"])
    return context


def assert_refused(gateway, service, leaf):
    """In TLS 1.3 a client learns only with its first read that it was not let in."""
    before = total(gateway)
    answer = b""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain, \
                client(gateway, leaf).wrap_socket(plain, server_hostname=gateway.identity()) as sock:
            sock.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0) + frames.frame(
                frames.HEADERS, 5, 1, frames.block(frames.get(QUERY))))
            while more := sock.recv(65536):
                answer += more
    assert answer == b"", "it was let in"
    peers.eventually(lambda: total(gateway) == before + 1, what="counted as refused")
    assert service.requests == []


RSA = ["rsa", "-pkeyopt"]
CURVE = ["ec", "-pkeyopt"]
SAN = "DNS:" + HUB

# How a leaf of the hub's own issuer, with the hub's name, is wrong all the same.
LEAVES = {
    "expired": lambda: {"start": at(days=-2), "end": at(minutes=-1)},
    "not yet valid": lambda: {"start": at(minutes=2), "end": at(hours=2)},
    "valid for years": lambda: {"end": at(days=800)},
    "valid for 26 hours": lambda: {"end": at(hours=26)},
    "an authority": lambda: {"ca": "critical,CA:TRUE", "usage": "digitalSignature,keyCertSign"},
    "of a server only": lambda: {"purpose": "serverAuth"},
    "of mail": lambda: {"purpose": "emailProtection"},
    "of code": lambda: {"purpose": "codeSigning"},
    "of no purpose": lambda: {"purpose": None},
    "without signatures": lambda: {"usage": "keyAgreement"},
    "that only encrypts": lambda: {"usage": "keyEncipherment"},
    "with a key of RSA 1024": lambda: {"key": RSA + ["rsa_keygen_bits:1024"]},
    "with a key of RSA 2048": lambda: {"key": RSA + ["rsa_keygen_bits:2048"]},
    "with a key of P-192": lambda: {"key": CURVE + ["ec_paramgen_curve:prime192v1"]},
    "with a key of P-224": lambda: {"key": CURVE + ["ec_paramgen_curve:P-224"]},
    "with a key of secp256k1": lambda: {"key": CURVE + ["ec_paramgen_curve:secp256k1"]},
    "with a key of P-521": lambda: {"key": CURVE + ["ec_paramgen_curve:P-521"]},
    "signed with SHA-1": lambda: {"digest": "sha1"},
    "signed with SHA-224": lambda: {"digest": "sha224"},
    "with an extension nobody knows": lambda: {"extra": "1.2.3.4=critical,DER:05:00"},
}


@pytest.mark.attack(1)
@pytest.mark.parametrize("what", LEAVES, ids=slug)
def test_leaf(gateway, service, forger, issuer, what):
    assert_refused(gateway, service, forger.leaf(issuer, SAN, **LEAVES[what]()))


@pytest.mark.attack(1)
def test_no_certificate(gateway, service):
    assert_refused(gateway, service, None)


@pytest.mark.attack(1)
def test_signed_by_itself(gateway, service, forger):
    assert_refused(gateway, service, forger.leaf(None, SAN))


@pytest.mark.attack(1)
def test_another_anchor_of_the_same_name(gateway, service, tmp_path):
    other = mesh.Trust(tmp_path)
    assert_refused(gateway, service, other.leaf("hub", "hub"))


@pytest.mark.attack(1)
def test_another_anchor_sent_along(gateway, service, tmp_path, forger):
    other = mesh.Trust(tmp_path)
    issuer = other.issuer("hub")
    chain = [(place / "tls.crt").read_text() for place in (issuer, other.anchor)]
    assert_refused(gateway, service, forger.leaf(issuer, SAN, chain=chain))


@pytest.mark.attack(1)
def test_signed_by_a_leaf(gateway, service, forger, issuer, hub):
    chain = [(hub / "tls.crt").read_text()]
    assert_refused(gateway, service, forger.leaf(hub, SAN, chain=chain))


@pytest.mark.attack(1)
def test_signed_by_the_anchor(gateway, service, forger, trust):
    assert_refused(gateway, service, forger.leaf(trust.anchor, SAN, chain=[]))


@pytest.mark.attack(1)
def test_issuer_not_sent(gateway, service, forger, issuer):
    assert_refused(gateway, service, forger.leaf(issuer, SAN, chain=[]))


@pytest.mark.attack(1)
def test_chain_longer_than_allowed(gateway, service, forger, trust):
    loose = forger.authority(trust.anchor, ca="critical,CA:TRUE")
    for _ in range(8):
        loose = forger.authority(loose, ca="critical,CA:TRUE")
    assert_refused(gateway, service, forger.leaf(loose, SAN))


@pytest.mark.attack(1)
def test_a_thousand_names(gateway, service, forger, issuer):
    san = forge.names(*[(0x82, f"n{i}.{HUB}".encode()) for i in range(1000)])
    assert_refused(gateway, service, forger.leaf(issuer, san))


@pytest.mark.attack(1)
@pytest.mark.parametrize("count", [40, 110])
def test_a_chain_of_copies(gateway, service, forger, issuer, count):
    """20 kB and 60 kB, in which the right chain is found."""
    text = (issuer / "tls.crt").read_text()
    assert_refused(gateway, service, forger.leaf(issuer, SAN, chain=[text] * count))


@pytest.mark.attack(1)
def test_certificates_sent_twice_do_no_harm(gateway, forger, issuer):
    """Allowed: the chain that counts is built from them."""
    text = (issuer / "tls.crt").read_text()
    leaf = forger.leaf(issuer, SAN, chain=[text, text])
    with frames.Connection(gateway, leaf) as connection:
        assert connection.ask(frames.get(QUERY)) == (200, b"{}")


# Names of an otherwise good leaf: none of these is the hub.
NAMES = {
    "none": None,
    "an empty one": forge.dns(""),
    "of another form": "DNS:hub.mesh.test",
    "of another cluster": "DNS:" + mesh.identity("hub", "north"),
    "of the mesh itself": "DNS:hub.atoll.serviceaccount.identity.linkerd.mesh.test",
    "of a cluster below": "DNS:" + mesh.identity("hub", "x.hub"),
    "of a cluster whose name ends alike": "DNS:" + mesh.identity("hub", "xhub"),
    "a wildcard": "DNS:*.atoll.serviceaccount.identity.linkerd.hub.mesh.test",
    "a wildcard of everything": "DNS:*",
    "with a NUL": forge.dns(HUB.encode() + b"\0.evil.test"),
    "with a NUL at the end": forge.dns(HUB.encode() + b"\0"),
    "with a dot at the end": forge.dns(HUB + "."),
    "with a dot at the start": forge.dns("." + HUB),
    "in capitals": forge.dns(HUB.upper()),
    "with a space": forge.dns(HUB + " "),
    "with a line end": forge.dns(HUB + "\n"),
    "of letters that look alike": forge.dns(HUB.replace("hub.mesh", "xn--hub-5cd.mesh")),
    "in UTF-8": forge.dns(HUB.replace("a", "а").encode()),
    "of 254 bytes": forge.dns("n" * 63 + "." + "n" * 63 + "." + "n" * (254 - 128 - len(HUB) - 1) + "." + HUB),
    "of 300 bytes": forge.dns("n" * (299 - len(HUB)) + "." + HUB),
    "twice": forge.names((0x82, HUB.encode()), (0x82, HUB.encode())),
    "and another": forge.names((0x82, HUB.encode()), (0x82, mesh.identity("other", "hub").encode())),
    "and an address": forge.names((0x82, HUB.encode()), (0x87, bytes([10, 0, 0, 1]))),
    "and a mail address": forge.names((0x82, HUB.encode()), (0x81, b"me@" + HUB.encode())),
    "and a URI": forge.names((0x82, HUB.encode()), (0x86, b"spiffe://hub.mesh.test/ns/atoll/sa/hub")),
    "and a URI with a port": forge.names((0x82, HUB.encode()), (0x86, b"spiffe://hub.mesh.test:1/x")),
    "and one of another kind": SAN + ",otherName:1.2.3.4;UTF8:" + HUB,
    "and a registered number": SAN + ",RID:1.2.3.4",
    "as a URI only": "URI:spiffe://hub.mesh.test/ns/atoll/sa/hub",
    "as a mail address only": forge.names((0x81, b"hub@hub.mesh.test")),
    "an address only": "IP:127.0.0.1",
}


@pytest.mark.attack(2)
@pytest.mark.parametrize("what", NAMES, ids=slug)
def test_name(gateway, service, forger, issuer, what):
    assert_refused(gateway, service, forger.leaf(issuer, NAMES[what]))


@pytest.mark.attack(2)
def test_the_common_name_is_no_name(gateway, service, forger, issuer):
    assert_refused(gateway, service, forger.leaf(issuer, None, subject=HUB[:64]))


@pytest.mark.attack(2)
def test_another_identity_of_the_same_cluster_is_let_in_and_allowed_nothing(gateway, service, forger, issuer):
    leaf = forger.leaf(issuer, "DNS:" + mesh.identity("other", "hub"))
    with frames.Connection(gateway, leaf) as connection:
        assert connection.ask(frames.get(QUERY))[0] == 403
    assert service.requests == []


# Issuers signed by the anchor that are limited otherwise than ours: each signs the hub's name.
LIMITS = {
    "nothing": "",
    "another cluster": "nameConstraints=critical,permitted;DNS:north.mesh.test",
    "the whole mesh": "nameConstraints=critical,permitted;DNS:mesh.test",
    "two clusters": "nameConstraints=critical,permitted;DNS:hub.mesh.test,permitted;DNS:north.mesh.test",
    "all but another cluster": "nameConstraints=critical,excluded;DNS:north.mesh.test",
    "addresses": "nameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0",
    "less than the cluster": "nameConstraints=critical,permitted;DNS:x.hub.mesh.test",
}


@pytest.mark.attack(3)
@pytest.mark.parametrize("what", LIMITS, ids=slug)
def test_issuer_limited_to(gateway, service, forger, trust, what):
    issuer = forger.authority(trust.anchor, extra=LIMITS[what])
    assert_refused(gateway, service, forger.leaf(issuer, SAN))


@pytest.mark.attack(3)
@pytest.mark.parametrize("how", [
    {"ca": "critical,CA:FALSE"}, {"start": "20200101000000Z", "end": "20210101000000Z"},
    {"start": "20490101000000Z", "end": "20491231000000Z"}, {"digest": "sha1"},
    {"key": RSA + ["rsa_keygen_bits:1024"]}, {"key": CURVE + ["ec_paramgen_curve:prime192v1"]},
], ids=["no_authority", "expired", "not_yet_valid", "sha_1", "rsa_1024", "p_192"])
def test_issuer(gateway, service, forger, trust, how):
    limits = "nameConstraints=critical,permitted;DNS:hub.mesh.test"
    issuer = forger.authority(trust.anchor, extra=limits, **how)
    assert_refused(gateway, service, forger.leaf(issuer, SAN))


@pytest.mark.attack(3)
def test_issuer_of_another_cluster(gateway, service, forger, trust):
    assert_refused(gateway, service, forger.leaf(trust.issuer("north"), SAN))


@pytest.mark.attack(3)
def test_a_leaf_that_ends_while_its_connection_is_open_is_cut_off(gateway, forger, issuer):
    leaf = forger.leaf(issuer, SAN, start=at(minutes=-1), end=at(seconds=3))
    with frames.Connection(gateway, leaf) as connection:
        assert connection.ask(frames.get(QUERY)) == (200, b"{}")
        while connection.read() is not None:
            pass
    assert "has expired" in gateway.output() or "expired" in gateway.output()


# Handshakes.

def hello(body_length=None, record=0x16, version=b"\x03\x01", body=b""):
    length = len(body) if body_length is None else body_length
    return bytes([record]) + version + struct.pack(">H", length) + body


def client_hello(gateway, **how):
    """The bytes of an honest client's first message."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client(gateway, None)
    context.set_alpn_protocols(how.get("alpn", ["h2"]))
    connection = context.wrap_bio(incoming, outgoing, server_hostname=how.get("name", gateway.identity()))
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


RAW = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http 2 in the clear": frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "the proxy protocol": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
    "the proxy protocol 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\0" * 12,
    "an sslv2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\0" * 37,
    "zeros": b"\0" * 5000,
    "ones": b"\xff" * 5000,
    "a record of 64 kilobytes": hello(65535, body=b"\1" * 65535),
    "a record of no kind": hello(record=0x42, body=b"x" * 50),
    "an alert first": hello(record=0x15, body=b"\2\x28"),
    "data first": hello(record=0x17, body=b"x" * 50),
    "a heartbeat": hello(record=0x18, body=b"\1\xff\xff" + b"x" * 16),
    "a change of ciphers first": hello(record=0x14, body=b"\1"),
    "a hello of 16 megabytes": hello(body=b"\1\xff\xff\xff" + b"x" * 16000),
    "a finished first": hello(body=b"\x14\0\0\x20" + b"x" * 32),
}


@pytest.mark.attack(4)
@pytest.mark.parametrize("what", RAW, ids=slug)
def test_first_bytes(gateway, service, what):
    before = total(gateway)
    answer = b""
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain:
        with contextlib.suppress(ConnectionError):
            plain.sendall(RAW[what])
            plain.shutdown(socket.SHUT_WR)
            while more := plain.recv(4096):
                answer += more
    assert b"HTTP" not in answer and len(answer) < 100
    peers.eventually(lambda: total(gateway) == before + 1, what="counted as refused")
    assert service.requests == []


@pytest.mark.attack(4)
@pytest.mark.parametrize("cut", [1, 5, 6, 50, -1])
def test_a_hello_that_breaks_off(gateway, cut):
    before = total(gateway)
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain:
        plain.sendall(client_hello(gateway)[:cut])
    peers.eventually(lambda: total(gateway) == before + 1, what="counted as refused")


@pytest.mark.attack(4)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2],
                         ids=["1_0", "1_1", "1_2"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls(gateway, hub, service, version):
    context = client(gateway, hub)
    context.minimum_version, context.maximum_version = version, version
    before = total(gateway)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain:
            context.wrap_socket(plain, server_hostname=gateway.identity())
    peers.eventually(lambda: total(gateway) == before + 1, what="counted as refused")


@pytest.mark.attack(4)
@pytest.mark.parametrize("offers", [["http/1.1"], ["h3"], ["h2c"], ["transport.l5d.io/v1"], ["x" * 255],
                                    ["atoll-reverse/1"]], ids=lambda offers: slug(offers[0][:30]))
def test_protocol(gateway, hub, service, offers):
    context = client(gateway, hub)
    context.set_alpn_protocols(offers)
    before = total(gateway)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain:
            context.wrap_socket(plain, server_hostname=gateway.identity())
    peers.eventually(lambda: total(gateway) == before + 1, what="counted as refused")


@pytest.mark.attack(4)
def test_a_protocol_among_unknown_ones_is_taken(gateway, hub):
    context = client(gateway, hub)
    context.set_alpn_protocols(["http/1.1", "h3", "h2"])
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain, \
            context.wrap_socket(plain, server_hostname=gateway.identity()) as sock:
        assert sock.selected_alpn_protocol() == "h2"


@pytest.mark.attack(4)
@pytest.mark.parametrize("name", ["other.test", "x" * 60 + "." + "y" * 60 + ".test", "127.0.0.1"],
                         ids=["other", "long", "address"])
def test_a_server_name_decides_nothing(gateway, hub, name):
    """Certificates do; what a client calls us changes neither who we are nor what it may."""
    context = client(gateway, hub)
    context.check_hostname = False
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain, \
            context.wrap_socket(plain, server_hostname=name) as sock:
        subject = sock.getpeercert()["subjectAltName"]
    assert subject == (("DNS", gateway.identity()),)


@pytest.mark.attack(4)
def test_no_session_is_resumed(gateway, hub):
    context = client(gateway, hub)
    with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain, \
            context.wrap_socket(plain, server_hostname=gateway.identity()) as sock:
        sock.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
        assert sock.recv(1)
        assert sock.session is None or not sock.session.has_ticket


@pytest.mark.attack(4)
def test_records_of_one_byte_are_put_together(gateway, hub):
    with frames.Connection(gateway, hub) as connection:
        for byte in frames.frame(frames.HEADERS, 5, 1, frames.block(frames.get(QUERY))):
            connection.send(bytes([byte]))
        assert connection.answer(1) == (200, b"{}")


@pytest.mark.attack(4)
def test_garbage_within_a_connection_ends_it(gateway, hub, service):
    with frames.Connection(gateway, hub) as connection:
        plain = socket.socket(fileno=connection.socket.detach())
        with plain:
            plain.settimeout(30)
            with contextlib.suppress(ConnectionError):
                plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
                while plain.recv(4096):
                    pass
    assert service.requests == []
