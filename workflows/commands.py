"""What each command does once its words are read: calls, and prints."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..trials.protocol import Protocol
from . import console
from .cluster import Cluster
from .run_folder import RunError, RunFolder


@dataclass(frozen=True)
class RunSettings:
    """How a run is made, apart from what it is."""

    workers: int | None
    scheduler: str | None
    block: int | None
    threads: bool
    update: bool

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.workers, self.scheduler, processes=not self.threads)


def run_command(protocol: Protocol, out: Path, settings: RunSettings, as_json: bool) -> int:
    """Run, then say what came of it."""
    from .run import run_trial

    with console.watched(as_json) as notify:
        result = run_trial(protocol, out, settings.cluster, block=settings.block, update=settings.update, notify=notify)
    say_results(result.folder, result.results, result.exit_code, as_json)
    return result.exit_code


def say_results(folder: Path, results: dict[str, Any], code: int, as_json: bool) -> None:
    """The primary result, the meaning of the exit code, and where the report is."""
    report = RunFolder(folder).report
    if as_json:
        console.emit({"event": "result", "exit": code, "folder": str(folder), "results": results})
        return
    if "refused" in results:
        console.complain(str(results["refused"]))
    rows = [
        (
            fit["label"],
            *_effect(fit),
            _decided(fit["decision"]),
            "passed" if fit["passed"] else "FAILED",
        )
        for fit in results.get("analyses", [])
    ]
    if rows:
        console.table("", ("endpoint", "effect", "interval", "decision", "gates"), rows)
    console.say(f"outcomes {str(results['outcomes'])[:16]}" if results.get("outcomes") else "")
    if report.exists():
        console.say(f"report   {report}")
    console.say(f"exit     {code}: {console.MEANINGS[code]}")


def _effect(fit: dict[str, Any]) -> tuple[str, str]:
    """Median with unit, and interval with its probability; dashes where there is no posterior."""
    effect = fit["effect"]
    if effect is None or effect["median"] is None:
        return "-", "-"
    unit = "" if fit["unit"] == "1" else f" {fit['unit']}"
    interval = f"{effect['eti_low']:.4g} to {effect['eti_high']:.4g} ({100 * effect['ci_prob']:g} %)"
    return f"{effect['median']:.4g}{unit}", interval


def _decided(decision: dict[str, Any] | None) -> str:
    """The outcome with its probability, where there is one; nothing without a rule."""
    if decision is None or decision["probability"] is None:
        return decision["outcome"] if decision else ""
    return f"{decision['outcome']} (P = {decision['probability']:.4g})"


def plan_command(protocol: Protocol, out: Path, workers: int | None, block: int | None, as_json: bool) -> None:
    """Print what a run would cost; exit 2 where the disk is too small."""
    from .plan import plan

    planned = plan(protocol, out, Cluster(workers).size, block)
    models = {analysis.model for analysis in protocol.analyses}
    if as_json:
        console.emit(planned.as_json())
    else:
        console.table(
            f"{planned.name}: nothing is written by this command",
            ("what", "estimate"),
            [
                ("twins x arms", f"{planned.twins} x {planned.arms}"),
                ("candidates to screen", f"about {planned.candidates}"),
                ("blocks", f"{planned.blocks} of {min(planned.block, planned.twins)} twins"),
                ("one twin, all arms", f"{planned.seconds_per_twin:.3g} s"),
                (f"simulation on {planned.workers} workers", console.duration(planned.seconds)),
                ("analysis and report", f"{len(models)} kinds of model to compile, 5 to 20 s each, and some seconds"),
                ("memory", console.size(planned.memory_bytes)),
                (
                    "disk, at most",
                    f"{console.size(planned.disk_bytes)} of {console.size(planned.disk_free_bytes)} free",
                ),
            ],
        )
    if not planned.fits:
        raise RunError(f"the run does not fit on the disk of {out}; make room or give another --out")


def status_command(run: Path, as_json: bool) -> None:
    """Print how far a run is."""
    from .status import status_of

    found = status_of(RunFolder(run))
    if as_json:
        console.emit(found.as_json())
        return
    console.say(f"{found.name}: {found.state}, {found.done} of {found.total} twins x arms")
    rows = []
    for arm in found.arms:
        failed = ", ".join(f"{n} {reason}" for reason, n in sorted(arm.failed.items())) or "none"
        rows.append((arm.arm, f"{arm.done} of {found.twins}", str(arm.completed), failed))
    console.table("", ("arm", "simulated", "completed", "failed"), rows)
    if found.left_seconds is not None:
        console.say(f"{found.twins_per_second:.3g} twins a second, about {console.duration(found.left_seconds)} left")


def verify_command(run: Path, twins: int, as_json: bool) -> int:
    """Print what was verified; 5 where something differs."""
    from .verify import verify

    verdict = verify(RunFolder(run).require(), twins)
    code = 5 if verdict.differences else 0
    if as_json:
        console.emit({"exit": code, **vars(verdict)})
        return code
    for line in verdict.differences[:20]:
        console.complain(line)
    if len(verdict.differences) > 20:
        console.complain(f"... {len(verdict.differences)} differences in all")
    again = (
        f"twins {', '.join(map(str, verdict.twins))} simulated again" if verdict.twins else "no twin simulated again"
    )
    console.say(f"{verdict.blocks} blocks read, {again}: {'DIFFERENT' if code else 'the same bits'}")
    if verdict.outcomes_digest:
        console.say(f"outcomes {verdict.outcomes_digest}")
    return code


def report_command(run: Path, as_json: bool) -> None:
    """Write report.html anew from what stands in the folder."""
    from .analyse import report_again

    folder = RunFolder(run.absolute()).require()
    report_again(folder)
    if as_json:
        console.emit({"report": str(folder.report)})
    else:
        console.say(f"report   {folder.report}")


def analyse_command(protocol: Protocol, data: Path, out: Path, as_json: bool) -> int:
    """Analyse a real trial's table into a folder with results and report."""
    from .analyse import analyse_table

    folder = RunFolder(out.absolute())
    results, passed = analyse_table(folder, protocol, data)
    say_results(folder.root, results, 0 if passed else 3, as_json)
    return 0 if passed else 3


def models_command(as_json: bool) -> None:
    """List models with title and counts."""
    from ..models.model import find_model, library_names

    names = library_names("twinarm.models.library")
    found = [(name, find_model(name)) for name in names]
    if as_json:
        console.emit(
            [
                {"name": n, "title": m.title, "outputs": [o.name for o in m.outputs], "limits": m.limits}
                for n, m in found
            ]
        )
        return
    rows = [(n, m.title, str(len(m.parameters)), ", ".join(o.name for o in m.outputs)) for n, m in found]
    console.table("", ("name", "title", "parameters", "outputs"), rows)


def doctor_command(as_json: bool) -> None:
    """Print the environment; nothing of it is secret."""
    from .versions import versions

    cache = os.environ.get("NUMBA_CACHE_DIR") or "beside the source (__pycache__), or the user's cache folder"
    found: dict[str, str] = {
        **versions(),
        "platform": f"{sys.platform} {os.uname().release}",
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": console.size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "disk free here": console.size(shutil.disk_usage(".").free),
        "package": str(Path(__file__).parents[1]),
        "compiler cache": cache,
    }
    if as_json:
        console.emit(found)
    else:
        console.table("", ("what", "found"), list(found.items()))
