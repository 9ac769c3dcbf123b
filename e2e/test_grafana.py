"""The requests that a stock Grafana makes of a Prometheus data source, replayed."""
import time

import pytest

import pair as pairs
import peers

HEADERS = {"User-Agent": "Grafana/11.2.0", "Accept-Encoding": "gzip, deflate",
           "X-Grafana-Org-Id": "1", "X-Dashboard-Uid": "abc", "X-Panel-Id": "4",
           "FromAlert": "false"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with pairs.running_pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


def call(server, path, form=None, **params):
    query = peers.urllib.parse.urlencode(params, doseq=True)
    headers = {name: value for name, value in HEADERS.items() if name != "Accept-Encoding"}
    answer = peers.http(f"{server.url}/api/v1/{path}{'?' + query if query else ''}", data=form,
                        headers=headers)
    assert answer.status == 200, answer.text
    assert answer.json["status"] == "success"
    return answer.json["data"]


def test_save_and_test(pair):
    """The health check, and what tells Grafana which features it may use."""
    data = call(pair.ours, "query", form=[("query", "1+1"), ("time", f"{time.time():.3f}")])
    assert data["resultType"] == "scalar" and data["result"][1] == "2"
    version = call(pair.ours, "status/buildinfo")["version"]
    major, minor = (int(part) for part in version.split(".")[:2])
    assert (major, minor) >= (2, 24), "label values with match[] are asked for from 2.24 on"


def test_a_time_series_panel(pair):
    """query_range by POST, times snapped to the step, step in seconds."""
    end = pair.time // 15 * 15
    form = [("end", end), ("query", 'rate(demo_requests_total{job=~"demo"}[1m0s])'),
            ("start", end - 3600), ("step", "15")]
    data = call(pair.ours, "query_range", form=form)
    assert data["resultType"] == "matrix"
    data = call(pair.ours, "query_range", query="demo_temperature", start=f"{end - 60:.3f}",
                end=f"{end + 15:.3f}", step="15s")
    assert {series["metric"]["room"] for series in data["result"]} >= {"attic", "kitchen"}
    assert all(isinstance(moment, (int, float)) and isinstance(value, str)
               for series in data["result"] for moment, value in series["values"])


def test_a_table_or_stat_panel(pair):
    data = call(pair.ours, "query", form=[("query", "demo_temperature"), ("time", pair.time)])
    assert data["resultType"] == "vector" and len(data["result"]) == 3


def test_explore_s_metric_browser(pair):
    """Names, labels and values, in the ranges and with the limits of the query builder."""
    window = {"start": pair.time - 3600, "end": pair.time + 60}
    names = call(pair.ours, "label/__name__/values", limit=40000, **window)
    assert "demo_temperature" in names and names == sorted(names)
    labels = call(pair.ours, "labels", limit=40000, **{"match[]": '{__name__="demo_temperature"}'},
                  **window)
    assert labels == ["__name__", "instance", "job", "room"]
    labels = call(pair.ours, "labels", form=[("match[]", '{__name__="demo_temperature"}'),
                                             ("start", window["start"]), ("end", window["end"])])
    assert "room" in labels
    rooms = call(pair.ours, "label/room/values", limit=40000,
                 **{"match[]": '{job="demo",__name__="demo_temperature"}'}, **window)
    assert "attic" in rooms
    assert call(pair.ours, "label/U__room/values", **window) == rooms
    series = call(pair.ours, "series", limit=40000, **{"match[]": "demo_temperature"}, **window)
    assert len(series) == 3
    series = call(pair.ours, "series", form=[("match[]", "demo_temperature"),
                                             ("start", window["start"]), ("end", window["end"])])
    assert len(series) == 3


def test_variables(pair):
    """label_values(metric, label), query_result(expr)."""
    assert "200" in call(pair.ours, "label/code/values", **{"match[]": "demo_requests_total"},
                         start=pair.time - 3600, end=pair.time)
    data = call(pair.ours, "query", query="topk(1, demo_temperature)", time=pair.time)
    assert len(data["result"]) == 1


def test_help_texts(pair):
    data = call(pair.ours, "metadata")
    assert data["demo_temperature"] == [{"type": "gauge", "help": "Degrees.", "unit": ""}]
    assert list(call(pair.ours, "metadata", metric="demo_seconds")) == ["demo_seconds"]
    assert len(call(pair.ours, "metadata", limit=1)) == 1


def test_rules_alerts_and_exemplars(pair):
    assert call(pair.ours, "rules") == {"groups": []}
    assert call(pair.ours, "alerts") == {"alerts": []}
    assert call(pair.ours, "query_exemplars", query="demo_seconds_bucket", start=pair.time - 60,
                end=pair.time) == []
    assert call(pair.ours, "query_exemplars", form=[
        ("query", "demo_seconds_bucket"), ("start", pair.time - 60), ("end", pair.time)]) == []


def test_a_panel_that_asks_too_much_or_wrong_is_told_why(pair):
    answer = pair.ours.api("query_range", form=[
        ("query", "up"), ("start", 0), ("end", pair.time), ("step", "1")])
    assert answer.status == 400 and "11,000 points" in answer.json["error"]
    answer = pair.ours.api("query", form=[("query", "rate(up[5m]")])
    assert answer.status == 400 and "parse error" in answer.json["error"]
