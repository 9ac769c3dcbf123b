#!/usr/bin/env python3
"""Adds up a check: tally.py RESULTS BUILD... [FAILED-STEP...]

Reads every "N passed, N failed, N skipped" line of the unit tests (meson's testlog.json), the steps'
logs and pytest's junit file, names what was skipped, and closes with one such line for all.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)
SKIP = re.compile(r"^SKIP (.*)$", re.M)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.reasons = []

    def text(self, where, text):
        found = LINE.findall(text)
        for passed, failed, skipped in found:
            self.passed += int(passed)
            self.failed += int(failed)
            self.skipped += int(skipped or 0)
        self.reasons += [f"{where}: {why}" for why in SKIP.findall(text)]
        return sum(int(failed) for _, failed, _ in found), bool(found)

    def meson(self, build):
        log = build / "meson-logs/testlog.json"
        if not log.exists():
            return
        for line in log.read_text().splitlines():
            test = json.loads(line)
            failed, counted = self.text(test["name"], test.get("stdout") or "")
            if test["result"] == "OK" and not counted:
                self.passed += 1
            elif test["result"] not in ("OK", "SKIP") and failed == 0:
                self.failed += 1
                print(f"{build.name}: {test['name']}: {test['result']}")

    def junit(self, file):
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            kinds = {child.tag: child for child in case}
            if "failure" in kinds or "error" in kinds:
                self.failed += 1
            elif "skipped" in kinds:
                self.skipped += 1
                self.reasons.append(f"{case.get('name')}: {kinds['skipped'].get('message')}")
            else:
                self.passed += 1


def main(argv):
    results, tally, broken = pathlib.Path(argv[0]), Tally(), []
    for word in argv[1:]:
        folder = pathlib.Path(word)
        if folder.is_dir():
            tally.meson(folder)
        else:
            broken.append(word)
    for name in ("fuzz.log", "browser.log"):
        if (results / name).exists():
            tally.text(name.removesuffix(".log"), (results / name).read_text(errors="replace"))
    for file in sorted(results.glob("*.xml")):
        tally.junit(file)
    for reason in tally.reasons:
        print(f"skipped: {reason}")
    if broken:
        print(f"failed steps: {', '.join(broken)} (logs in {results.name}/)")
        tally.failed = max(tally.failed, len(broken))
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
