"""Numerical verification: what the solvers achieve beside facts that are known without them.

    python -m twinarm.models.verification                every check; the table, and exit code 1 if one fails
    python -m twinarm.models.verification --quick        those of a few seconds
    python -m twinarm.models.verification --out FOLDER   writes verification.json and verification.md there too

It lies in the package, so that the evidence can be made again on the very machine and installation that ran a trial.
`row` says what a check is, one module a subject holds the checks, `table` runs and prints them. Limits stand in the
code with their reason; what is compared with comes from a closed form, a conservation law, a published solution or
another program.
"""

from .row import Check, Row
from .table import all_checks, run

__all__ = ["Check", "Row", "all_checks", "run"]
