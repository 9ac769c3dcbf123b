#!/usr/bin/env python3
"""Writes src/label/letter_case.inc: Unicode's simple case mappings as ranges."""
import sys
import unicodedata


def lower(c):
    if c == 0x130:
        return 0x69
    text = chr(c).lower()
    return ord(text) if len(text) == 1 else c


def upper(c):
    for text in (chr(c).upper(), chr(c).title()):
        if len(text) == 1:
            return ord(text)
    return c


def ranges(function):
    out = []
    for c in range(0x80, 0x110000):
        if 0xD800 <= c < 0xE000 or function(c) == c:
            continue
        delta = function(c) - c
        if out:
            first, last, step, known = out[-1]
            if known == delta and c - last in (1, 2) and (first == last or c - last == step):
                out[-1] = (first, c, c - last, delta)
                continue
        out.append((c, c, 1, delta))
    return out


def main():
    print(f"/* Made by tools/letter_case.py from Unicode {unicodedata.unidata_version}. */")
    for name, function in (("lower", lower), ("upper", upper)):
        print(f"static const struct case_range {name}_ranges[] = {{")
        for first, last, step, delta in ranges(function):
            print(f"\t{{ 0x{first:x}, 0x{last:x}, {step}, {delta} }},")
        print("};")


if __name__ == "__main__":
    sys.exit(main())
