import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.stack import NotHere  # noqa: E402

# So that a terminated run, too, stops what it started.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# Whoever runs the tests in the background may have had it ignored, which the shells among our children cannot undo.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """A runtime this machine lacks skips the test that needs it, and names it."""
    outcome = yield
    if outcome.excinfo and issubclass(outcome.excinfo[0], NotHere):
        pytest.skip(f"{outcome.excinfo[1]} is not installed")
