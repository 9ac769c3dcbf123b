#!/usr/bin/env python3
"""What scraping and keeping samples costs, beside Debian's Prometheus in the same run.

./dev bench ingest [--targets 50] [--series 1000] [--interval 1s] [--minutes 10,30]

Both scrape the same targets at the same interval with gzip. At each of the given minutes: CPU seconds
(user and system, of the whole process) per million samples since the start, and anonymous memory per
active series. Bars: 0.4 CPU seconds per million samples and 0.5 kB per series.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))
import peers  # noqa: E402

TICKS = 100  # USER_HZ on every Linux we run on
CPU_BAR, MEMORY_BAR = 0.4, 0.5


def config(port, targets, interval):
    lines = ["global:", f"  scrape_interval: {interval}", f"  scrape_timeout: {interval}",
             "scrape_configs:"]
    for i in range(targets):
        lines += [f"- job_name: t{i}", f"  metrics_path: /t/{i}/metrics",
                  f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]"]
    return "\n".join(lines) + "\n"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def anonymous_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Anonymous line in smaps_rollup")


def samples_so_far(program, seconds):
    """Samples stored since the start, as the program's own scrape_samples_* say."""
    result = program.instant(f"sum(sum_over_time(scrape_samples_post_metric_relabeling[{seconds}s]))")
    return float(result[0]["value"][1]) if result else 0.0


class Meter:
    def __init__(self, program):
        self.program, self.pid = program, program.process.pid
        self.began, self.cpu = time.monotonic(), cpu_seconds(self.pid)
        self.samples = 0.0

    def read(self, active):
        seconds = int(time.monotonic() - self.began) + 5
        cpu = cpu_seconds(self.pid) - self.cpu
        memory = anonymous_bytes(self.pid)
        self.samples = samples_so_far(self.program, seconds)
        return cpu / (self.samples / 1e6), memory / active / 1000


def line(name, value, unit, peer, bar):
    verdict = "ok" if value <= bar else "short"
    print(f"bench {name} {value:.3f} {unit} peer=prometheus:{peer:.3f} ratio={value / peer:.3f} "
          f"bar<={bar} {verdict}", flush=True)


def measure(args, folder):
    port = peers.free_port()
    targets = peers.Program(folder, "targets", [
        ROOT / "build/bench/bench_targets", port, args.targets, args.series], port, "/t/0/metrics")
    text = config(port, args.targets, args.interval)
    active = args.targets * (args.series + 5)
    with targets, peers.Monitor(folder, text) as ours, peers.Prometheus(folder, text) as theirs:
        meters = [Meter(ours), Meter(theirs)]
        began = time.monotonic()
        for minutes in args.minutes:
            while (left := began + minutes * 60 - time.monotonic()) > 0:
                time.sleep(left)
            (cpu, memory), (peer_cpu, peer_memory) = [meter.read(active) for meter in meters]
            print(f"after {minutes:g} min: {meters[0].samples / 1e6:.2f} M samples, "
                  f"{active} active series")
            line(f"ingest_cpu_{minutes:g}min", cpu, "s/Msample", peer_cpu, CPU_BAR)
            line(f"ingest_memory_{minutes:g}min", memory, "kB/series", peer_memory, MEMORY_BAR)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--minutes", type=lambda s: [float(m) for m in s.split(",")],
                        default=[10, 30])
    args = parser.parse_args()
    peers.os.environ.setdefault("ATOLL_BINARY", str(ROOT / "build/atoll"))
    folder = tempfile.mkdtemp(prefix="atoll-ingest-")
    try:
        measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
