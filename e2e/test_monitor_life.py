"""atoll monitor over time: series and targets that go, files and configurations that change, its end."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
import yaml

import peers
from scrape_target import Page, Target


def write(path, text):
    """As careful writers do: beside, then renamed."""
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    os.rename(beside, path)


def file_jobs(directory, interval="500ms", **more):
    return yaml.safe_dump({
        "global": {"scrape_interval": interval, "scrape_timeout": interval, **more},
        "scrape_configs": [{"job_name": "found", "file_sd_configs": [
            {"files": [str(directory / "*.yml"), str(directory / "*.json")],
             "refresh_interval": "1s"}], "relabel_configs": [
                {"source_labels": ["__meta_filepath"], "regex": ".*/(.*)", "target_label": "file"}]}]})


def labels(server, query):
    return sorted(json.dumps(one["metric"], sort_keys=True) for one in server.instant(query))


def both_see(pair, query, count):
    """Both give 'count' series, the same ones."""
    def check():
        seen = [labels(server, query) for server in pair]
        assert len(seen[0]) == count and seen[0] == seen[1], f"stock {seen[0]}, ours {seen[1]}"
        return True
    peers.eventually(check, 40, what=f"{count} series of {query}")


@pytest.fixture
def found(tmp_path):
    """Both servers, finding targets in files of a folder."""
    folder = tmp_path / "targets"
    folder.mkdir()
    config = file_jobs(folder)
    with peers.Prometheus(tmp_path, config) as stock, \
            peers.Monitor(tmp_path, config, "--scrape.discovery-reload-interval=100ms") as ours:
        yield folder, (stock, ours)
        assert ours.stop() == 0, ours.output()[-4000:]


ALL = '{__name__=~"going|staying|timed"}'


def test_series_end(found):
    folder, pair = found
    past = int(time.time() * 1000) - 1000
    whole = f"going 1\nstaying 2\ntimed 3 {past}\n"
    with Target({"/metrics": whole}) as target:
        (folder / "one.yml").write_text(json.dumps([{"targets": [target.address]}]))
        both_see(pair, ALL, 3)
        target.pages["/metrics"] = "staying 2\n"
        both_see(pair, "going", 0)
        both_see(pair, '{__name__=~"staying|timed"}', 2)  # One with its own time is not ended.
        target.pages["/metrics"] = whole
        both_see(pair, ALL, 3)

        target.pages["/metrics"] = Page("broken", status=503)
        both_see(pair, '{__name__=~"going|staying"}', 0)
        both_see(pair, "up == 0", 1)
        target.pages["/metrics"] = whole
        both_see(pair, ALL, 3)
        both_see(pair, "up == 1", 1)

        (folder / "one.yml").write_text("[]")
        both_see(pair, '{__name__=~"up|going|staying|scrape_.*"}', 0)
        both_see(pair, "timed", 1)
        assert pair[1].instant("count_over_time(going[5m])"), "what was stored stays"


def test_a_target_that_dies_and_comes_back(found):
    folder, pair = found
    with Target({"/metrics": "alive 1\n"}) as target:
        (folder / "one.json").write_text(json.dumps([{"targets": [target.address]}]))
        both_see(pair, "alive and on(instance) up == 1", 1)
    both_see(pair, "up == 0", 1)
    both_see(pair, "alive", 0)

    def error():
        return pair[1].api("targets").json["data"]["activeTargets"][0]["lastError"]
    peers.eventually(lambda: error().startswith('Get "http://') and "refused" in error().lower())


def test_files_of_targets_change(found):
    folder, pair = found
    with Target({"/metrics": "a 1\n"}) as one, Target({"/metrics": "a 1\n"}) as two:
        write(folder / "one.yml", f"- targets: ['{one.address}']\n  labels: {{zone: x, n: '1'}}\n")
        both_see(pair, 'a{zone="x",n="1",file="one.yml"}', 1)
        write(folder / "two.json", json.dumps([{"targets": [two.address], "labels": {"zone": "y"}}]))
        both_see(pair, 'a{zone="y",file="two.json"}', 1)
        write(folder / "one.yml", f"- targets: ['{one.address}']\n  labels: {{zone: z}}\n")
        both_see(pair, 'a{zone="z"}', 1)
        both_see(pair, 'a{zone="x"}', 0)
        for broken in ("- targets: [", "- target: ['x:1']\n", "{}", "[1]"):
            write(folder / "one.yml", broken)
            peers.eventually(lambda: "cannot read targets" in pair[1].output())
            both_see(pair, "a", 2)
        errors = peers.http(pair[1].url + "/metrics").text
        assert re.search(r"prometheus_sd_file_read_errors_total [1-9]", errors)
        os.remove(folder / "two.json")
        both_see(pair, 'a{zone="y"}', 0)
        both_see(pair, "a", 1)


ONE_JOB = """\
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: {name}
  static_configs: [{{targets: ['{address}']}}]
"""


def reload_by_signal(monitor):
    before = monitor.output().count("configuration loaded")
    failed = monitor.output().count("cannot load the configuration")
    monitor.send(signal.SIGHUP)
    peers.eventually(lambda: monitor.output().count("configuration loaded") > before or
                     monitor.output().count("cannot load the configuration") > failed)


def test_a_bad_configuration_keeps_the_old_one(tmp_path):
    with Target({"/metrics": "a 1\n"}) as target:
        good = ONE_JOB.format(name="one", address=target.address)
        with peers.Monitor(tmp_path, good, "--web.enable-lifecycle") as monitor:
            peers.eventually(lambda: monitor.instant('a{job="one"}'))
            for bad, words in (
                    (good.replace("static_configs", "statik_configs"), ("monitor.yml:4", "statik_configs")),
                    (good + "- job_name: one\n", ("monitor.yml:5", "one")),
                    (good + "\t- x\n", ("monitor.yml",))):
                monitor.config.write_text(bad)
                answer = peers.http(monitor.url + "/-/reload", data=b"")
                assert answer.status == 500
                for word in words:
                    assert word in answer.text
                reload_by_signal(monitor)
                info = monitor.api("status/runtimeinfo").json["data"]
                assert info["reloadConfigSuccess"] is False
                assert "one" in monitor.api("status/config").json["data"]["yaml"]
                metrics = peers.http(monitor.url + "/metrics").text
                assert "prometheus_config_last_reload_successful 0" in metrics
            asked = len(target.asked)
            peers.eventually(lambda: len(target.asked) > asked + 1, what="the old jobs go on")

            monitor.config.write_text(ONE_JOB.format(name="two", address=target.address))
            assert peers.http(monitor.url + "/-/reload", data=b"").status == 200
            peers.eventually(lambda: monitor.instant('a{job="two"}'))
            peers.eventually(lambda: not monitor.instant('{job="one"}'))
            assert monitor.api("status/runtimeinfo").json["data"]["reloadConfigSuccess"] is True

            monitor.config.write_text(good)
            reload_by_signal(monitor)
            peers.eventually(lambda: monitor.instant('a{job="one"}'))
            assert monitor.stop() == 0, monitor.output()[-4000:]


def test_reload_and_quit_need_the_flag(tmp_path):
    with peers.Monitor(tmp_path, "{}") as monitor:
        for path in ("/-/reload", "/-/quit"):
            assert peers.http(monitor.url + path, data=b"").status == 403
            assert peers.http(monitor.url + path).status == 405
        assert monitor.stop() == 0


def test_a_reload_leaves_alone_what_did_not_change(tmp_path):
    with Target({"/metrics": "a 1\nb 2\n"}) as target:
        good = ONE_JOB.format(name="one", address=target.address)
        with peers.Monitor(tmp_path, good) as monitor:
            peers.eventually(lambda: len(target.asked) >= 2)
            monitor.config.write_text(good + "- {job_name: more}\n")
            reload_by_signal(monitor)
            # Known before and after: no series is new to the scrapes since.
            asked = len(target.asked)
            peers.eventually(lambda: len(target.asked) > asked + 2)
            added = monitor.instant('sum_over_time(scrape_series_added[5m])')
            assert [one["value"][1] for one in added] == ["2"]
            # What is looked at once more is not new either.
            monitor.config.write_text(good + "  honor_labels: true\n")
            reload_by_signal(monitor)
            peers.eventually(lambda: len(target.asked) > asked + 6)
            gaps = monitor.instant('count_over_time(a[1m]) == bool on(instance) count_over_time(up[1m])')
            assert [one["value"][1] for one in gaps] == ["1"]


BAD = [
    ("scrape_config: []", 1, "scrape_config"),
    ("global:\n  scrape_intervall: 1s", 2, "scrape_interval"),
    ("global:\n  scrape_interval: 1x", 2, "1x"),
    ("global: {scrape_interval: 1s, scrape_timeout: 2s}", 1, "timeout"),
    ("scrape_configs:\n- job_name: a\n- job_name: a", 3, "a"),
    ("scrape_configs:\n- metrics_path: /x", 2, "job_name"),
    ("scrape_configs:\n- job_name: a\n  scheme: ftp", 3, "ftp"),
    ("scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: ['http://x/y']", 4, "x/y"),
    ("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: change", 4, "change"),
    ("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: '('", 4, "("),
    ("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: hashmod\n    target_label: x", 4,
     "modulus"),
    ("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: replace\n    regex: x", 4,
     "target_label"),
    ("scrape_configs:\n- job_name: a\n  sample_limit: many", 3, "sample_limit"),
    ("scrape_configs:\n- job_name: a\n  basic_auth: {username: a, pasword: b}", 3, "password"),
    ("scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x.txt]}]", 3, "x.txt"),
    ("scrape_configs:\n- job_name: a\n  bearer_token: a\n  bearer_token_file: b", 2, "bearer_token"),
    ("global:\n  external_labels: {'': b}", 2, "label"),
    ("global: [", 2, ""),
    ("a: &x [*x]", 1, ""),
]
ABSENT = [
    ("rule_files: ['*.yml']", 1, "rule_files"),
    ("remote_write:\n- url: http://x", 1, "remote_write"),
    ("scrape_configs:\n- job_name: a\n  kubernetes_sd_configs: [{role: pod}]", 3, "kubernetes_sd_configs"),
    ("scrape_configs:\n- job_name: a\n  scrape_protocols: [PrometheusProto]", 3, "PrometheusProto"),
]


def run_to_the_end(directory, *flags):
    return subprocess.run([peers.atoll(), "monitor", "--web.listen-address=127.0.0.1:0",
                           f"--storage.tsdb.path={directory / 'data'}", *flags],
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("text,line,word", BAD + ABSENT)
def test_configurations_are_read_strictly(tmp_path, text, line, word):
    file = tmp_path / "bad.yml"
    file.write_text(text + "\n")
    done = run_to_the_end(tmp_path, f"--config.file={file}")
    assert done.returncode == 1
    assert f"bad.yml:{line}:" in done.stderr or f"line {line}" in done.stderr, done.stderr
    assert word in done.stderr
    assert not (tmp_path / "data").exists()


# Debian's release finds out about a scheme only when it scrapes.
@pytest.mark.parametrize("text,line,word", [bad for bad in BAD if bad[2] != "ftp"])
def test_stock_refuses_the_same(tmp_path, text, line, word):
    file = tmp_path / "bad.yml"
    file.write_text(text + "\n")
    assert subprocess.run(["promtool", "check", "config", "--syntax-only", file],
                          capture_output=True, check=False).returncode != 0


def test_a_missing_configuration_and_bad_flags(tmp_path):
    done = run_to_the_end(tmp_path, "--config.file=nowhere.yml")
    assert done.returncode == 1 and "--config.file" in done.stderr and "nowhere.yml" in done.stderr
    file = tmp_path / "good.yml"
    file.write_text("{}")
    for flag, word in (("--storage.tsdb.retention.time=soon", "retention.time"), ("--no-such", "no-such"),
                       ("--log.level=loud", "loud"), ("--query.max-concurrency=0", "max-concurrency"),
                       ("--web.listen-address=nohost", "nohost")):
        done = run_to_the_end(tmp_path, f"--config.file={file}", flag)
        assert done.returncode != 0 and word in done.stderr, (flag, done.stderr)


def test_a_port_in_use(tmp_path):
    with Target() as other:
        file = tmp_path / "good.yml"
        file.write_text("{}")
        done = run_to_the_end(tmp_path, f"--config.file={file}",
                              f"--web.listen-address={other.address}")
        assert done.returncode == 1 and other.address in done.stderr, done.stderr


def test_a_locked_data_directory(tmp_path):
    with peers.Monitor(tmp_path, "{}") as holder:
        done = subprocess.run(
            [peers.atoll(), "monitor", f"--config.file={holder.config}",
             "--web.listen-address=127.0.0.1:0", f"--storage.tsdb.path={holder.data}"],
            capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert str(holder.data) in done.stderr and str(holder.process.pid) in done.stderr, done.stderr
        assert holder.instant("vector(1)")
        assert holder.stop() == 0
    with peers.Monitor(tmp_path, "{}", name="next", data=holder.data) as monitor:
        assert monitor.stop() == 0


def test_it_ends_cleanly_while_scrapes_are_under_way(tmp_path):
    hanging = Page("a 1\n")
    hanging.hang = True
    with Target({"/metrics": hanging, "/good": "a 1\n"}) as target:
        config = ONE_JOB.format(name="one", address=target.address).replace("500ms", "30s, scrape_timeout: 30s")
        groups = [{"targets": [f"{target.address}"], "labels": {"n": str(n), "__scrape_interval__": "1s",
                                                                "__scrape_timeout__": "1s"}}
                  for n in range(20)]
        config = yaml.safe_dump({"scrape_configs": [{"job_name": "hanging", "static_configs": groups}]})
        with peers.Monitor(tmp_path, config) as monitor:
            peers.eventually(lambda: len(target.asked) >= 20)
            assert monitor.stop() == 0, monitor.output()[-4000:]
    assert "ERROR" not in monitor.output()


def test_it_ends_cleanly_while_it_reloads(tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    with Target({"/metrics": "a 1\n"}) as target:
        for number in range(50):
            (folder / f"{number}.json").write_text(json.dumps([{"targets": [target.address]}] * 200))
        with peers.Monitor(tmp_path, file_jobs(folder)) as monitor:
            for number in range(50):
                (folder / f"{number}.json").write_text(json.dumps([{"targets": [target.address]}] * 201))
            monitor.config.write_text(file_jobs(folder, "400ms"))
            for _ in range(3):
                monitor.send(signal.SIGHUP)
            assert monitor.stop() == 0, monitor.output()[-4000:]


def test_retention_by_time(tmp_path):
    past = int(time.time() * 1000) - 40 * 60_000
    with Target({"/metrics": f"old 1 {past}\nnew 2\n"}) as target:
        config = ONE_JOB.format(name="one", address=target.address)
        with peers.Monitor(tmp_path, config) as monitor:
            peers.eventually(lambda: monitor.instant("new"))
            peers.eventually(lambda: monitor.instant("old", time=past / 1000))
            assert monitor.api("status/runtimeinfo").json["data"]["storageRetention"] == "15d"
            assert monitor.stop() == 0
        target.pages["/metrics"] = "new 2\n"
        with peers.Monitor(tmp_path, config, "--storage.tsdb.retention.time=30m") as monitor:
            peers.eventually(lambda: monitor.instant("count_over_time(new[1h])"))
            peers.eventually(lambda: not monitor.instant("old", time=past / 1000))
            info = monitor.api("status/runtimeinfo").json["data"]
            assert info["storageRetention"] == "30m"
            assert monitor.stop() == 0
