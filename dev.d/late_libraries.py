#!/usr/bin/env python3
"""late_libraries.py BINARY: the shared libraries it opens when it first needs them (base/late_library.h), name and path a line.

From the binary's own notes (.note.dlopen), https://uapi-group.org/specifications/specs/elf_dlopen_metadata/.
"""

import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile

NOTE = 0x407C0C0A


def notes(binary):
    """What each note says: a list of {"feature", "description", "priority", "soname": [...]}."""
    with tempfile.NamedTemporaryFile() as section:
        subprocess.run(["objcopy", "-O", "binary", "--only-section=.note.dlopen", binary, section.name], check=True)
        data, at = section.read(), 0
    found = []
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("III", data, at)
        text = at + 12 + (name_size + 3) // 4 * 4
        if kind == NOTE:
            found += json.loads(data[text:text + size].rstrip(b"\0"))
        at = text + (size + 3) // 4 * 4
    return found


def late_libraries(binary):
    """{soname: path} of the first of each note's that this host has."""
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"  # not everybody's PATH has it
    cache = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    known = dict(re.findall(r"^\s*(\S+) \(libc6.*\) => (/\S+)$", cache, re.MULTILINE))
    found = {}
    for note in notes(binary):
        for soname in note["soname"]:
            if soname in known:
                found[soname] = known[soname]
                break
    return found


if __name__ == "__main__":
    for name, path in late_libraries(sys.argv[1]).items():
        print(name, path)
