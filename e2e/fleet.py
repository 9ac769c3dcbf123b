"""A hub over clusters with known data, each a real server behind a real gateway.

The data is what src/hub/oracle_test.c documents, t seconds after Data.start. A target exposes all of
it with explicit timestamps, so that every server, ours or stock, holds the very same samples.
"""
import concurrent.futures
import contextlib
import pathlib
import time

import mesh
import peers

LABEL = "cluster"
SPAN_S = 3600
EVERY_S = 15
HUB = mesh.identity("hub", "hub")


class Data:
    """Series of clusters "a" and "b". 'start' is so long ago that all of it is in the past, and so
    short that a head holds it."""

    def __init__(self):
        self.start = (int(time.time()) - SPAN_S - 90) // 60 * 60
        self.series = []
        pods = {"a": (("p1", 10), ("p2", 1)), "b": (("p1", 3), ("p3", 1))}
        for cluster, values in pods.items():
            for pod, value in values:
                self.add(cluster, f'foo{{pod="{pod}"}}', lambda t, value=value: value)
            self.add(cluster, "big", lambda t: 1e308)
        self.add("b", "only_b", lambda t: 7)
        self.add("a", 'g{pod="p1"}', lambda t: t * 0.1)
        self.add("a", 'g{pod="p2"}', lambda t: 1000 - t * 0.05)
        self.add("b", 'g{pod="p1"}', lambda t: 50 + t * (1 / 7))
        self.add("a", 'ctr{pod="p1"}', lambda t: 3 * t)
        self.add("b", 'ctr{pod="p1"}', lambda t: 2 * t)
        self.add("b", 'ctr{pod="p3"}', lambda t: 5 * (t % 400))

    def add(self, cluster, metric, value):
        self.series.append((cluster, metric, value))

    def count(self, cluster=None):
        return sum(cluster in (None, of) for of, _, _ in self.series)

    def text(self, cluster=None):
        """What one cluster's target exposes; of all, with the cluster's label, for the oracle."""
        lines = []
        for of, metric, value in self.series:
            if cluster not in (None, of):
                continue
            if cluster is None:
                name, _, labels = metric.partition("{")
                metric = f'{name}{{{LABEL}="{of}"{"," + labels if labels else "}"}'
            for t in range(0, SPAN_S + 1, EVERY_S):
                lines.append(f"{metric} {float(value(t))!r} {(self.start + t) * 1000}")
        return "\n".join(lines) + "\n"

    def is_in(self, server, cluster=None):
        found = server.instant('count({__name__=~"foo|big|only_b|g|ctr"})', time=self.start + SPAN_S)
        return found and int(found[0]["value"][1]) == self.count(cluster)


def config(target, evaluation="1m"):
    """A prometheus.yml that stores what 'target' exposes and no labels besides."""
    return (f"global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n"
            f"  evaluation_interval: {evaluation}\n"
            f"scrape_configs:\n  - job_name: data\n    static_configs:\n"
            f"      - targets: ['{target}']\n    metric_relabel_configs:\n"
            f"      - action: labeldrop\n        regex: job|instance\n")


class Hub(peers.Program):
    """atoll hub; links come and go with 'link' and 'unlink'."""

    def __init__(self, directory, leaf, *flags, name="hub"):
        directory = pathlib.Path(directory)
        self.links = directory / f"{name}-links"
        self.links.mkdir(parents=True)
        port = peers.free_port()
        super().__init__(directory, name, [
            peers.atoll(), "hub", f"--links.directory={self.links}", f"--tls.directory={leaf}",
            f"--web.listen-address={peers.HOST}:{port}", f"--hub.cluster-label={LABEL}",
            *flags], port)

    def link(self, gateway):
        text = (f"cluster: {gateway.cluster}\nidentity: {gateway.identity()}\n"
                f"addresses: ['{peers.HOST}:{gateway.gateway_port}']\n")
        temporary = self.links / f"{gateway.cluster}.new"
        temporary.write_text(text)
        temporary.rename(self.links / f"{gateway.cluster}.yaml")

    def unlink(self, cluster):
        (self.links / f"{cluster}.yaml").unlink()

    def clusters(self):
        """What /api/v1/atoll/clusters says, by name."""
        found = self.api("atoll/clusters").json["data"]["clusters"]
        return {cluster["cluster"]: cluster for cluster in found}

    def is_linked(self, *names):
        """Whether these clusters are up with an export of their Prometheus."""
        clusters = self.clusters()
        return all(clusters[name]["state"] == "up" and clusters[name]["exports"] for name in names)

    def received(self):
        """The bytes received on each link, by cluster."""
        found = {}
        for line in peers.http(f"{self.url}/metrics").text.splitlines():
            name, _, value = line.partition(" ")
            if name.startswith('atoll_link_received_bytes_total{cluster="'):
                found[name.split('"')[1]] = float(value)
        return found


def export(server):
    return mesh.export("prometheus", server.url, [HUB])


def requests(gateway):
    """How many requests a gateway has passed on."""
    return sum(float(line.rpartition(" ")[2])
               for line in peers.http(f"{gateway.url}/metrics").text.splitlines()
               if line.startswith("atoll_gateway_requests_total"))


def start_all(stack, programs):
    """Starts programs at once; 'stack' ends them."""
    for program in programs:
        stack.callback(program.stop)
        program.start(wait=False)
    with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
        list(pool.map(lambda program: program.wait_ready(), programs))


def targets(stack, data, *clusters):
    """Exporters of the clusters' data; None stands for all of it."""
    return {cluster: stack.enter_context(peers.Exporter(data.text(cluster)))
            for cluster in clusters}


@contextlib.contextmanager
def running(directory, names, flags=()):
    """A hub over our monitors, one for each name, that all hold the data of cluster "a".

    Gives (hub, monitors, gateways, data), the latter two by cluster.
    """
    data = Data()
    trust = mesh.Trust(directory / "trust")
    with contextlib.ExitStack() as stack:
        target = targets(stack, data, "a")["a"]
        monitors = {name: peers.Monitor(directory / name, config(target.address)) for name in names}
        gateways = {name: mesh.Gateway(directory / f"{name}-gateway", trust, [export(monitor)], name)
                    for name, monitor in monitors.items()}
        hub = Hub(directory, trust.leaf("hub", "hub"), *flags)
        for gateway in gateways.values():
            hub.link(gateway)
        start_all(stack, [*monitors.values(), *gateways.values(), hub])
        for monitor in monitors.values():
            peers.eventually(lambda at=monitor: data.is_in(at, "a"), what=f"data in {monitor.name}")
        peers.eventually(lambda: hub.is_linked(*names), what="all clusters linked")
        yield hub, monitors, gateways, data
