"""How the bed drives the agent, with small scripts in its place."""
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bed.agent import Agent, lost  # noqa: E402
from bed.processes import BedError  # noqa: E402

OBEDIENT = """
trap 'echo spans > "$json"; echo "capture.lost.ringbuf_full 7" >&2; exit 0' INT
json=$5
echo "wirespan: ready, tracing $3" >&2
while :; do sleep 0.05; done
"""
REFUSING = 'echo "no BTF on this kernel" >&2; exit 3'
FAINTING = 'echo ready >&2; sleep 0.2; echo "out of memory" >&2; exit 1'


class Driving(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.spans, self.log = self.folder / "spans.jsonl", self.folder / "agent.log"

    def agent(self, script):
        binary = self.folder / "wirespan"
        binary.write_text("#!/bin/sh\n" + script)
        binary.chmod(0o755)
        return Agent(binary)

    def test_spans_are_there_when_the_block_is_over(self):
        with self.agent(OBEDIENT).trace(Path("/sys/fs/cgroup/x"), self.spans, self.log):
            self.assertIn("tracing /sys/fs/cgroup/x", self.log.read_text())
        self.assertEqual(self.spans.read_text(), "spans\n")
        self.assertEqual(lost(self.log), {"capture.lost.ringbuf_full": 7})

    def test_an_agent_that_refuses_is_quoted(self):
        with self.assertRaisesRegex(BedError, "no BTF on this kernel"):
            with self.agent(REFUSING).trace(Path("/x"), self.spans, self.log):
                self.fail("nothing is ready")

    def test_an_agent_that_ends_by_itself_is_a_failure(self):
        with self.assertRaisesRegex(BedError, "status 1"):
            with self.agent(FAINTING).trace(Path("/x"), self.spans, self.log):
                time.sleep(0.6)

    def test_a_replay_that_fails_is_quoted(self):
        with self.assertRaisesRegex(BedError, "no BTF"):
            self.agent(REFUSING).replay(self.folder / "events.rec", self.spans, self.log)


if __name__ == "__main__":
    unittest.main()
