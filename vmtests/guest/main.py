"""Runs in the guest, started by init: each check prints one line of JSON for the host, "vmtest: {...}"."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

os.environ["WIRESPAN"] = "/wirespan/build/release/wirespan"
os.environ["WIRESPAN_TEST_START_SECONDS"] = "240"  # emulated, and 5.10 takes a minute to take every program
sys.path[:0] = ["/wirespan/tests", str(Path(__file__).parent)]

import checks  # noqa: E402 - after the path
import hosts


CHECK_SECONDS = 1800  # of the guest's own time, which is slow


def option(name, default=""):
    """`vmtest.NAME=VALUE` of the kernel's command line."""
    for word in Path("/proc/cmdline").read_text().split():
        if word.startswith(f"vmtest.{name}="):
            return word.partition("=")[2]
    return default


def too_long(*_):
    raise TimeoutError(f"not within {CHECK_SECONDS} s")


def main():
    signal.signal(signal.SIGALRM, too_long)
    if command := option("shell"):
        return subprocess.run(["sh", "-c", base64.b64decode(command).decode()], check=False).returncode
    wanted = option("checks").split(",") if option("checks") else list(checks.CHECKS)
    known = {**checks.CHECKS, **hosts.CHECKS}
    failed = 0
    for name in wanted:
        began = time.monotonic()
        result = {"check": name}
        # Whatever hangs is a failure of its check, and the others still run.
        signal.alarm(CHECK_SECONDS)
        try:
            result["facts"] = known[name]() or {}
            result["outcome"] = "passed"
        except checks.NotOnThisKernel as why:
            result.update(outcome="skipped", message=str(why))
        except Exception as error:  # noqa: BLE001 - becomes the check's result
            failed += 1
            result["facts"] = getattr(error, "facts", {})
            result.update(outcome="failed", message=f"{type(error).__name__}: {error}"[:4000], where=traceback.format_exc()[-2500:])
        signal.alarm(0)
        result["seconds"] = round(time.monotonic() - began, 1)
        print(f"vmtest: {json.dumps(result)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
