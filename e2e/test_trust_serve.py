"""A cluster's issuing service: tokens work once, for one name, and only who holds a name renews it."""
import concurrent.futures
import subprocess

import mesh
import peers
import pytest

NAME = mesh.identity("gateway", "west")
SERVER = mesh.identity("trust", "west")


class Service(peers.Program):
    def __init__(self, directory, lifetime="1d"):
        self.trust = mesh.Trust(directory / "trust")
        self.leaf = self.trust.leaf("trust", "west")
        self.anchors = self.trust.anchor / "ca.crt"
        self.tokens = directory / "tokens"
        self.address = f"{peers.HOST}:{peers.free_port()}"
        super().__init__(directory, "serve", [
            peers.atoll(), "trust", "serve", f"--issuer={self.trust.issuer('west')}",
            f"--tokens={self.tokens}", f"--tls.directory={self.leaf}",
            f"--listen-address={self.address}", f"--lifetime={lifetime}"], ready=None)

    def token(self, name=NAME, lifetime="10m"):
        return mesh.atoll("trust", "token", "--tokens", self.tokens, "--identity", name,
                          "--lifetime", lifetime).strip()

    def command(self, directory, *flags):
        return [peers.atoll(), "trust", "join", f"--url=https://{self.address}",
                f"--server={SERVER}", f"--directory={directory}", *map(str, flags)]

    def first(self, name=NAME):
        return ["--identity", name, "--anchors", self.anchors, "--token-file", "-"]

    def join(self, directory, token, name=NAME):
        return subprocess.run(self.command(directory, *self.first(name)), input=token, text=True,
                              capture_output=True)

    def post(self, path, body, *flags):
        """By curl: status and body."""
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--cacert", str(self.anchors), "--connect-to",
             f"::{self.address}", "--data-binary", "@-", "-w", "\n%{http_code}", *map(str, flags),
             f"https://{SERVER}{path}"], input=body, text=True, capture_output=True)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text


@pytest.fixture(name="service")
def start_service(tmp_path):
    with Service(tmp_path) as service:
        peers.eventually(lambda: "listening" in service.output())
        yield service


def request(directory, names=NAME, key="ec", extra=""):
    """A request made by openssl."""
    directory.mkdir(exist_ok=True)
    options = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
               "rsa": ["-newkey", "rsa:2048"]}[key]
    extensions = ["-addext", f"subjectAltName={names}"] if names else []
    extensions += ["-addext", extra] if extra else []
    return mesh.openssl("req", "-new", *options, "-nodes", "-keyout", directory / "key", "-subj",
                        "/CN=x", *extensions)


def test_a_token_gives_one_certificate(service, tmp_path):
    token = service.token()
    assert token not in "".join(f.name + f.read_text() for f in service.tokens.iterdir())
    done = service.join(tmp_path / "leaf", token)
    assert done.returncode == 0, done.stderr
    assert f"peers believe {NAME}" in mesh.atoll("trust", "inspect", tmp_path / "leaf")
    assert (tmp_path / "leaf" / "tls.key").stat().st_mode & 0o777 == 0o600
    again = service.join(tmp_path / "again", token)
    assert again.returncode == 1 and "this token is not known" in again.stderr
    assert not (tmp_path / "again").exists()
    assert token not in service.output()


def test_of_several_who_come_with_a_token_one_wins(service, tmp_path):
    token = service.token()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: service.join(tmp_path / f"leaf{i}", token), range(8)))
    assert sorted(one.returncode for one in done) == [0] + [1] * 7, done


def test_a_token_is_for_one_name_and_one_cluster(service, tmp_path):
    token = service.token()
    other = mesh.identity("hub", "west")
    done = service.join(tmp_path / "leaf", token, name=other)
    assert done.returncode == 1 and "for another name" in done.stderr
    assert service.join(tmp_path / "leaf", token).returncode == 1, "it is used up"
    east = mesh.identity("gateway", "east")
    done = service.join(tmp_path / "leaf", service.token(name=east), name=east)
    assert done.returncode == 1 and "cannot sign" in done.stderr


def test_a_token_ends(service, tmp_path):
    token = service.token(lifetime="1s")
    mesh.time.sleep(1.1)
    assert "this token is not known" in service.join(tmp_path / "leaf", token).stderr


def test_requests_that_ask_for_more_are_refused(service, tmp_path):
    for body, reason in (
            (request(tmp_path / "a", f"DNS:{NAME},DNS:{SERVER}"), "one DNS name"),
            (request(tmp_path / "b", "URI:spiffe://west/x"), "one DNS name"),
            (request(tmp_path / "c", ""), "one DNS name"),
            (request(tmp_path / "d", f"DNS:{NAME}", extra="basicConstraints=CA:TRUE"),
             "one DNS name"),
            (request(tmp_path / "e", f"DNS:{NAME}", key="rsa"), "not P-256"),
            (request(tmp_path / "f", f"DNS:{NAME}", key="p384"), "not P-256"),
            ("x", "PEM"), ("", "0 bytes")):
        token = service.token()
        status, text = service.post("/v1/join", body, "-H", f"Authorization: Bearer {token}")
        assert status in (400, 413) and reason in text, (status, text)
    assert len(list(service.tokens.iterdir())) == 8, "no token was used up by these"
    status, _ = service.post("/v1/join", "x" * 20000)
    assert status in (0, 413), "refused, or cut off before it was all sent"


def test_a_request_signed_by_another_key_is_refused(service, tmp_path):
    body = request(tmp_path / "a", f"DNS:{NAME}")
    der = subprocess.run(["openssl", "req", "-outform", "DER"], input=body.encode(),
                         capture_output=True, check=True).stdout
    pem = subprocess.run(["openssl", "base64"], input=der[:-1] + bytes([der[-1] ^ 1]),
                         capture_output=True, check=True).stdout.decode()
    broken = f"-----BEGIN CERTIFICATE REQUEST-----\n{pem}-----END CERTIFICATE REQUEST-----\n"
    status, text = service.post("/v1/join", broken, "-H", f"Authorization: Bearer {service.token()}")
    assert status == 400 and "not signed by its own key" in text


def test_only_who_holds_a_name_renews_it(service, tmp_path):
    leaf = tmp_path / "leaf"
    assert service.join(leaf, service.token()).returncode == 0
    before = (leaf / "tls.crt").read_text()
    done = subprocess.run(service.command(leaf), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (leaf / "tls.crt").read_text() != before
    flags = ["--cert", leaf / "tls.crt", "--key", leaf / "tls.key"]
    body = request(tmp_path / "a", f"DNS:{SERVER}")
    assert service.post("/v1/renew", body, *flags)[0] == 403
    assert service.post("/v1/renew", request(tmp_path / "b", f"DNS:{NAME}"))[0] == 403
    assert service.post("/v1/renew", request(tmp_path / "c", f"DNS:{NAME}"), *flags)[0] == 200

    mesh.atoll("trust", "revoke", "--signer", service.trust.issuer("west"), "--directory",
               service.leaf / "denied", "--identity", NAME)
    peers.eventually(lambda: "deny-list taken" in service.output())
    assert subprocess.run(service.command(leaf), capture_output=True).returncode == 1


def test_tokens_cannot_be_tried_out(service, tmp_path):
    body = request(tmp_path / "a", f"DNS:{NAME}")
    tried = [service.post("/v1/join", body, "-H", f"Authorization: Bearer {'0' * 64}")[0]
             for _ in range(40)]
    assert set(tried) == {403, 429}, tried


def test_who_joined_keeps_its_certificate_valid(tmp_path):
    with Service(tmp_path, lifetime="6s") as service:
        peers.eventually(lambda: "listening" in service.output())
        leaf = tmp_path / "leaf"
        (tmp_path / "token").write_text(service.token())
        argv = service.command(leaf, "--keep", "--identity", NAME, "--anchors", service.anchors,
                            "--token-file", tmp_path / "token")
        with peers.Program(tmp_path, "join", argv, ready=None) as joined:
            peers.eventually(lambda: joined.output().count("certificate renewed") >= 2,
                             what="renewed twice")
            assert f"peers believe {NAME}" in mesh.atoll("trust", "inspect", leaf)
            assert joined.stop() == 0


@pytest.fixture(name="kept")
def keep_joined(service, tmp_path):
    """The directory of a process that joined and goes on asking."""
    leaf = tmp_path / "leaf"
    (tmp_path / "token").write_text(service.token())
    argv = service.command(leaf, "--keep", "--identity", NAME, "--anchors", service.anchors,
                           "--token-file", tmp_path / "token")
    with peers.Program(tmp_path, "join", argv, ready=None) as joined:
        peers.eventually(lambda: "joined" in joined.output())
        yield leaf
        assert joined.stop() == 0


def digest(path):
    return mesh.atoll("trust", "bundle", path).splitlines()[0]


def test_another_anchor_reaches_who_joined(service, kept, tmp_path):
    other = tmp_path / "other"
    mesh.atoll("trust", "init", "--directory", other, "--mesh-domain", mesh.DOMAIN)
    issuer = service.trust.issuer("west")
    mesh.atoll("trust", "bundle", issuer, other, "--output", tmp_path / "both.crt")
    assert digest(kept) != digest(tmp_path / "both.crt")
    mesh.atoll("trust", "bundle", tmp_path / "both.crt", "--install", issuer)
    peers.eventually(lambda: digest(kept) == digest(tmp_path / "both.crt"), what="both believed")
    assert f"peers believe {NAME}" in mesh.atoll("trust", "inspect", kept)


def test_deny_lists_go_both_ways_between_service_and_who_joined(service, kept):
    issuer, bad = service.trust.issuer("west"), mesh.identity("bad", "west")
    mesh.atoll("trust", "revoke", "--signer", issuer, "--directory", service.leaf / "denied",
               "--identity", bad)

    def lists(directory):
        return {f.name: f.read_text() for f in (directory / "denied").glob("*.deny")}

    peers.eventually(lambda: lists(kept) == lists(service.leaf) != {}, what="the list came")
    mesh.atoll("trust", "revoke", "--signer", issuer, "--directory", kept / "denied",
               "--identity", mesh.identity("worse", "west"))
    peers.eventually(lambda: lists(kept) == lists(service.leaf), what="the list went")
    assert "worse" in "".join(lists(service.leaf).values())


def test_whom_the_service_believes_is_told_to_who_has_a_certificate(service):
    status, text = service.post("/v1/denied", "")
    assert status == 401 and "presents a certificate" in text
    status, text = service.post("/v1/trust", "", "-G")
    assert status == 401
    flags = ["--cert", service.leaf / "tls.crt", "--key", service.leaf / "tls.key"]
    assert service.post("/v1/denied", "no list", *flags)[0] == 400
    status, text = service.post("/v1/trust", "", "-G", *flags)
    assert status == 200 and text.startswith("anchors ")
