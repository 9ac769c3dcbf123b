"""atoll promqltest: scripts of PromQL tests, as users run them."""
import os
import pathlib
import subprocess

import pytest

ATOLL = os.environ.get("ATOLL_BINARY", "build/atoll")
ALL = (
    "--enable-feature=promql-experimental-functions,promql-extended-range-selectors",
    "--enable-feature=promql-binop-fill-modifiers,promql-delayed-name-removal,use-start-timestamps",
)


def run(*args):
    return subprocess.run([ATOLL, "promqltest", *map(str, args)], capture_output=True, text=True, timeout=300)


def test_counts_each_file_and_all(tmp_path):
    (tmp_path / "a.test").write_text("load 1m\n  a 0+1x10\n\neval instant at 5m a\n  a 5\n")
    (tmp_path / "b.test").write_text("eval instant at 0 1 + 1\n  2\n")
    done = run(tmp_path / "a.test", tmp_path / "b.test")
    assert done.stdout.splitlines() == [
        f"{tmp_path}/a.test: 1 passed, 0 failed, 0 skipped",
        f"{tmp_path}/b.test: 1 passed, 0 failed, 0 skipped",
        "2 passed, 0 failed, 0 skipped",
    ]
    assert done.returncode == 0


def test_says_where_and_what_failed(tmp_path):
    script = tmp_path / "a.test"
    script.write_text("# one\neval instant at 0 1 + 1\n  3\n")
    done = run(script)
    assert done.stdout.splitlines() == [
        f"{script}:2: expected the scalar 3, got the scalar 2: 1 + 1 at 0 ms",
        f"{script}: 0 passed, 1 failed, 0 skipped",
        "0 passed, 1 failed, 0 skipped",
    ]
    assert done.returncode == 1


def test_says_where_a_file_is_malformed_and_goes_on(tmp_path):
    (tmp_path / "a.test").write_text("\nevil\n")
    (tmp_path / "b.test").write_text("eval instant at 0 1\n  1\n")
    done = run(tmp_path / "a.test", tmp_path / "missing", tmp_path / "b.test")
    assert f"{tmp_path}/a.test:2: \"evil\" is none of" in done.stderr
    assert "missing" in done.stderr
    assert done.stdout.splitlines()[-1] == "1 passed, 2 failed, 0 skipped"
    assert done.returncode == 1


def test_wants_files():
    assert run().returncode == 2
    assert run("--lime", "x").returncode == 2


def test_features_are_off_until_asked_for(tmp_path):
    script = tmp_path / "a.test"
    script.write_text("load 1m\n  a 1 2\n\neval instant at 1m limitk(1, a)\n  a 2\n")
    assert run(script).returncode == 1
    assert run(ALL[0], script).returncode == 0


@pytest.mark.skipif("ATOLL_TESTDATA" not in os.environ, reason="ATOLL_TESTDATA is not set")
def test_passes_prometheus_own_suite():
    files = sorted(pathlib.Path(os.environ["ATOLL_TESTDATA"], "promqltest").glob("*.test"))
    done = run(*ALL, *files)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith(" 0 failed, 0 skipped"), done.stdout
