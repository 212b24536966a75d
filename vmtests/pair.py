"""Two machines with different kernels, clocks an hour apart and a slow wire between them: both agents compute the same ids."""

import shutil
import tempfile
from pathlib import Path

from machine import Machine

CLOCKS = "2030-01-01T00:00:00", "2030-01-01T01:00:07"
# A moment in one machine cannot be said more exactly in the other's time than half a round trip, and the guests are slow.
TOLERANCE_NS = 30_000_000
MASK = (1 << 64) - 1
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(x):
    """base/hash.h."""
    x = (x + GOLDEN) & MASK
    x = ((x ^ x >> 30) * FIRST) & MASK
    x = ((x ^ x >> 27) * SECOND) & MASK
    return x ^ x >> 31


def unmix(x):
    def unshift(x, by):
        out = x
        for _ in range(64 // by):
            out = x ^ out >> by
        return out

    x = unshift(x, 31) * pow(SECOND, -1, 1 << 64) & MASK
    x = unshift(x, 27) * pow(FIRST, -1, 1 << 64) & MASK
    return (unshift(x, 30) - GOLDEN) & MASK


def server_of(client):
    """The id of an exchange's SERVER span from that of its CLIENT span (span_id_of in model/ids.h): both are made of the same
    sequence numbers, which each machine reads from its own socket."""
    return f"{mix(unmix(int(client, 16)) ^ mix(1) ^ mix(2)):016x}"


def run(kernels, images, boot):
    """`boot(name, machine)` waits for a machine's end and gives its checks. One result."""
    folder = Path(tempfile.mkdtemp(prefix="wirespan-pair-"))
    machines = []
    try:
        for number, (kernel, image, role) in enumerate(zip(kernels, images, ("far", "near"), strict=True)):
            wire = f"stream,server={'on' if number == 0 else 'off'},addr.type=unix,addr.path={folder}/wire"
            machines.append(Machine(kernel, image, f"vmtest.checks={role}", network=(wire, f"52:54:00:00:00:0{number + 1}"), memory=1024,
                                    clock=CLOCKS[number], log=folder / f"{role}.log"))
            machines[-1].wait_for_file(folder / "wire")
        far, near = (boot(machine, role) for machine, role in zip(machines, ("far", "near"), strict=True))
        return compare(far, near)
    finally:
        for machine in machines:
            machine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def compare(far, near):
    """The far machine's spans are the servers of the near one's, id by id, and lie within them once the clocks' difference is known."""
    servers = {span["id"]: span for span in far["spans"]}
    calls = near["spans"]
    expected = near["requests"]
    assert len(calls) == len(servers) == expected, f"{expected} requests, {len(calls)} calls, {len(servers)} served"
    alone = [call["name"] for call in calls if server_of(call["id"]) not in servers]
    assert not alone, f"{len(alone)} of {expected} calls have no server span of the id they foretell: {alone[:5]}"
    outside = []
    for call in calls:
        server = servers[server_of(call["id"])]
        assert server["name"] == call["name"], (server["name"], call["name"])
        begins, ends = server["start"] - near["offset_ns"], server["end"] - near["offset_ns"]
        if begins < call["start"] - TOLERANCE_NS or ends > call["end"] + TOLERANCE_NS:
            outside.append((call["name"], begins - call["start"], call["end"] - ends))
    assert not outside, f"not within their callers' time, ns after its begin and before its end: {outside[:5]}"
    return {"agree": expected, "clocks_apart_s": round(near["offset_ns"] / 1e9, 1), "round_trip_ms": round(near["round_trip_ns"] / 1e6, 1)}
