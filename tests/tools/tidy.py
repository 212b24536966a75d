#!/usr/bin/env python3
"""clang-tidy over the files of a build directory, remembering what was clean.

tidy.py CLANG_TIDY BUILD_DIR [FILE...]   exit status 1 if there is any warning

A file is looked at again only when it, a header it includes, its compile command, .clang-tidy or the tool changed; a
clean result is kept as an empty file named by the hash of all these, in the user's cache directory.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wirespan-tidy"


def dependencies(build):
    """{object: [headers and source]}, as ninja knows them from the compiler."""
    found, current = {}, None
    for line in subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("    "):
            found[current].append(Path(build, line.strip()))
        elif ":" in line:
            current = line.split(":")[0]
            found[current] = []
    return found


def digest(path, known={}):  # noqa: B006 - the cache is meant to live as long as the process
    if path not in known:
        known[path] = hashlib.sha256(path.read_bytes()).digest() if path.exists() else b""
    return known[path]


def key_of(command, headers, common):
    whole = hashlib.sha256(common + command["command"].encode())
    for path in sorted(headers):
        # System headers change with the packages; their path and time tell.
        ours = Path.cwd() in path.resolve().parents
        whole.update(str(path).encode() + (digest(path) if ours else str(path.stat().st_mtime_ns).encode() if path.exists() else b""))
    return whole.hexdigest()


def main(tidy, build, *wanted):
    root = Path.cwd()
    names = {str(Path(file).resolve()) for file in wanted}
    commands = [c for c in json.loads(Path(build, "compile_commands.json").read_text())
                if c["file"].endswith(".cc") and root in Path(c["file"]).parents and root / "build" not in Path(c["file"]).parents
                and (not names or c["file"] in names)]
    headers = dependencies(build)
    common = Path(".clang-tidy").read_bytes() + subprocess.run([tidy, "--version"], capture_output=True, check=True).stdout
    CACHE.mkdir(parents=True, exist_ok=True)

    def look(command):
        known = headers.get(re.search(r" -o (\S+)", command["command"])[1], [])
        stamp = CACHE / key_of(command, known, common)
        if known and stamp.exists():
            return None
        # gcc's own warning options mean nothing to clang.
        result = subprocess.run([tidy, "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", command["file"]],
                                capture_output=True, text=True, check=False)
        if result.returncode == 0:
            stamp.touch()
            return ""
        print(result.stdout, flush=True)
        return result.stdout

    # A source compiled into several targets is one source.
    unique = {command["file"]: command for command in commands}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(look, unique.values()))
    warnings = sorted({line for text in results if text for line in text.splitlines() if ": error: " in line or ": warning: " in line})
    print(f"clang-tidy: {len(unique)} files, {results.count(None)} unchanged since clean, {len(warnings)} warnings")
    return 1 if any(results) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
