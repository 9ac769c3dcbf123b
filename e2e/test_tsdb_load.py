"""atoll tsdb load beside promtool: the same file gives the same answers."""
import signal
import subprocess
import time

import pytest

import peers

START = 1767225600
SERIES = 40
STEPS = 480
RETENTION = "--storage.tsdb.retention.time=30y"
QUERIES = [
    '{__name__=~"demo_.+"}', "irate(demo_requests_total[5m])",
    "demo_wait_seconds_bucket", "count_over_time(demo_level[30m])", "demo_level @ 1767226600.5",
]


def samples_of(family, labels, values, offset=0.0):
    # No sample lies on the edge of a window: there the two versions differ.
    return [f"{family}{{{labels}}} {value!r} {START + 15 * i + offset + 0.007:.3f}"
            for i, value in enumerate(values)]


def openmetrics():
    """Series one after the other, each from the beginning of time to its end."""
    lines = ["# TYPE demo_requests counter"]
    for n in range(SERIES):
        values = [(7 * i + n) % (1000 + n) for i in range(STEPS)]
        lines += samples_of("demo_requests_total", f'code="{n % 5}",instance="i{n}"', values, n / 100)
    lines += ["# TYPE demo_level gauge"]
    for n in range(SERIES):
        lines += samples_of("demo_level", f'instance="ü {n}"', [i / (n + 3) for i in range(STEPS)])
    lines += samples_of("demo_level", 'instance="odd"', [float("nan"), float("inf"), -0.0])
    lines += ["# TYPE demo_wait_seconds histogram"]
    for bound in ("0.5", "1.0", "+Inf"):
        lines += samples_of("demo_wait_seconds_bucket", f'le="{bound}"', list(range(STEPS)))
    return "\n".join(lines + ["# EOF", ""])


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "samples.om"
    path.write_text(openmetrics(), encoding="utf-8")
    return path


def load(data, *files, **options):
    return subprocess.run(
        [peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={data}", *map(str, files)],
        capture_output=True, text=True, timeout=120, check=False, **options)


def answers(server):
    end = START + 15 * STEPS
    found = {}
    for query in QUERIES:
        found[f"range of {query}"] = ordered(server.range(query, START, end, "37"))
        found[query] = ordered(server.instant(query, time=START + 5000.25))
    return found


def ordered(result):
    return sorted(result, key=lambda series: sorted(series["metric"].items()))


def serve(kind, directory, data, name):
    return kind(directory, peers.scrape_config({}), RETENTION, name=name, data=data)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, text_file):
    directory = tmp_path_factory.mktemp("promtool")
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text_file,
                    directory / "data"], check=True, capture_output=True, timeout=120)
    with serve(peers.Prometheus, directory, directory / "data", "blocks") as server:
        return answers(server)


def test_both_servers_answer_as_with_promtools_blocks(tmp_path, text_file, expected):
    done = load(tmp_path / "data", text_file)
    assert done.returncode == 0, done.stderr
    count = 2 * SERIES * STEPS + 3 * STEPS + 3
    assert done.stdout.startswith(
        f"loaded {count} samples of {2 * SERIES + 4} series, 2026-01-01T00:00:00.007Z to ")
    assert "older than atoll monitor keeps" in done.stderr or time.time() < START + 15 * 86400
    with serve(peers.Monitor, tmp_path, tmp_path / "data", "ours") as ours:
        assert answers(ours) == expected
        ours.kill()
    with serve(peers.Prometheus, tmp_path, tmp_path / "data", "stock") as stock:
        assert answers(stock) == expected


def test_loading_goes_on_where_it_was_killed(tmp_path, text_file, expected):
    data = tmp_path / "data"
    first = subprocess.Popen(
        [peers.atoll(), "tsdb", "load", f"--storage.tsdb.path={data}", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    text = text_file.read_bytes().replace(b"# EOF\n", b"")
    # More than one piece is read and loaded by then, and the rest is waited for.
    first.stdin.write(text * 12)
    first.stdin.flush()
    peers.eventually(lambda: (data / "wal").exists(), 60)
    first.send_signal(signal.SIGKILL)
    first.stdin.close()
    assert first.wait(30) == -signal.SIGKILL
    # What is there already is left out, with a word and an exit code that say so.
    again = load(data, text_file)
    assert again.returncode == 1 and "left out" in again.stderr
    with serve(peers.Monitor, tmp_path, data, "ours") as ours:
        assert answers(ours) == expected


def test_what_does_not_fit_is_counted_and_told(tmp_path):
    text = "a 1 1000\na 2 900\na 3 1000\nb 1 2000\n"
    done = load(tmp_path / "data", "--format=text", "-", input=text)
    assert done.returncode == 1
    assert done.stdout.startswith("loaded 2 samples of 2 series")
    assert "left out 2 samples: 1 older than one before of their series, 1 of the same time" \
        in done.stderr


@pytest.mark.parametrize("text, sentence", [
    ("a 1 1\nb 2\n# EOF\n", "standard input: line 2: a sample without a timestamp"),
    ("a 1 1\n", "does not end with # EOF"),
])
def test_errors_say_where(tmp_path, text, sentence):
    done = load(tmp_path / "data", "-", input=text)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_refuses_what_is_in_use_or_not_there(tmp_path):
    missing = load(tmp_path / "data", tmp_path / "nothing.om")
    assert missing.returncode == 1 and "nothing.om: No such file" in missing.stderr
    with serve(peers.Monitor, tmp_path, tmp_path / "data", "ours"):
        used = load(tmp_path / "data", "-", input="# EOF\n")
        assert used.returncode == 1 and "--storage.tsdb.path" in used.stderr
