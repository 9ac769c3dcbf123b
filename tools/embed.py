#!/usr/bin/env python3
"""Makes a C table of the built page: embed.py DIST OUTPUT DEPFILE

Each file goes in gzip'd. Without a built page, the table holds one document that says so.
"""
import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

ABSENT = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>atoll</title>
<h1>This atoll was built without its web page</h1>
<p>./dev build makes one with it. The Prometheus API is here all the same, under /api/v1.</p>
</html>
"""


def assets(dist):
    if not (dist / "index.html").exists():
        return [("/", TYPES[".html"], ABSENT)]
    files = sorted(path for path in dist.rglob("*") if path.is_file())
    unknown = [path for path in files if path.suffix not in TYPES]
    if unknown:
        sys.exit(f"embed.py: what type is {unknown[0]}? Add it to TYPES.")
    return [
        ("/" if path == dist / "index.html" else "/" + path.relative_to(dist).as_posix(),
         TYPES[path.suffix], path.read_bytes())
        for path in files
    ]


def array(name, data):
    lines = [", ".join(str(byte) for byte in data[i:i + 24]) for i in range(0, len(data), 24)]
    return f"static const unsigned char {name}[] = {{\n" + ",\n".join(lines) + "\n};\n"


def source(found):
    out = ["/* Made by tools/embed.py. */\n#include \"api/page_assets.h\"\n\n"]
    rows = []
    for i, (path, kind, plain) in enumerate(found):
        packed = gzip.compress(plain, 9, mtime=0)
        tag = hashlib.sha256(plain).hexdigest()[:16]
        out.append(array(f"bytes_{i}", packed))
        rows.append(f'\t{{ "{path}", "{kind}", "{tag}", bytes_{i}, sizeof(bytes_{i}), {len(plain)} }},\n')
    out.append("\nconst struct page_asset page_assets[] = {\n" + "".join(rows) + "};\n")
    out.append(f"const size_t page_asset_count = {len(rows)};\n")
    return "".join(out)


def main():
    dist, output, depfile = (pathlib.Path(arg) for arg in sys.argv[1:4])
    text = source(assets(dist))
    # A file that never exists makes ninja come back each time, until there is a page.
    inputs = {path for path in dist.rglob("*") if path.is_file()} or {dist / "not built yet"}
    depfile.write_text(f"{output}: " + " ".join(sorted(str(path).replace(" ", "\\ ") for path in inputs)) + "\n")
    if not output.exists() or output.read_text() != text:
        output.write_text(text)


if __name__ == "__main__":
    main()
