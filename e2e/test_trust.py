"""The certificates of a mesh, as its operators handle them."""
import subprocess

import mesh
import peers
import pytest


@pytest.fixture(name="trust")
def make_trust(tmp_path):
    return mesh.Trust(tmp_path / "trust")


def fails(*argv):
    """Runs a command that must fail; returns what it says and its exit code."""
    done = subprocess.run([peers.atoll(), *map(str, argv)], capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
    return done.stderr, done.returncode


def keeping(directory, issuer, *leaves, name="keeper"):
    return peers.Program(directory, name, [
        peers.atoll(), "trust", "keep", f"--issuer={issuer}", *leaves], ready=None)


def believed_by(leaf):
    """The digests of the anchors in a directory's ca.crt."""
    lines = mesh.atoll("trust", "bundle", leaf).splitlines()
    return {line.split()[0] for line in lines[1:]}


def other_anchor(trust, name="other"):
    directory = trust.directory / name
    mesh.atoll("trust", "init", "--directory", directory, "--mesh-domain", mesh.DOMAIN)
    return directory


def certificate(directory):
    return (directory / "tls.crt").read_text()


def test_a_new_issuer_takes_over_and_its_keeper_renews_at_once(tmp_path, trust):
    leaf = trust.leaf("gateway", "west")
    issuer = trust.issuer("west")
    old = certificate(issuer)
    with keeping(tmp_path, issuer, leaf) as keeper:
        peers.eventually(lambda: "keeping certificates" in keeper.output())
        said = mesh.atoll("trust", "rotate-issuer", "--anchor", trust.anchor, "--issuer", issuer)
        assert f"new issuer for west.{mesh.DOMAIN}" in said
        new = certificate(issuer)
        assert new != old
        peers.eventually(lambda: certificate(leaf).endswith(new), what="the leaf renewed")
        assert "peers believe gateway" in mesh.atoll("trust", "inspect", leaf)
        assert keeper.stop() == 0
        assert keeper.output().count("certificate renewed") == 1


def test_an_issuer_under_an_anchor_that_nobody_believes_is_not_made(trust):
    issuer = trust.issuer("west")
    before = certificate(issuer)
    text, code = fails(
        "trust", "rotate-issuer", "--anchor", other_anchor(trust), "--issuer", issuer)
    assert code == 1 and "ca.crt does not hold the anchor" in text
    assert certificate(issuer) == before


def test_bundles_are_merged_shown_and_installed(tmp_path, trust):
    other = other_anchor(trust)
    both = tmp_path / "both.crt"
    first = mesh.atoll("trust", "bundle", trust.anchor, other, "--output", both)
    assert first.splitlines()[0] == mesh.atoll("trust", "bundle", both).splitlines()[0]
    assert len(first.splitlines()) == 3

    leaf = trust.leaf("gateway", "west")
    issuer = trust.issuer("west")
    with keeping(tmp_path, issuer, leaf):
        assert "ca.crt replaced" in mesh.atoll("trust", "bundle", both, "--install", issuer)
        assert "already" in mesh.atoll("trust", "bundle", both, "--install", issuer)
        peers.eventually(lambda: len(believed_by(leaf)) == 2, what="the leaf believes both")
    text, code = fails("trust", "bundle", other, "--install", issuer, "--replace")
    assert code == 1 and "descends from none" in text
    assert believed_by(issuer) == believed_by(both)


def test_what_is_no_anchor_is_no_bundle(trust):
    text, code = fails("trust", "bundle", trust.issuer("west") / "tls.crt")
    assert code == 2 and "is not a trust anchor" in text


def test_an_anchor_s_key_is_encrypted_under_a_passphrase(tmp_path):
    anchor, issuer = tmp_path / "anchor", tmp_path / "issuer"
    secret = tmp_path / "secret"
    secret.write_text("too short\n")
    init = ["trust", "init", "--directory", anchor, "--passphrase-file", secret]
    text, code = fails(*init)
    assert code == 2 and "9 bytes, a passphrase 12 or more" in text and not anchor.exists()
    secret.write_text("correct horse battery\nthis line is a remark\n")
    mesh.atoll(*init)
    assert "BEGIN ENCRYPTED PRIVATE KEY" in (anchor / "tls.key").read_text()
    mesh.openssl("pkey", "-in", anchor / "tls.key", "-passin", f"file:{secret}", "-noout")
    mesh.atoll("trust", "inspect", anchor)

    make = ["trust", "issuer", "--anchor", anchor, "--cluster", "west", "--directory", issuer]
    text, code = fails(*make)
    assert code == 1 and "--passphrase-file" in text and not issuer.exists()
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse")
    text, code = fails(*make, "--passphrase-file", wrong)
    assert code == 1 and "not the private key's" in text
    done = subprocess.run([peers.atoll(), *map(str, make), "--passphrase-file=-"],
                          input="correct horse battery\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mesh.atoll("trust", "rotate-issuer", "--anchor", anchor, "--issuer", issuer,
               "--passphrase-file", secret)
    mesh.atoll("trust", "revoke", "--signer", anchor, "--directory", tmp_path / "denied",
               "--passphrase-file", secret, "--issuer-digest", "ab" * 32)

    new = tmp_path / "new"
    rotate = ["trust", "rotate-anchor", "--directory", new, "--passphrase-file", secret]
    gone = "http://127.0.0.1:1"
    mesh.atoll(*rotate, "begin", "--anchor", anchor, "--issuer", issuer, "--hub", gone,
               "--without", gone)
    mesh.atoll("trust", "rotate-anchor", "--directory", new, "publish")
    text, code = fails("trust", "rotate-anchor", "--directory", new, "switch")
    assert code == 1 and "needs its passphrase" in text
    mesh.atoll(*rotate, "switch")
