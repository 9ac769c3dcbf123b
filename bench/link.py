#!/usr/bin/env python3
"""What a link makes of a wire: 40 ms each way, 100 Mbit/s, by a relay of our own between hub and gateway.

./dev bench link [--megabytes 128] [--cuts 20]

link_throughput   one answer of noise through a mirror of the hub, from the request to its last byte, as
                  a share of what the wire can carry (TLS and frames are not counted as carried)
link_recovery     the longest time from the end of a cut to the first answer of the cluster; queries are
                  under way all the time

Bars: 0.9 of 100 Mbit/s, 2 s.
"""
import argparse
import http.client
import http.server
import pathlib
import random
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))
import mesh  # noqa: E402
import peers  # noqa: E402
import relay  # noqa: E402

DELAY, RATE = 0.04, 100e6
THROUGHPUT_BAR, RECOVERY_BAR = 0.9, 2.0
HUB = mesh.identity("hub", "hub")
NOISE = random.Random(1).randbytes(1024 * 1024)


def service(megabytes):
    class Noise(mesh.OneSeries):
        def do_GET(self):
            if "labels" not in self.path:
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(megabytes * len(NOISE)))
            self.end_headers()
            for _ in range(megabytes):
                self.wfile.write(NOISE)
    return mesh.serving(Noise)


def download(address):
    """(bytes, seconds) of one answer."""
    connection = http.client.HTTPConnection(address, timeout=300)
    began = time.monotonic()
    connection.request("GET", "/api/v1/labels", headers={"Accept-Encoding": "identity"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    count = 0
    while piece := answer.read(256 * 1024):
        count += len(piece)
    return count, time.monotonic() - began


def recoveries(hub, wire, cuts):
    """Seconds from the end of each cut to the first answer."""
    taken = []
    is_over = threading.Event()

    def keep_asking():
        while not is_over.is_set():
            hub.answer()

    askers = [threading.Thread(target=keep_asking, daemon=True) for _ in range(2)]
    for asker in askers:
        asker.start()
    for turn in range(cuts):
        time.sleep(0.2)
        wire.cut()
        time.sleep(0.1 + turn % 5)  # A cut of up to four seconds: dialling waits ever longer.
        began = time.monotonic()
        wire.mend()
        peers.eventually(lambda: hub.answer() == (["west"], []), every=0.01)
        taken.append(time.monotonic() - began)
    is_over.set()
    for asker in askers:
        asker.join()
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--cuts", type=int, default=20)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder, service(flags.megabytes) as url:
        folder = pathlib.Path(folder)
        trust = mesh.Trust(folder / "trust")
        exports = [mesh.export("prometheus", url, [HUB], timeout="10m")]
        hub = mesh.Hub(folder / "hub", trust.leaf("hub", "hub"))
        first = random.randrange(20000, 32000)
        hub.argv += ["--mirror.listen=tcp", f"--mirror.directory={folder}/mirrors",
                     f"--mirror.port-range={first}-{first + 9}"]
        with mesh.Gateway(folder / "west", trust, exports) as gateway, \
                relay.Relay(gateway.gateway_port, DELAY, RATE) as wire, hub:
            gateway.gateway_port = wire.port
            hub.link(gateway)
            peers.eventually(lambda: hub.answer() == (["west"], []))
            address = peers.eventually(lambda: peers.http(f"{hub.url}/api/v1/atoll/mirrors").json[
                "data"]["mirrors"][0]["address"])
            count, seconds = download(address)
            share = count * 8 / seconds / RATE
            print(f"{count / 2**20:.0f} MiB in {seconds:.2f} s over {DELAY * 2000:.0f} ms of round trip")
            taken = recoveries(hub, wire, flags.cuts)
            print("recovery " + " ".join(f"{one:.2f}" for one in sorted(taken)) + " s")
    print(f"bench link_throughput {count * 8 / seconds / 1e6:.1f} Mbit/s peer=wire:{RATE / 1e6:.0f} "
          f"ratio={share:.3f} bar>={THROUGHPUT_BAR} {'ok' if share >= THROUGHPUT_BAR else 'short'}")
    worst = max(taken)
    print(f"bench link_recovery {worst:.2f} s peer=bar:{RECOVERY_BAR} ratio={worst / RECOVERY_BAR:.3f} "
          f"bar<=1 {'ok' if worst <= RECOVERY_BAR else 'short'}")


if __name__ == "__main__":
    main()
