#!/usr/bin/env python3
"""Checks that every fuzz target in src/ is built, and that the parsers that must have one do."""
import pathlib
import re
import sys

# Modules that read bytes from outside: a target named after each must exist.
PARSERS = {
    "codec": ["yaml", "compress"],
    "expfmt": ["expfmt"],
    "chunk": ["xor"],
    "http": ["h1"],
    "promql": ["parse", "eval"],
    "promqltest": ["script"],
    "config": ["config"],
    "tsdb": ["wal", "head_chunks"],
    "cxx": ["json"],
    "hub": ["decode"],
    "demo": ["answers"],
}


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    problems = []
    for folder, names in PARSERS.items():
        for name in names:
            if not (root / "src" / folder / f"fuzz_{name}.c").exists():
                problems.append(f"src/{folder}: write fuzz_{name}.c, the parser reads outside bytes")
    for file in sorted((root / "src").glob("*/fuzz_*.c")):
        listed = re.search(r"fuzzers = \[([^\]]*)\]", (file.parent / "meson.build").read_text())
        if f"'{file.stem.removeprefix('fuzz_')}'" not in (listed.group(1) if listed else ""):
            problems.append(f"{file.relative_to(root)}: list it in {file.parent.name}/meson.build")
    print("\n".join(problems) or "fuzz targets: all there")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
