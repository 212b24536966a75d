#!/usr/bin/env python3
"""Seeds for conversation_fuzz from the recordings of a protocol: fuzz_seeds.py PROTOCOL OUTDIR"""

import ast
import pathlib
import re
import sys

PROTOCOLS = pathlib.Path(__file__).parents[2] / "agent/protocols"


def main():
    out = pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((PROTOCOLS / sys.argv[1] / "testdata").glob("*.rec")):
        seeds = {}
        for line in path.read_text().splitlines():
            match = re.match(r'(\d+) ([<>xr]) \d+(?: (".*"))?$', line)
            if not match:
                continue
            seed = seeds.setdefault(match[1], bytearray(b"\n"))
            if match[3]:
                seed += ast.literal_eval("b" + match[3]).replace(b"\xff", b"\xfe")
            seed += {">": b"\xff\x00", "<": b"\xff\x01", "x": b"\xff\x07", "r": b"\xff\x08"}[match[2]]
        for number, seed in seeds.items():
            (out / f"{path.stem}_{number}").write_bytes(bytes(seed))


if __name__ == "__main__":
    main()
