"""Trust, gateways and clients of theirs, for end-to-end tests."""
import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.parse

import peers

DOMAIN = "mesh.test"


def identity(name, cluster):
    return f"{name}.atoll.serviceaccount.identity.linkerd.{cluster}.{DOMAIN}"


def atoll(*argv):
    """Runs a command to its end; returns its output, or fails with it."""
    done = subprocess.run([peers.atoll(), *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, f"atoll {argv}: {done.stdout}{done.stderr}"
    return done.stdout


def openssl(*argv, text=""):
    done = subprocess.run(["openssl", *map(str, argv)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {argv}: {done.stderr}"
    return done.stdout


class OneSeries(http.server.BaseHTTPRequestHandler):
    """Answers instant queries as a Prometheus with one series, at the time asked for."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def do_GET(self):
        self.answer(self.path.partition("?")[2])

    def answer(self, form):
        at = float(urllib.parse.parse_qs(form).get("time", [time.time()])[0])
        self.send(json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "x"}, "value": [at, "1"]}]}}).encode())

    def send(self, body, content_type="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """A server of the test's own; gives its URL."""
    server = http.server.ThreadingHTTPServer((peers.HOST, 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{peers.HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Trust:
    """An anchor, and issuers of clusters under it."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.anchor = self.directory / "anchor"
        atoll("trust", "init", "--directory", self.anchor, "--mesh-domain", DOMAIN)

    def issuer(self, cluster):
        issuer = self.directory / f"issuer-{cluster}"
        if not issuer.exists():
            atoll("trust", "issuer", "--anchor", self.anchor, "--cluster", cluster,
                  "--directory", issuer)
        return issuer

    def leaf(self, name, cluster, *flags, directory=None):
        leaf = pathlib.Path(directory or self.directory / f"{name}-{cluster}")
        atoll("trust", "sign", "--issuer", self.issuer(cluster), "--name", name,
              "--directory", leaf, *flags)
        return leaf

    def loose_issuer(self, cluster, signer=None, label="loose"):
        """An issuer that no name constraints limit, signed by the anchor or whoever is named."""
        signer = signer or self.anchor
        issuer = self.directory / f"issuer-{label}"
        issuer.mkdir()
        extensions = issuer / "extensions"
        extensions.write_text(
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", issuer / "tls.key", "-subj", f"/O={cluster}.{DOMAIN}/CN={label}",
                "-out", issuer / "request")
        openssl("x509", "-req", "-in", issuer / "request", "-CA", signer / "tls.crt",
                "-CAkey", signer / "tls.key", "-days", 1, "-extfile", extensions,
                "-out", issuer / "alone.crt")
        above = (signer / "tls.crt").read_text() if signer != self.anchor else ""
        (issuer / "tls.crt").write_text((issuer / "alone.crt").read_text() + above)
        return issuer

    def forge(self, cluster, names, label, issuer=None, days=1, usage="clientAuth,serverAuth"):
        """A leaf that says what it likes, signed with a cluster's issuer key all the same."""
        issuer = issuer or self.issuer(cluster)
        leaf = self.directory / f"forged-{label}"
        leaf.mkdir()
        extensions = leaf / "extensions"
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage={usage}\nsubjectAltName={names}\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", leaf / "tls.key", "-subj", f"/CN={label}", "-out", leaf / "request")
        openssl("x509", "-req", "-in", leaf / "request", "-CA", issuer / "tls.crt",
                "-CAkey", issuer / "tls.key", "-days", days, "-extfile", extensions,
                "-out", leaf / "alone.crt")
        chain = (leaf / "alone.crt").read_text() + (issuer / "tls.crt").read_text()
        (leaf / "tls.crt").write_text(chain)
        (leaf / "ca.crt").write_text((self.anchor / "ca.crt").read_text())
        return leaf


def export(name, url, allow, **limits):
    """One export of a gateway's configuration."""
    allowed = "".join(f"      - '{item}'\n" for item in allow)
    limit = "".join(f"      {key}: {value}\n" for key, value in limits.items())
    return (f"  - name: {name}\n    kind: prometheus\n    url: {url}\n    allow:\n{allowed}"
            + (f"    limits:\n{limit}" if limit else ""))


def dialled(name, port):
    """One hub of a gateway's configuration."""
    return f"  - identity: {name}\n    addresses: ['{peers.HOST}:{port}']\n"


class Hub(peers.Program):
    """atoll hub; links are added by link() and dialling()."""

    def __init__(self, directory, leaf, name="hub"):
        directory = pathlib.Path(directory)
        self.links = directory / f"{name}-links"
        self.links.mkdir(parents=True)
        self.links_port = peers.free_port()
        port = peers.free_port()
        super().__init__(directory, name, [
            peers.atoll(), "hub", f"--links.directory={self.links}", f"--tls.directory={leaf}",
            f"--links.listen-address={peers.HOST}:{self.links_port}",
            f"--web.listen-address={peers.HOST}:{port}", "--log.level=debug"], port)

    def link(self, gateway):
        self._write(gateway.cluster, f"identity: {gateway.identity()}\n"
                    f"addresses: ['{peers.HOST}:{gateway.gateway_port}']\n")

    def dialling(self, cluster):
        """A link that the cluster's gateway dials."""
        self._write(cluster, f"identity: {identity('gateway', cluster)}\ndials: gateway\n")

    def _write(self, cluster, text):
        temporary = self.links / ".new"
        temporary.write_text(f"cluster: {cluster}\n{text}")
        temporary.rename(self.links / f"{cluster}.yaml")

    def metric(self, name):
        """As a gateway's."""
        return series_value(self.url, name)

    def answer(self, query="up"):
        """(clusters of the series, warnings) of an instant query."""
        answer = peers.http(f"{self.url}/api/v1/query?query={query}").json
        assert answer["status"] == "success", answer
        clusters = sorted(item["metric"].get("cluster") for item in answer["data"]["result"])
        return clusters, answer.get("warnings", [])


def series_value(url, name):
    text = peers.http(f"{url}/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


class Gateway(peers.Program):
    """atoll gateway of a cluster; 'exports' are texts made by export(), 'hubs' what it dials."""

    def __init__(self, directory, trust, exports, cluster="west", name="gateway", hubs=()):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.cluster = cluster
        self.tls = trust.leaf("gateway", cluster, directory=directory / f"{name}-tls")
        self.config = directory / f"{name}.yaml"
        self.hubs = "hubs:\n" + "".join(hubs) if hubs else ""
        self.publish(exports)
        self.gateway_port = peers.free_port()
        web_port = peers.free_port()
        super().__init__(directory, name, [
            peers.atoll(), "gateway", f"--config.file={self.config}",
            f"--tls.directory={self.tls}", "--log.level=debug",
            f"--gateway.listen-address={peers.HOST}:{self.gateway_port}",
            f"--web.listen-address={peers.HOST}:{web_port}"], web_port)

    def publish(self, exports):
        text = "exports:\n" + "".join(exports) if exports else "exports: []\n"
        temporary = self.config.with_suffix(".new")
        temporary.write_text(text + self.hubs)
        temporary.rename(self.config)

    def metric(self, name):
        """The value of a series as it is written in /metrics, or 0."""
        return series_value(self.url, name)

    def identity(self):
        return identity("gateway", self.cluster)

    def curl(self, leaf, path, *flags, export_name="prometheus", anchor=None):
        """One request by curl with a client certificate. Returns (exit code, status, body)."""
        argv = ["curl", "-sS", "--http2", "--noproxy", "*", "--path-as-is", "--max-time", "60",
                "--connect-to", f"::{peers.HOST}:{self.gateway_port}", "-w", "\n%{http_code}",
                "-H", f"Host: {export_name}",
                "--cacert", (anchor or self.tls) / "ca.crt"]
        if leaf:
            argv += ["--cert", leaf / "tls.crt", "--key", leaf / "tls.key"]
        argv += [*flags, f"https://{self.identity()}{path}"]
        done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return done.returncode, int(status or 0), body

    def serial(self):
        """Of the certificate that a new connection gets."""
        text = subprocess.run(
            ["openssl", "s_client", "-connect", f"{peers.HOST}:{self.gateway_port}", "-alpn", "h2"],
            input="", capture_output=True, text=True, timeout=20).stdout
        return openssl("x509", "-noout", "-serial", text=text).strip()
