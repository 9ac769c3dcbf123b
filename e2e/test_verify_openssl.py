"""What openssl's own verification says of name constraints, and what a gateway does: they agree, but where
a gateway is stricter by its own rules, which is written beside each such case (docs/trust.md)."""
import contextlib
import socket
import ssl
import subprocess

import forge
import mesh
import peers
import pytest
from attack_world import make_trust, slug, start_gateway, start_service  # noqa: F401

WEST = f"west.{mesh.DOMAIN}"
EAST = f"east.{mesh.DOMAIN}"
WEST_NAME = mesh.identity("p", "west")
EAST_NAME = mesh.identity("p", "east")
OK = None

DNS_ONLY = f"permitted;DNS:{WEST}"
FULL = f"permitted;DNS:{WEST},permitted;URI:{WEST},excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::"
SUBDOMAINS = f"permitted;URI:.{WEST}"
OURS = FULL + ",permitted;email:invalid.invalid"

PERMITTED, EXCLUDED, SYNTAX = 47, 48, 53
ONE_DNS = "only one DNS name is allowed"
NO_DOMAIN = "its name constraints permit no domain"

# Issuer's constraints, leaf's names, leaf's subject; openssl's error or OK; ours, if it is stricter, by why.
CASES = [
    (DNS_ONLY, f"DNS:{WEST_NAME}", "leaf", OK, OK),
    (DNS_ONLY, f"DNS:{EAST_NAME}", "leaf", PERMITTED, OK),
    (DNS_ONLY, f"URI:spiffe://{EAST}/ns/a/sa/b", "no host name", OK, ONE_DNS),
    (DNS_ONLY, f"DNS:{WEST_NAME}", EAST_NAME, OK, OK),  # The common name means nothing to either.
    (DNS_ONLY, None, EAST_NAME, PERMITTED, OK),
    (DNS_ONLY, None, WEST_NAME, OK, "it has no subject alternative names"),
    (FULL, f"DNS:{WEST_NAME}", "leaf", OK, OK),
    (FULL, f"URI:spiffe://{WEST}/ns/a/sa/b", "leaf", OK, ONE_DNS),
    (FULL, f"DNS:{WEST_NAME},URI:spiffe://{WEST}/ns/a/sa/b", "leaf", OK, ONE_DNS),
    (FULL, f"URI:spiffe://{EAST}/ns/a/sa/b", "leaf", PERMITTED, OK),
    (FULL, f"URI:spiffe://sub.{WEST}/", "leaf", PERMITTED, OK),
    (FULL, f"URI:spiffe://u@{WEST}/", "leaf", PERMITTED, OK),
    (FULL, f"URI:spiffe://{EAST}@{WEST}/", "leaf", PERMITTED, OK),
    (FULL, f"URI:spiffe://{WEST}:443/", "leaf", OK, ONE_DNS),
    (FULL, f"URI:spiffe:{WEST}", "leaf", SYNTAX, OK),
    (FULL, "IP:10.0.0.1", "leaf", EXCLUDED, OK),
    (FULL, "IP:fd00::1", "leaf", EXCLUDED, OK),
    (FULL, f"email:a@{EAST}", "leaf", OK, ONE_DNS),
    (FULL, f"DNS:{WEST_NAME},email:a@{EAST}", "leaf", OK, ONE_DNS),
    (OURS, f"DNS:{WEST_NAME},email:a@{EAST}", "leaf", PERMITTED, OK),
    (FULL, f"DNS:*.{WEST}", "leaf", OK, "has a wildcard"),
    (FULL, f"DNS:*.a.serviceaccount.identity.linkerd.{WEST}", "leaf", OK, "has a wildcard"),
    (FULL, f"DNS:evil{WEST}", "leaf", PERMITTED, OK),
    (FULL, f"DNS:{WEST_NAME.upper()}", "leaf", OK, "is malformed"),
    (FULL, f"DNS:{WEST_NAME},DNS:{mesh.identity('q', 'west')}", "leaf", OK, "it has 2 DNS names"),
    (FULL, f"DNS:{WEST_NAME},DNS:{EAST_NAME}", "leaf", PERMITTED, OK),
    (SUBDOMAINS, f"URI:spiffe://{WEST}/", "leaf", PERMITTED, OK),
    (SUBDOMAINS, f"URI:spiffe://a.{WEST}/", "leaf", OK, ONE_DNS),
    (SUBDOMAINS, f"DNS:{EAST_NAME}", "leaf", OK, NO_DOMAIN),
    (None, f"DNS:{WEST_NAME}", "leaf", OK, "it is not limited to a trust domain"),
    (f"permitted;DNS:{mesh.DOMAIN}", f"DNS:{WEST_NAME}", "leaf", OK,
     f"it belongs to trust domain {mesh.DOMAIN}"),
    (f"permitted;DNS:{WEST},permitted;DNS:{EAST}", f"DNS:{EAST_NAME}", "leaf", OK,
     "permit several domains"),
    (f"excluded;DNS:{EAST}", f"DNS:{WEST_NAME}", "leaf", OK, NO_DOMAIN),
    (OURS, f"DNS:{WEST_NAME}", "leaf", OK, OK),
]


@pytest.fixture(scope="module", name="forger")
def make_forger(trust, tmp_path_factory):
    return forge.Forger(trust, tmp_path_factory.mktemp("forger"))


@pytest.fixture(scope="module", name="issuers")
def make_issuers(trust, forger):
    return {text: forger.authority(trust.anchor,
                                   extra=f"nameConstraints=critical,{text}" if text else "")
            for text in {case[0] for case in CASES}}


def openssl_error(trust, issuer, leaf):
    """0, or the number of what openssl has against it."""
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile",
         str(trust.anchor / "ca.crt"), "-untrusted", str(issuer / "tls.crt"), str(leaf / "alone.crt")],
        capture_output=True, text=True)
    said = done.stdout + done.stderr
    return 0 if done.returncode == 0 else int(said.partition("error ")[2].split()[0])


def is_let_in(gateway, leaf):
    """Whether the gateway speaks HTTP with that client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(gateway.tls / "ca.crt")
    context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    context.set_alpn_protocols(["h2"])
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with socket.create_connection((peers.HOST, gateway.gateway_port), timeout=30) as plain, \
                context.wrap_socket(plain, server_hostname=gateway.identity()) as sock:
            return sock.recv(1) != b""
    return False


@pytest.mark.parametrize("case", CASES, ids=lambda case: slug(f"{case[0]} {case[1]} {case[2]}"))
def test_a_gateway_agrees_with_openssl_or_is_stricter(gateway, trust, forger, issuers, case):
    constraints, san, subject, openssl, stricter = case
    issuer = issuers[constraints]
    leaf = forger.leaf(issuer, san, subject=subject)
    assert openssl_error(trust, issuer, leaf) == (openssl or 0)
    heard = len(gateway.output())
    assert is_let_in(gateway, leaf) == (openssl is OK and stricter is OK)
    if stricter:
        peers.eventually(lambda: "peer refused" in gateway.output()[heard:])
        assert stricter in gateway.output()[heard:]
