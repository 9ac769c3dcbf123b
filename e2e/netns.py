"""Hosts of their own for end-to-end tests: network namespaces on one wire, some behind a router that
translates addresses and lets nobody in. They need root and a kernel that has them; where they cannot be made
the tests are skipped, and counted."""
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess

import peers
import pytest

COUNTER = itertools.count()


def run(*argv, check=True):
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


def why_not():
    """Why there can be no hosts; None: there can."""
    for program in ("ip", "nft"):
        if not shutil.which(program):
            return f"no {program} program"
    name = f"atoll-probe-{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "add", "name", "a", "type", "veth", "peer", "name", "b")
        run("ip", "netns", "exec", name, "nft", "add", "table", "ip", "nat")
    except AssertionError as error:
        return f"no network namespaces here: {error}"
    finally:
        run("ip", "netns", "del", name, check=False)
    return None


class Host:
    """A network namespace with a loopback of its own and a file of hosts' names."""

    def __init__(self, label):
        self.name = f"atoll-{os.getpid()}-{next(COUNTER)}-{label}"
        self.etc = pathlib.Path("/etc/netns") / self.name
        self.etc.mkdir(parents=True)
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n")
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.etc, ignore_errors=True)

    def ip(self, *argv):
        return run("ip", "-n", self.name, *argv)

    def command(self, *argv):
        """As it must be called to run there."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def run(self, *argv, check=True):
        return run(*self.command(*argv), check=check)

    def call(self, name, address):
        """From now on that name has that address here; also for programs that run already."""
        with (self.etc / "hosts").open("w") as file:  # In place: it is mounted there.
            file.write(f"127.0.0.1 localhost\n{address} {name}\n")

    def http(self, url):
        """(status, body) of a request from this host; status 0 if there was no answer."""
        done = self.run("curl", "-sS", "--noproxy", "*", "--max-time", "5", "-w", "\n%{http_code}", url,
                        check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def can_connect(self, address, port):
        return self.run("timeout", "2", "bash", "-c", f"</dev/tcp/{address}/{port}",
                        check=False).returncode == 0


class Wire:
    """A network: hosts() made on it see each other."""

    def __init__(self, stack, subnet):
        self.stack, self.subnet = stack, subnet
        self.switch = self.host("switch")
        self.switch.ip("link", "add", "name", "bridge0", "type", "bridge")
        self.switch.ip("link", "set", "bridge0", "up")

    def host(self, label):
        host = Host(label)
        self.stack.callback(host.remove)
        return host

    def plug(self, host, number, device="eth0"):
        """Connects a host as SUBNET.number."""
        port = f"p{number}"
        self.switch.ip("link", "add", "name", port, "type", "veth", "peer", "name", device, "netns", host.name)
        self.switch.ip("link", "set", port, "master", "bridge0", "up")
        address = f"{self.subnet}.{number}"
        host.ip("addr", "add", f"{address}/24", "dev", device)
        host.ip("link", "set", device, "up")
        return address


def put_behind_router(inside, outside, router):
    """A router between two wires: what is inside goes out under its address, nothing comes in."""
    address = outside.plug(router, 1, "wan")
    inside.plug(router, 1, "lan")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for rule in ("add table ip t",
                 "add chain ip t post { type nat hook postrouting priority 100; }",
                 "add rule ip t post oifname wan masquerade",
                 "add chain ip t forward { type filter hook forward priority 0; policy drop; }",
                 "add rule ip t forward iifname lan accept",
                 "add rule ip t forward ct state established,related accept"):
        router.run("nft", *rule.split())
    return address


class Program(peers.Program):
    """A program of ours on a host, asked for readiness from there."""

    def __init__(self, host, directory, name, argv, web_port):
        super().__init__(directory, name, host.command(peers.atoll(), *argv,
                                                       f"--web.listen-address=127.0.0.1:{web_port}"),
                         web_port)
        self.host = host

    def wait_ready(self, timeout=60):
        peers.eventually(lambda: self.host.http(f"{self.url}/-/ready")[0] == 200, timeout,
                         what=f"{self.name} ready: {self.output()[-2000:]}")

    def get(self, path):
        status, body = self.host.http(self.url + path)
        assert status == 200, f"{path}: {status} {body}\n{self.output()[-2000:]}"
        return body

    def answer(self, query="up"):
        """(clusters of the series, warnings) of an instant query to a hub."""
        answer = json.loads(self.get(f"/api/v1/query?query={query}"))
        assert answer["status"] == "success", answer
        clusters = sorted(item["metric"].get("cluster") for item in answer["data"]["result"])
        return clusters, answer.get("warnings", [])


@contextlib.contextmanager
def wires(*subnets):
    """Networks, or the test is skipped."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield [Wire(stack, subnet) for subnet in subnets]
