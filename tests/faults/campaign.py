"""The full campaign of faults: deaths, crash points, corruption and poison, and a table of what came of them.

    PYTHONPATH=. nice python tests/faults/campaign.py [--only deaths crashes corruption poison] [--out FOLDER]

About an hour on two idle cores. Exits with 1 if a byte differs, a damage is missed or a twin is lost.
"""

from __future__ import annotations

import argparse
import datetime
import errno
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "workflows" / "parts")]

from campaigns.corruption import corruption  # noqa: E402  (found by the path above)
from campaigns.crashes import forked, reference, sweep  # noqa: E402
from campaigns.deaths import deaths, undisturbed  # noqa: E402
from campaigns.poison import poison  # noqa: E402


def died(folder: Path, own_scheduler: bool, kills: int) -> dict[str, object]:
    """One run of 5,000 twins with so many deaths."""
    if not (folder / "calm").exists():
        undisturbed(folder, 5000, 25, seconds_per_twin=0.01)
    return deaths(folder, 5000, 25, kills, 1, own_scheduler=own_scheduler, stop_seconds=30.0)


def small(folder: Path, action: Callable[[Path], dict[str, object]]) -> dict[str, object]:
    """Something done to a small run, in a process of its own: it forks, and must have no threads."""
    if not (folder / "calm").exists():
        reference(folder)
    answer = folder / "answer.json"
    log = folder / "answer.log"
    code = forked(lambda: answer.write_text(json.dumps(action(folder))) and 0, log, 6 * 3600.0)
    if code != 0:
        raise SystemExit(log.read_text())
    found: dict[str, object] = json.loads(answer.read_text())
    return found


def parts(folder: Path) -> dict[str, dict[str, Callable[[], dict[str, object]]]]:
    """The parts of the campaign by name."""
    folders = {name: folder / name for name in ("deaths", "small", "poison")}
    for one in folders.values():
        one.mkdir(parents=True, exist_ok=True)
    return {
        "deaths": {
            "100 deaths of worker, scheduler and driver": lambda: died(folders["deaths"], True, 100),
            "20 deaths on the local cluster": lambda: died(folders["deaths"], False, 20),
        },
        "crashes": {
            "death at every write, fsync, rename": lambda: small(folders["small"], sweep),
            "disk full from there": lambda: small(folders["small"], lambda f: sweep(f, errno.ENOSPC)),
            "disk broken from there": lambda: small(folders["small"], lambda f: sweep(f, errno.EIO)),
        },
        "corruption": {
            "1,000 damaged files": lambda: small(folders["small"], lambda f: corruption(f, 1000, together=20))
        },
        "poison": {"50 of 5,000 twins": lambda: poison(folders["poison"], 5000, 10, 25)},
    }


def machine() -> dict[str, Any]:
    """Where this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("dask", "distributed", "zarr", "numpy")},
    }


FAULTS = ("differences", "wrong", "missed by verify")


def table(rows: dict[str, dict[str, object]], where: dict[str, Any]) -> str:
    """The figures as a page."""
    lines = [
        "# Faults",
        "",
        f"{where['processor']}, {where['cores']} cores, {where['date']}; `tests/faults/campaign.py`.",
    ]
    lines += ["", "| campaign | figures | faults found | seconds |", "|---|---|---|---|"]
    for name, row in rows.items():
        shown = "; ".join(f"{k}: {_plain(v)}" for k, v in row.items() if k not in (*FAULTS, "seconds"))
        lines.append(f"| {name} | {shown} | {faults_in(row)} | {row['seconds']} |")
    return "\n".join(lines) + "\n"


def faults_in(row: dict[str, object]) -> int:
    return sum(len(row.get(key, ())) for key in FAULTS)  # type: ignore[arg-type]


def _plain(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", nargs="+", choices=("deaths", "crashes", "corruption", "poison"))
    words.add_argument("--out", type=Path, help="where faults.json and faults.md are written")
    chosen = words.parse_args()
    before = chosen.out / "faults.json" if chosen.out else None
    rows: dict[str, dict[str, object]] = json.loads(before.read_text())["rows"] if before and before.exists() else {}
    with tempfile.TemporaryDirectory(prefix="twinarm-faults-") as scratch:
        for name, group in parts(Path(scratch)).items():
            for title, part in group.items() if not chosen.only or name in chosen.only else ():
                rows[title] = part()
                print(f"{title}: {json.dumps(rows[title])}", flush=True)
    page = table(rows, machine())
    print(page)
    if chosen.out:
        (chosen.out / "faults.json").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
        (chosen.out / "faults.md").write_text(page)
    return 1 if any(faults_in(row) for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
