#!/usr/bin/env python3
"""How often is the parent right? Real services, ground truth the agent cannot see, one table. See README.md."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bed.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
