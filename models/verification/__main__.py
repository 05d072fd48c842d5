"""The table as a command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import table


def main() -> int:
    """Run the checks that were asked for; 1 if one fails."""
    parser = argparse.ArgumentParser(
        prog="python -m twinarm.models.verification", description="Numerical verification of the solvers."
    )
    parser.add_argument("--quick", action="store_true", help="leave out the checks that take more than a few seconds")
    subjects = sorted({check.subject for check in table.all_checks()})
    parser.add_argument("--only", nargs="+", choices=subjects, default=subjects, metavar="SUBJECT", help=str(subjects))
    parser.add_argument("--out", type=Path, help="folder for verification.json and verification.md")
    asked = parser.parse_args()
    chosen = tuple(c for c in table.all_checks() if c.subject in asked.only and not (asked.quick and c.slow))
    rows, missing = table.run(chosen)
    table.show(rows, missing)
    if asked.out:
        table.write(asked.out, rows, missing)
    return 0 if all(row.passed for _, row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
