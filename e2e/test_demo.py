"""The demo as a user meets it: started, looked at, changed, broken, ended."""
import os
import pathlib
import signal
import socket
import stat
import time

import pytest
import yaml
from demo_helpers import CLUSTERS, SLOWNESS, Demo, gone_within, is_alive, port_block, terminate
from peers import HOST, eventually, http

ALL_UP = {name: 2 for name in CLUSTERS}


@pytest.fixture(scope="module")
def demo():
    with Demo() as running:
        running.wait_ready()
        yield running


def cpu_rate(demo, at):
    """What three clusters say over the hub of their processors' time, when all have two samples."""
    answer = demo.query("sum by (cluster) (rate(node_cpu_seconds_total[1m]))", at)
    assert "warnings" not in answer, answer
    found = {item["metric"]["cluster"]: float(item["value"][1])
             for item in answer["data"]["result"]}
    assert set(found) == set(CLUSTERS), found
    return found


def test_says_where_everything_is(demo):
    text = demo.output()
    assert f"state: {demo.state}\n" in text
    assert f"ports: {demo.port} hub, {demo.port + 1}-{demo.port + 4} frankfurt, " in text
    file = pathlib.Path(text.split("grafana: ")[1].splitlines()[0])
    provisioning = yaml.safe_load(file.read_text())
    assert provisioning["apiVersion"] == 1
    [source] = provisioning["datasources"]
    assert source["type"] == "prometheus" and source["access"] == "proxy"
    assert source["url"] == f"http://{HOST}:{demo.port}"
    # What Grafana asks when somebody presses "Save & test".
    assert http(source["url"] + "/api/v1/query", data=[("query", "1+1"), ("time", "1")]).status == 200


def test_keys_are_for_their_owner_only(demo):
    keys = [path for path in pathlib.Path(demo.state).rglob("tls.key") if not path.is_symlink()]
    assert len(keys) == 9  # the anchor; hub and clusters: issuer and leaf each
    for key in keys:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key
    assert stat.S_IMODE(pathlib.Path(demo.state).stat().st_mode) == 0o700


def test_three_clusters_answer_over_the_hub(demo):
    assert demo.up() == ALL_UP


def test_rates_are_those_that_each_cluster_computes(demo):
    def settled():
        """A moment of which every sample is stored by now."""
        moment = time.time() - 2
        return cpu_rate(demo, moment) and moment

    at = eventually(settled, what="two scrapes of every cluster")
    over_hub = cpu_rate(demo, at)
    for cluster, value in over_hub.items():
        direct = demo.result("sum(rate(node_cpu_seconds_total[1m]))", at, cluster)
        assert float(direct[0]["value"][1]) == pytest.approx(value, rel=1e-12), cluster


def test_topk_is_the_top_of_all_clusters(demo):
    at = time.time() - 1
    every = []
    for cluster in CLUSTERS:
        every += [float(item["value"][1])
                  for item in demo.result("node_filesystem_avail_bytes", at, cluster)]
    top = [float(item["value"][1]) for item in demo.result("topk(3, node_filesystem_avail_bytes)", at)]
    assert len(top) == 3
    assert sorted(top, reverse=True) == sorted(every, reverse=True)[:3]


def test_a_cluster_is_added_and_removed_and_nothing_else_touched(demo):
    before = demo.pids()
    began = time.monotonic()
    adding = demo.command_in_background("add-cluster", "lisbon")
    eventually(lambda: "lisbon" in demo.up(), timeout=10 * SLOWNESS, what="lisbon is shown")
    took = time.monotonic() - began
    text, _ = adding.communicate(timeout=60)
    assert adding.returncode == 0, text
    assert "lisbon answers over the hub" in text
    print(f"lisbon after {took:.1f} s")

    pids = demo.pids()
    assert {name: pid for name, pid in pids.items() if not name.startswith("lisbon/")} == before
    lisbon = [pid for name, pid in pids.items() if name.startswith("lisbon/")]
    assert len(lisbon) == 3
    assert demo.command("add-cluster", "lisbon") == (
        1, "atoll demo add-cluster: lisbon is there already\n")

    code, text = demo.command("remove-cluster", "lisbon")
    assert code == 0, text
    assert not any(is_alive(pid) for pid in lisbon)
    assert not (pathlib.Path(demo.state) / "clusters/lisbon").exists()
    eventually(lambda: demo.up() == ALL_UP, timeout=10, what="lisbon is gone")
    assert "warnings" not in demo.query("up")
    assert demo.pids() == before


def samples_of_bahrain(demo, at):
    """Every sample of its last minute, by series."""
    result = demo.result('{cluster="bahrain",__name__=~".+"}[1m]', at)
    return {tuple(sorted(item["metric"].items())): item["values"] for item in result}


def samples_within(found, after):
    """Those samples that are newer than a moment."""
    return {series: [value for value in values if value[0] > after]
            for series, values in found.items()}


def test_a_crash_is_named_and_the_part_comes_back(demo):
    os.kill(demo.pids()["bahrain/monitor"], signal.SIGKILL)

    def warning():
        answer = demo.query("count by (cluster) (up == 1)")
        clusters = {item["metric"]["cluster"] for item in answer["data"]["result"]}
        return clusters == {"frankfurt", "madrid"} and answer.get("warnings")

    warnings = eventually(warning, timeout=30, what="a warning")
    assert any("bahrain" in text for text in warnings), warnings
    eventually(lambda: "bahrain/monitor ended: killed by SIGKILL; atoll demo restart "
               "bahrain/monitor brings it back\n" in demo.output(), what="said by the demo")
    code, text = demo.command("status")
    assert code == 0
    assert "monitor        ended     (killed by SIGKILL; atoll demo restart bahrain/monitor)" in text
    code, text = demo.command("restart", "bahrain/monitor")
    assert code == 0, text
    eventually(lambda: demo.up() == ALL_UP, timeout=60, what="bahrain is back")
    assert "warnings" not in demo.query("up")


def test_what_was_answered_before_a_crash_is_back_after_it(demo):
    before = {}
    for _ in range(3):  # Whatever the monitor is doing just then.
        at = time.time()
        before = {**before, **samples_of_bahrain(demo, at)}
        os.kill(demo.pids()["bahrain/monitor"], signal.SIGKILL)
        code, text = demo.command("restart", "bahrain/monitor")
        assert code == 0, text
        after = eventually(lambda at=at: samples_of_bahrain(demo, at), what="bahrain answers")
        for series, values in samples_within(before, at - 60).items():
            missing = [value for value in values if value not in after.get(series, [])]
            assert not missing, (series, missing)
    assert len(before) > 500


def test_clusters_do_not_miss_the_hub(demo):
    pids = demo.pids()
    os.kill(pids["hub/hub"], signal.SIGTERM)
    gone_within([pids["hub/hub"]], 10)
    stopped = time.time()
    for cluster in CLUSTERS:
        def scraped(cluster=cluster):
            newest = [float(item["value"][1]) for item in demo.result("timestamp(up)", cluster=cluster)]
            return len(newest) == 2 and min(newest) > stopped
        eventually(scraped, timeout=30, what=f"{cluster} goes on")
    code, text = demo.command("restart", "hub")
    assert code == 0, text
    eventually(lambda: demo.up() == ALL_UP, timeout=60, what="the hub is back")
    now = demo.pids()
    assert {name: pid for name, pid in now.items() if name != "hub/hub"} == {
        name: pid for name, pid in pids.items() if name != "hub/hub"}


def test_a_whole_cluster_is_restarted(demo):
    before = demo.pids()
    code, text = demo.command("restart", "madrid")
    assert code == 0, text
    after = demo.pids()
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"madrid/node-exporter", "madrid/prometheus", "madrid/gateway"}
    eventually(lambda: demo.up() == ALL_UP, timeout=60, what="madrid is back")


@pytest.mark.parametrize("arguments, sentence", [
    (["restart", "paris"], '"paris" is none of hub, frankfurt, bahrain, madrid'),
    (["restart", "madrid/monitor"],
     'madrid has no part "monitor", but node-exporter, prometheus, gateway'),
    (["remove-cluster", "paris"], '"paris" is none of hub, frankfurt, bahrain, madrid'),
    (["remove-cluster", "hub"], "the hub is no cluster; without it there is no demo"),
    (["add-cluster", "Paris"], '"Paris" is not a cluster\'s name'),
    (["add-cluster"], "needs one argument"),
])
def test_wrong_commands_are_refused_in_words(demo, arguments, sentence):
    code, text = demo.command(*arguments)
    assert code != 0
    assert sentence in text


def test_a_second_demo_is_refused(demo):
    with Demo(state=demo.state) as second:
        assert second.wait(30) == 1
        assert f"a demo runs on {demo.state} already" in second.output()
    with Demo(port=demo.port) as second:
        assert second.wait(30) == 1
        assert (f"port {demo.port} is in use by something else; use --port"
                in second.output())
    code, text = demo.command("--clean")
    assert code == 1
    assert "a demo runs on" in text
    assert demo.up() == ALL_UP


def test_ends_all_that_it_started_and_is_cleaned_up(demo):
    pids = demo.pids()
    assert len(pids) == 10
    code, took = terminate(demo, 30)
    assert code == 0, demo.output()
    assert took < 5 * SLOWNESS
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    code, text = demo.command("status")
    assert code == 1
    assert "no demo runs on" in text
    code, text = demo.command("--clean")
    assert code == 0, text
    assert not os.path.exists(demo.state)


def test_children_die_with_a_demo_that_is_killed():
    with Demo() as demo:
        demo.wait_ready()
        pids = demo.pids()
        assert len(pids) == 10
        demo.process.kill()
        demo.wait(10)
        gone_within(pids.values(), 5)
        # And its state is no obstacle to the next one.
        demo.start()
        eventually(lambda: demo.output().count("ready: ") == 2, timeout=90, what="ready again")
        assert terminate(demo, 30)[0] == 0


def test_names_a_port_that_is_taken():
    first = port_block()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, first + 6))
        other.listen()
        with Demo(port=first) as demo:
            assert demo.wait(30) == 1
            assert demo.output().splitlines()[-1] == (
                f"atoll demo: port {first + 6} is in use by something else; "
                "use --port to move the demo")


def test_names_a_package_that_is_missing():
    with Demo(environment={"PATH": "/nonexistent"}) as demo:
        assert demo.wait(30) == 1
        assert ("prometheus-node-exporter not found; apt-get install prometheus-node-exporter\n"
                in demo.output())


@pytest.fixture
def with_prometheus(tmp_path):
    """An environment in which 'prometheus' is the given shell script."""
    def make(script):
        program = tmp_path / "prometheus"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return make


def test_shows_the_last_lines_of_a_part_that_dies_early(with_prometheus):
    with Demo(environment=with_prometheus("echo cannot open the vault; exit 3")) as demo:
        assert demo.wait(30) == 1
        text = demo.output()
        assert "  cannot open the vault\n" in text
        assert "madrid/prometheus ended before the demo was ready: exit code 3\n" in text
        assert "\nready:" not in text


def test_says_who_did_not_answer_in_time(with_prometheus):
    environment = with_prometheus("echo thinking; exec sleep 1000")
    with Demo(environment=environment, flags=["--ready-timeout=8s"]) as demo:
        assert demo.wait(60) == 1
        text = demo.output()
        assert "madrid/prometheus does not answer at http://" in text
        assert "  thinking\n" in text
        assert "not ready within 8 s (--ready-timeout): no answer from" in text
        assert "madrid" in text.splitlines()[-1]


def test_ctrl_c_before_ready_is_an_orderly_end(with_prometheus):
    with Demo(environment=with_prometheus("exec sleep 1000")) as demo:
        eventually(lambda: "ports: " in demo.output(), what="started")
        pids = eventually(lambda: len(demo.pids()) == 10 and demo.pids(), what="all parts run")
        code, text = demo.command("add-cluster", "lisbon")
        assert code == 1
        assert "the demo is not ready yet; try again when it is" in text
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
        assert not [pid for pid in pids.values() if is_alive(pid)]


def test_refuses_to_clean_what_is_not_its_own(tmp_path):
    (tmp_path / "letter").write_text("dear")
    with Demo(state=tmp_path, flags=["--clean"]) as demo:
        assert demo.wait(30) == 2
        assert "is not a demo's state" in demo.output()
    with Demo(state=tmp_path) as demo:
        assert demo.wait(30) == 2
    assert (tmp_path / "letter").read_text() == "dear"


def test_moves_with_its_port_flag():
    first = port_block()
    with Demo(port=first) as demo:
        demo.wait_ready()
        assert http(f"http://{HOST}:{first}/-/ready").status == 200
        assert demo.up() == ALL_UP
        assert terminate(demo, 30)[0] == 0
