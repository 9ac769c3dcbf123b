"""A scrape target whose every page is under the test's control, and what was asked of it."""
import contextlib
import gzip
import ssl
import subprocess
import threading
from http import server as http_server

import peers

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Page:
    """One answer. 'text' is str, bytes, or a function that makes one of them per request."""

    def __init__(self, text, content_type=TEXT, status=200, headers=(), packed=False, raw=None,
                 cut=0):
        self.text, self.content_type, self.status = text, content_type, status
        self.headers = dict(headers)
        self.packed = packed  # gzip when the client takes it
        self.raw = raw        # these bytes instead of an HTTP answer
        self.cut = cut        # this many bytes are promised and not sent
        self.hang = False     # no answer until the target ends

    def body(self):
        made = self.text() if callable(self.text) else self.text
        return made if isinstance(made, bytes) else made.encode()


class Target:
    """Serves 'pages' (path without query -> Page or text); both may change while it runs."""

    def __init__(self, pages=None, certificate=None):
        self.pages = dict(pages or {})
        self.certificate = certificate
        self.ended = threading.Event()
        self.connections = 0  # accepted so far
        self.asked = []  # (client, path with query, headers); client is "stock" or "ours"

    def requests(self, client, path):
        return [(asked, headers) for who, asked, headers in list(self.asked)
                if who == client and asked.partition("?")[0] == path]

    def __enter__(self):
        target = self

        class Handler(http_server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if target.ended.is_set():
                    self.close_connection = True
                    return
                agent = self.headers.get("User-Agent", "")
                target.asked.append(("ours" if agent.startswith("atoll/") else "stock", self.path,
                                     dict(self.headers.items())))
                page = target.pages.get(self.path.partition("?")[0])
                if page is None:
                    page = Page("no such page\n", status=404)
                if not isinstance(page, Page):
                    page = Page(page)
                with contextlib.suppress(OSError):
                    self.answer(page)

            def answer(self, page):
                if page.hang:
                    target.ended.wait()
                    self.close_connection = True
                    return
                if page.raw is not None:
                    self.wfile.write(page.raw)
                    self.close_connection = True
                    return
                body = page.body()
                self.send_response(page.status)
                if page.content_type:
                    self.send_header("Content-Type", page.content_type)
                if page.packed and "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body)
                    self.send_header("Content-Encoding", "gzip")
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:len(body) - page.cut])
                self.close_connection = page.cut > 0

            def log_message(self, *_):
                pass

        class Server(http_server.ThreadingHTTPServer):
            request_queue_size = 256

            def get_request(self):
                got = super().get_request()
                target.connections += 1
                return got

            def handle_error(self, *_):
                pass  # Clients that refuse our certificate, or end before we do.

        self.server = Server((peers.HOST, 0), Handler)
        self.server.daemon_threads = True
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self):
        return f"{peers.HOST}:{self.server.server_port}"


def make_certificate(directory):
    """A self-signed certificate for the loopback address: (certificate, key) files."""
    certificate, key = directory / "target.pem", directory / "target.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=target.test", "-addext",
                    f"subjectAltName=DNS:target.test,IP:{peers.HOST}"],
                   check=True, capture_output=True)
    return certificate, key
