"""How many BPF programs, maps and links the kernel holds: bpf(2) BPF_{PROG,MAP,LINK}_GET_NEXT_ID."""

import ctypes
import errno
import os
import time

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
COMMANDS = {"programs": 11, "maps": 12, "links": 31}
libc = ctypes.CDLL(None, use_errno=True)


class NextId(ctypes.Structure):
    _fields_ = [("start_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32)]


def count(command):
    attr, number = NextId(), 0
    while libc.syscall(SYS_BPF, command, ctypes.byref(attr), ctypes.sizeof(attr)) == 0:
        number += 1
        attr.start_id = attr.next_id
    if ctypes.get_errno() != errno.ENOENT:
        raise OSError(ctypes.get_errno(), "bpf: next id")
    return number


def counts():
    return {name: count(command) for name, command in COMMANDS.items()}


def settled(wanted, seconds=60):
    """What is left once the kernel has freed what it frees late (after a grace period), or after `seconds`."""
    deadline = time.monotonic() + seconds
    while (now := counts()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return now
