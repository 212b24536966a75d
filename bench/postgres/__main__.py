#!/usr/bin/env python3
"""PostgreSQL under pgbench, prepared SELECTs by key on eight connections: what watching costs where the protocol is not
read. The p50 shown is pgbench's average."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import compare, finish, parser
from common.loads import pg_program, pgbench
from harness.stack import NotHere, Stack, free_port, need


def start(stack):
    """A cluster of its own, as an unprivileged user: PostgreSQL refuses to run as root."""
    as_user = [need("setpriv"), "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    data, port = stack.directory / "pg", free_port()
    data.mkdir()
    subprocess.run(["chown", "postgres", data], check=True)
    subprocess.run([*as_user, pg_program("initdb"), "-A", "trust", "-U", "postgres", "-N", "-D", data], check=True, capture_output=True, cwd=data)
    stack.start("postgres", [*as_user, pg_program("postgres"), "-D", data, "-p", port, "-k", data, "-c", "fsync=off"], ("127.0.0.1", port))
    subprocess.run([pg_program("pgbench"), "-i", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres"], check=True, capture_output=True,
                   cwd=stack.directory)
    return port


def main():
    options = parser("postgres", __doc__).parse_args()
    try:
        with Stack("bench") as stack:
            port = start(stack)
            finish(compare("PostgreSQL, pgbench -S", "transaction", stack, lambda seconds: pgbench(port, stack.directory, seconds or options.seconds), options), options)
    except NotHere as absent:
        print(f"bench/postgres is left out: {absent} is not installed")


if __name__ == "__main__":
    main()
