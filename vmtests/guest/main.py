"""Runs in the guest, started by init: each check prints one line of JSON for the host, "vmtest: {...}"."""

import json
import os
import sys
import time
import traceback
from pathlib import Path

os.environ["WIRESPAN"] = "/wirespan/build/release/wirespan"
sys.path[:0] = ["/wirespan/tests", str(Path(__file__).parent)]

import checks  # noqa: E402 - after the path


def option(name, default=""):
    """`vmtest.NAME=VALUE` of the kernel's command line."""
    for word in Path("/proc/cmdline").read_text().split():
        if word.startswith(f"vmtest.{name}="):
            return word.partition("=")[2]
    return default


def main():
    wanted = option("checks").split(",") if option("checks") else list(checks.CHECKS)
    failed = 0
    for name in wanted:
        began = time.monotonic()
        result = {"check": name}
        try:
            result["facts"] = checks.CHECKS[name]() or {}
            result["outcome"] = "passed"
        except checks.NotOnThisKernel as why:
            result.update(outcome="skipped", message=str(why))
        except Exception as error:  # noqa: BLE001 - becomes the check's result
            failed += 1
            result.update(outcome="failed", message=f"{type(error).__name__}: {error}"[:1500], where=traceback.format_exc()[-2500:])
        result["seconds"] = round(time.monotonic() - began, 1)
        print(f"vmtest: {json.dumps(result)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
