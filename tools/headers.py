#!/usr/bin/env python3
"""Checks that every public function in a header has a comment, and that headers are guarded.

A declaration counts as commented when a comment stands right above it or above the run of
declarations it belongs to (no blank line between).
"""
import pathlib
import re
import sys

DECLARATION = re.compile(r"^(?!typedef|struct \w+;|enum|static|extern|#|/|\*|\}|\s)[A-Za-z_].*\(")


def check(file, rel, problems):
    lines = file.read_text().splitlines()
    if not lines or not lines[0].startswith("/*"):
        problems.append(f"{rel}:1: say what the header is in a comment at the top")
    guard = rel.removeprefix("src/").upper().replace("/", "_").replace(".", "_")
    if f"#ifndef {guard}" not in lines:
        problems.append(f"{rel}:1: guard the header with {guard}")
    commented = False
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if stripped.endswith("*/"):
            commented = True
        elif not stripped:
            commented = False
        elif DECLARATION.match(line) and not commented:
            name = re.search(r"(\w+)\s*\(", line).group(1)
            problems.append(f"{rel}:{number}: {name} has no comment: say what it does and returns")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    problems = []
    files = sorted((root / "src").rglob("*.h"))
    for file in files:
        check(file, file.relative_to(root).as_posix(), problems)
    print("\n".join(problems) or f"headers: {len(files)} checked")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
