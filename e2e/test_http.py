"""curl, as users have it, against our server: both protocols, keep-alive, forms, refusals."""
import json
import subprocess

import pytest

import peers


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("http")
    with peers.Monitor(directory, "global: {scrape_interval: 1s}\n") as monitor:
        yield monitor


def curl(*args):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_version} %{http_code}",
                           *args], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    body, _, last = done.stdout.rpartition(b"\n")
    version, code = last.decode().split()
    return body, version, int(code)


PROTOCOLS = [("--http1.0", "1.1"), ("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")]


@pytest.mark.parametrize("flag,version", PROTOCOLS)
def test_queries_over_each_protocol(server, flag, version):
    url = f"{server.url}/api/v1/query"
    for args in (["-G", "--data-urlencode", "query=1+1"], ["--data-urlencode", "query=1+1"]):
        body, spoken, code = curl(flag, *args, url)
        assert (spoken, code) == (version, 200)
        assert json.loads(body)["data"]["result"][1] == "2"


@pytest.mark.parametrize("flag,version", PROTOCOLS)
def test_head_and_compression(server, flag, version):
    head, spoken, code = curl(flag, "-I", f"{server.url}/metrics")
    assert (spoken, code) == (version, 200)
    assert b"content-length: " in head.lower()
    plain, _, _ = curl(flag, f"{server.url}/api/v1/status/flags")
    unpacked, _, _ = curl(flag, "--compressed", f"{server.url}/api/v1/status/flags")
    assert json.loads(plain) == json.loads(unpacked)


def test_an_upgrade_to_http2_is_not_taken(server):
    body, spoken, code = curl("--http2", f"{server.url}/-/healthy")
    assert (body, spoken, code) == (b"Prometheus Server is Healthy.\n", "1.1", 200)


def test_one_connection_serves_many_requests(server):
    urls = [f"{server.url}/-/healthy"] * 20
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-w", "%{num_connects}\n", "-o",
                           "/dev/null"] + [part for url in urls for part in (url, "-o", "/dev/null")],
                          capture_output=True, text=True, timeout=60, check=True)
    assert sum(int(line) for line in done.stdout.split()) == 1


@pytest.mark.parametrize("flag,version", PROTOCOLS[1:])
def test_methods_that_do_not_fit_are_refused(server, flag, version):
    body, spoken, code = curl(flag, "-X", "PATCH", f"{server.url}/-/healthy")
    assert (body, spoken, code) == (b"Method Not Allowed\n", version, 405)


def test_headers_that_are_too_long_are_refused(server):
    body, _, code = curl("--http1.1", "-H", "X: " + "a" * 70000, f"{server.url}/-/healthy")
    assert code == 431 and b"header" in body


def test_a_form_may_come_in_chunks(server):
    body, _, code = curl("--http1.1", "-H", "Transfer-Encoding: chunked", "--data", "query=3",
                         f"{server.url}/api/v1/query")
    assert code == 200 and json.loads(body)["data"]["result"][1] == "3"
