"""Run the checks, print the table, write it down."""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import (
    bits,
    conservation,
    events,
    functions,
    library,
    order,
    pharmacokinetics,
    records,
    standards,
    survival,
    tolerance,
)
from .row import Check, NotHere, Row

SUBJECTS = (
    order, tolerance, conservation, pharmacokinetics, records, standards, library, events, survival, functions, bits,
)  # fmt: skip


def all_checks() -> tuple[Check, ...]:
    """Every check, subject by subject."""
    return tuple(check for subject in SUBJECTS for check in subject.CHECKS)


def run(checks: tuple[Check, ...]) -> tuple[list[tuple[str, Row]], list[str]]:
    """Rows with their subject, and a line for each check that could not be run here."""
    rows, missing = [], []
    for check in checks:
        try:
            rows += [(check.subject, row) for row in check.rows()]
        except NotHere as reason:
            missing.append(f"{check.subject}, {check.name.replace('_', ' ')}: {reason}")
        except Exception as fault:  # one that breaks is a figure that is missing, and hides no other
            said = f"raised {type(fault).__name__}: {fault}"
            rows.append((check.subject, Row(check.name.replace("_", " "), "", math.nan, math.nan, said)))
    return rows, missing


def machine() -> dict[str, str]:
    """What the figures were made with."""
    import llvmlite.binding as llvm

    found = {
        "processor": f"{llvm.get_host_cpu_name()} ({platform.machine()})",
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    for name in ("twinarm", "numpy", "scipy", "numba", "llvmlite", "mpmath"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def show(rows: list[tuple[str, Row]], missing: list[str]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("subject", "check", "compared with", "achieved", "limit", "", "limit because; note")
    for subject, row in rows:
        verdict = "pass" if row.passed else "[bold red]FAIL[/]"
        what = row.against if row.provenance == "derived" else f"{row.against} ({row.provenance})"
        table.add_row(
            subject, row.check, what, f"{row.achieved:.2g}", f"{row.sense} {row.limit:.2g}", verdict,
            row.reason + (f"; {row.note}" if row.note else ""),
        )  # fmt: skip
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)
    console.print(table)
    for line in missing:
        console.print(f"not run: {line}", markup=False)
    failed = sum(not row.passed for _, row in rows)
    console.print(f"{len(rows) - failed} passed, {failed} failed, {len(missing)} not run")


def _plain(value: Any) -> Any:
    """What JSON can hold: a figure that is no number is null."""
    if not isinstance(value, float):
        return value
    return float(value) if math.isfinite(value) else None


def write(folder: Path, rows: list[tuple[str, Row]], missing: list[str]) -> None:
    """Keep the table as `verification.json` and `verification.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"subject": s, **{k: _plain(v) for k, v in asdict(row).items()}, "passed": row.passed} for s, row in rows]
    kept = {"machine": machine(), "rows": lines, "not_run": missing}
    (folder / "verification.json").write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    failed = sum(not row.passed for _, row in rows)
    text = [
        "# Numerical verification",
        "",
        "Made by `python -m twinarm.models.verification`; "
        f"{len(rows) - failed} passed, {failed} failed, {len(missing)} not run.",
        "",
        *(f"- {name}: {value}" for name, value in machine().items()),
        "",
        "Values compared with are derived in the same run from a formula or another program unless they are marked "
        "read or recalled.",
        "",
        "| subject | check | compared with | achieved | limit | | limit because | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for subject, row in rows:
        what = row.against if row.provenance == "derived" else f"{row.against} ({row.provenance})"
        cells = (
            subject, row.check, what, f"{row.achieved:.2g}", f"{row.sense} {row.limit:.2g}",
            "pass" if row.passed else "**FAIL**", row.reason, row.note,
        )  # fmt: skip
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    text += [""] * bool(missing) + [f"- not run: {line}" for line in missing]
    (folder / "verification.md").write_text("\n".join(text) + "\n", encoding="utf-8")
