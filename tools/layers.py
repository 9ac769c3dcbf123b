#!/usr/bin/env python3
"""The architecture as a test.

layers.py check [ROOT]   every include under src/ follows tools/layers.toml
layers.py list           the folders, bottom to top, one a line (read by the build)
layers.py uses FOLDER    what FOLDER links, one a line (read by the build)
"""
import pathlib
import re
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = re.compile(r'\s*#\s*include\s*"(?:(.*)/)?([^/"]+)"')


def load(root):
    return tomllib.loads((root / "tools/layers.toml").read_text())


def check_table(layers, problems):
    seen = set()
    for folder, entry in layers.items():
        for used in entry["uses"]:
            if used not in layers:
                problems.append(f"layers.toml: {folder} uses {used}, which is not listed")
            elif used not in seen:
                problems.append(f"layers.toml: {folder} uses {used}, which does not stand above it")
        seen.add(folder)


def check_file(file, rel, layers, problems):
    own = rel.rsplit("/", 1)[0]
    if own not in layers:
        problems.append(f"src/{rel}: folder is not in layers.toml")
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        where, (folder, header) = f"src/{rel}:{number}", match.groups()
        if folder is None or ".." in folder:
            problems.append(f'{where}: write the path from src/, as in "tsdb/head.h"')
        elif folder == own:
            continue
        elif folder not in layers[own]["uses"]:
            problems.append(f"{where}: {own} may not use {folder}")
        elif header not in layers[folder]["public"]:
            problems.append(f"{where}: {folder}/{header} is private to {folder}")


def check(root):
    layers = load(root)
    problems = []
    check_table(layers, problems)
    for folder, entry in layers.items():
        for header in entry["public"]:
            if not (root / "src" / folder / header).exists():
                problems.append(f"layers.toml: {folder}/{header} is public and does not exist")
    files = [f for f in sorted((root / "src").rglob("*")) if f.suffix in (".c", ".h", ".cc")]
    for file in files:
        check_file(file, file.relative_to(root / "src").as_posix(), layers, problems)
    print("\n".join(sorted(set(problems))) or f"layers: {len(layers)} folders, no violation")
    return bool(problems)


def main(argv):
    if argv[:1] == ["list"]:
        print("\n".join(load(HERE.parent)))
    elif argv[:1] == ["uses"] and len(argv) == 2:
        print("\n".join(load(HERE.parent)[argv[1]]["uses"]))
    elif argv[:1] == ["check"]:
        return check(pathlib.Path(argv[1]) if len(argv) > 1 else HERE.parent)
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
