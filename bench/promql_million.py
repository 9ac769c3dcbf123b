#!/usr/bin/env python3
"""How long sum by (job) (rate(x[5m])) takes over a million series, at one step.

./dev bench promql_million [--series 1000000] [--repeats 7] [--programs atoll,prometheus]

The series are promql_set's flat ones with 25 samples each, loaded once by 'atoll tsdb load' and by
promtool, checked for completeness. Asked over HTTP of a running server. What counts is the least wall
time of --repeats after a first query: the others tell what else the machine did. Prometheus' answer has
to be the same within 1e-9.

Bar: one second on two processors.
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

import promql
import promql_compare
import promql_queries

SERIES, STEPS = 1000000, 25
QUERY = "sum by (job) (rate(x[5m]))"
BAR = 1  # Second.


class Instant:
    """The last step that the samples reach."""

    @staticmethod
    def request(text):
        return "query", {"query": text, "time": promql_queries.START + STEPS * promql.STEP}


def measure(name, data, repeats, folder):
    """The answer and the least wall time; prints these, CPU and memory."""
    with promql.PROGRAMS[name](folder, data) as program:
        server = promql.Server(name, program)
        (status, body), peak = server.peak_of(Instant, QUERY)
        assert status == 200, f"{name} answers {body[:300]}"
        walls, before = [], server.cpu()
        for _ in range(repeats):
            began = time.monotonic()
            server.ask(Instant, QUERY)
            walls.append(time.monotonic() - began)
        server.settle()
        print(f"{name}: wall {min(walls):.3f} s (median {statistics.median(walls):.3f}), CPU "
              f"{(server.cpu() - before) / repeats:.3f} s, {(peak - server.idle) / 1e6:.1f} MB over "
              "idle", flush=True)
        return body, min(walls)


def run(args, folder):
    data_set = promql.DataSet("flat", args.series, STEPS)
    data = {name: data_set.load(name, getattr(data_set, f"load_{name}")) for name in args.programs}
    data_set.drop_text()
    measured = {name: measure(name, path, args.repeats, folder) for name, path in data.items()}
    if "atoll" not in measured:
        return 0
    body, wall = measured["atoll"]
    difference, peer, ratio = None, f"limit:{BAR}", wall / BAR
    if "prometheus" in measured:
        truth, their_wall = measured["prometheus"]
        difference = promql_compare.difference(body, truth)
        peer, ratio = f"prometheus:{their_wall:.3f}", wall / their_wall
    print(f"bench promql_million_wall {wall:.3f} s peer={peer} ratio={ratio:.3f} bar<={BAR} s "
          f"{'ok' if wall <= BAR else 'short'}")
    if difference:
        print(f"FAILED: the answer differs from Prometheus': {difference}")
    return 1 if difference else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=SERIES)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--programs", type=lambda s: s.split(","), default=["atoll", "prometheus"])
    args = parser.parse_args()
    os.environ.setdefault("ATOLL_BINARY", str(promql.ROOT / "build/atoll"))
    folder = tempfile.mkdtemp(prefix="atoll-million-")
    try:
        return run(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
