"""Lets the tests import what is in this folder; names attacks."""
import os
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def pytest_addoption(parser):
    parser.addoption("--attacks", action="store_true",
                     help="only the attacks, the long ones too: a line 'ok NAME' or 'not ok NAME' each")


def pytest_configure(config):
    config.addinivalue_line("markers", "attack(group): something hostile, of a group of the checklist")
    if config.getoption("--attacks"):
        config.pluginmanager.register(Printer())
    config.addinivalue_line("markers", "long: only with --attacks or LONG=1 in the environment")


def attack_name(item):
    """attack_GROUP_WHAT, by the test's function and its parameters."""
    mark = item.get_closest_marker("attack")
    what = re.sub(r"[^a-z0-9]+", "_", item.name.removeprefix("test_").lower()).strip("_")
    return f"attack_{mark.args[0]:02}_{what}" if mark else None


def pytest_collection_modifyitems(config, items):
    only_attacks = config.getoption("--attacks")
    if only_attacks:
        others = [item for item in items if not attack_name(item)]
        items[:] = [item for item in items if attack_name(item)]
        config.hook.pytest_deselected(items=others)
    names = {}
    for item in items:
        if name := attack_name(item):
            names[name] = names.get(name, 0) + 1
            number = f"_{names[name]}" if names[name] > 1 else ""
            item.user_properties.append(("attack", name + number))
        if item.get_closest_marker("long") and not only_attacks and not os.environ.get("LONG"):
            item.add_marker(pytest.mark.skip(reason="long"))


class Printer:
    """Says of each attack how it went."""

    @staticmethod
    def pytest_report_teststatus(report):
        return (report.outcome, "", "") if report.when == "call" and report.passed else None

    @staticmethod
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(report):
        if report.when == "call" or report.outcome != "passed":
            name = dict(report.user_properties)["attack"]
            print(f"\n{'ok' if report.passed else 'not ok'} {name}", end="", flush=True)
