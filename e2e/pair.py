"""A stock Prometheus and our monitor, scraping the same target, for tests that compare them."""
import contextlib
import time

import peers

TEXT = """\
# HELP demo_temperature Degrees.
# TYPE demo_temperature gauge
demo_temperature{room="kitchen"} 21.5
demo_temperature{room="attic"} -3
demo_temperature{room="o'd\\\\d \\"q\\" ü"} 1e21
# HELP demo_requests_total Requests.
# TYPE demo_requests_total counter
demo_requests_total{code="200",path="/"} 1027
demo_requests_total{code="500",path="/"} 3e-07
# HELP demo_seconds Durations.
# TYPE demo_seconds histogram
demo_seconds_bucket{le="0.1"} 3
demo_seconds_bucket{le="1"} 8
demo_seconds_bucket{le="+Inf"} 9
demo_seconds_sum 4.25
demo_seconds_count 9
demo_nan NaN
demo_infinite -Inf
"""
EXTERNAL = {"region": "test"}
# Every sample within the last lookback, whatever the phase of either scraper.
SCRAPES = 5


class Pair:
    """Both servers; 'time' is a moment at which both hold the same values."""

    def __init__(self, stock, ours):
        self.stock, self.ours, self.time = stock, ours, 0

    def settle(self):
        for server in (self.stock, self.ours):
            peers.eventually(
                lambda at=server: at.instant(f"min(count_over_time(demo_temperature[5m])) >= {SCRAPES}"),
                what=f"{SCRAPES} scrapes by {server.name}")
        self.time = int(time.time())


@contextlib.contextmanager
def running_pair(directory):
    with peers.Exporter(TEXT) as target:
        config = peers.scrape_config({"demo": [target.address]}, external=EXTERNAL)
        with peers.Prometheus(directory, config) as stock, peers.Monitor(directory, config) as ours:
            pair = Pair(stock, ours)
            pair.settle()
            yield pair
