#!/usr/bin/env python3
"""One sum over every check: ctest and pytest write JUnit files; `run` makes one of a plain command; `sum` adds them up.

results.py run DIR SUITE NAME -- COMMAND...   exit status of COMMAND
results.py sum DIR                            last line "N passed, N failed, N skipped"; exit 1 on a failure or no test
"""

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path


def run(directory, suite, name, command):
    began = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    root = ET.Element("testsuite", name=suite)
    case = ET.SubElement(root, "testcase", classname=suite, name=name, time=f"{time.monotonic() - began:.1f}")
    if status != 0:
        ET.SubElement(case, "failure", message=f"exit status {status}: {' '.join(command)}")
    Path(directory).mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(Path(directory) / f"{suite}-{name}.xml")
    return status


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    # ctest marks tests it could not start as status="fail" or "disabled" too.
    if case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
        return "skipped"
    return "failed" if case.get("status") == "fail" else "passed"


# What GoogleTest, the sanitizers and a crash print where something went wrong, in the output that ctest keeps of a failed test.
TROUBLE = re.compile(r": Failure$|^\[  FAILED  \]|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|SEGFAULT|Timeout")
LINES_AFTER = 6  # of an assertion: what was expected, what was there
LINES_AT_MOST = 40


def trouble(case):
    """The lines of a failed test's output that say what failed: a CI log is often all there is left of the machine."""
    lines = (case.findtext("system-out") or "").splitlines()
    kept = set()
    for number, line in enumerate(lines):
        if TROUBLE.search(line):
            kept.update(range(number, min(number + (LINES_AFTER if line.endswith(": Failure") else 1), len(lines))))
    return [f"         {lines[number][:240]}" for number in sorted(kept)[:LINES_AT_MOST]]


def total(directory):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    remarks = []
    for file in sorted(Path(directory).glob("*.xml")):
        try:
            cases = list(ET.parse(file).iter("testcase"))
        except ET.ParseError as error:
            counts["failed"] += 1
            remarks.append(f"failed   {file.name}: not whole ({error}); the runner died")
            continue
        for case in cases:
            result = outcome(case)
            counts[result] += 1
            if result != "passed":
                reason = next((n.get("message") for n in case if n.tag in ("skipped", "failure", "error") and n.get("message")), "")
                label = ".".join(filter(None, (file.stem, case.get("name"))))
                remarks.append(f"{result:8} {label}{': ' + reason.splitlines()[0][:160] if reason else ''}")
                if result == "failed":
                    remarks.extend(trouble(case))
    print()
    for remark in remarks:
        print(remark)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    return 1 if counts["failed"] or not counts["passed"] else 0


def main(args):
    if args[:1] == ["run"] and "--" in args:
        _, directory, suite, name, _, *command = args
        return run(directory, suite, name, command)
    if args[:1] == ["sum"] and len(args) == 2:
        return total(args[1])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
