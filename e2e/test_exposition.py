"""Expositions collected from real programs and from OpenMetrics' own tests, scraped by both."""
import json
import os
import pathlib

import pytest
import yaml

import peers
from scrape_target import OPENMETRICS, TEXT, Page, Target

DATA = os.environ.get("ATOLL_TESTDATA")
# What Debian's release is stricter about than Prometheus 3: names in UTF-8, exemplars on any type,
# a comma behind the last label, an empty answer.
YOUNGER = ("odd/utf8-names.prom", "openmetrics-tests/bad_exemplars_on_unallowed_",
           "openmetrics-tests/bad_missing_or_extra_commas_2/", "openmetrics-tests/bad_no_eof/")

pytestmark = pytest.mark.skipif(not DATA, reason="ATOLL_TESTDATA is not set: no collected files")


def files():
    root = pathlib.Path(DATA) / "exposition"
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*"))
            if file.is_file() and file.suffix in (".prom", ".om", ".txt", "")}


def page(name, text):
    is_openmetrics = name.endswith((".om", ".om.txt", "/metrics"))
    return Page(text, content_type=OPENMETRICS if is_openmetrics else TEXT)


def canonical(labels):
    """Prometheus 3 writes bounds as OpenMetrics does."""
    found = dict(labels)
    for name in ("le", "quantile"):
        try:
            found[name] = str(float(found[name]))
        except (KeyError, ValueError):
            pass
    return json.dumps(found, sort_keys=True)


def stored(server, name):
    return {canonical(one["metric"]): one["value"][1] for one in server.instant(
        '{file=%s,__name__!~"scrape_.*"}' % json.dumps(name))}


def test_both_take_the_same(tmp_path):
    texts = files()
    assert len(texts) > 100
    with Target({f"/{number}": page(*item) for number, item in enumerate(texts.items())}) as target:
        groups = [{"targets": [target.address],
                   "labels": {"file": name, "__metrics_path__": f"/{number}"}}
                  for number, name in enumerate(texts)]
        config = yaml.safe_dump({
            "global": {"scrape_interval": "10s", "scrape_timeout": "10s"},
            "scrape_configs": [{"job_name": "files", "honor_timestamps": False,
                                "static_configs": groups}]})
        with peers.Prometheus(tmp_path, config) as stock, peers.Monitor(tmp_path, config) as ours:
            for server in (stock, ours):
                peers.eventually(lambda at=server: len(at.instant("up")) == len(texts), 60)
            verdicts = [{one["metric"]["file"]: one["value"][1] for one in server.instant("up")}
                        for server in (stock, ours)]
            for name in texts:
                if name.startswith(YOUNGER):
                    continue
                assert verdicts[0][name] == verdicts[1][name], name
                assert stored(stock, name) == stored(ours, name), name
