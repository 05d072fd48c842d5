"""What each command does once its words are read: calls, and prints."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..trials.protocol import Protocol
from . import console
from .cluster import Cluster
from .run_folder import RunError, RunFolder


@dataclass(frozen=True)
class RunSettings:
    """How a run is made, apart from what it is."""

    cluster: Cluster
    block: int | None
    update: bool


def run_command(protocol: Protocol, out: Path, settings: RunSettings, as_json: bool) -> int:
    """Run, then say what came of it."""
    from .run import run_trial

    with console.watched(as_json) as notify:
        result = run_trial(protocol, out, settings.cluster, block=settings.block, update=settings.update, notify=notify)
    say_results(result.folder, result.results, result.exit_code, as_json)
    return result.exit_code


def prepare_command(protocol: Protocol, out: Path, settings: RunSettings, as_json: bool) -> int:
    """Prepare a run, then say how it goes on."""
    from .share import prepare_run

    with console.watched(as_json) as notify:
        pilot = replace(settings.cluster, workers=1)
        manifest = prepare_run(protocol, out, pilot, block=settings.block, update=settings.update, notify=notify)
    if as_json:
        console.emit({"event": "prepared", "exit": 0, "folder": str(out), "blocks": manifest.blocks})
    else:
        console.say(
            f"{out}: {manifest.blocks} blocks of {manifest.block} twins; start the same command with --blocks k/n "
            "for every k of 0 .. n - 1, then without it"
        )
    return 0


def share_command(protocol: Protocol, out: Path, share: str, as_json: bool) -> int:
    """Simulate a share `k/n` of the blocks, then say what was done."""
    from .share import simulate_share

    match = re.fullmatch(r"(\d+)/(\d+)", share)
    k, n = map(int, match.groups()) if match else (0, 0)
    if not k < n:
        raise RunError(f"--blocks {share!r} is no share; write k/n with k from 0 to n - 1, such as 0/4")
    with console.watched(as_json) as notify:
        made = simulate_share(protocol, out, k, n, notify)
    if as_json:
        console.emit({"event": "share", "exit": 0, "folder": str(out), **vars(made)})
    else:
        console.say(f"{out}: {made.done} twins x arms of share {share}, {made.reused} of them were there before")
    return 0


def certificates_command(folder: Path, days: int) -> None:
    """Write certificates, then say how a scheduler and its workers are started with them."""
    from .security import AUTHORITY, CERTIFICATE, KEY, make_certificates

    make_certificates(folder, days)
    tls = f"--tls-ca-file {folder / AUTHORITY} --tls-cert {folder / CERTIFICATE} --tls-key {folder / KEY}"
    console.say(f"wrote {AUTHORITY}, {CERTIFICATE} and {KEY} to {folder}, for {days} days; who holds them may join:")
    console.say(f"  dask scheduler --protocol tls {tls}")
    console.say(f"  dask worker tls://SCHEDULER:8786 --nthreads 1 {tls}")
    console.say(f"  twinarm run PROTOCOL --scheduler tls://SCHEDULER:8786 --certificates {folder}")


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
    """Print what a run would cost, and what of it a folder holds already; exit 2 where the disk is too small."""
    from .changes import changes_of
    from .plan import plan

    planned = plan(protocol, out, Cluster(workers).size, block)
    changes = changes_of(RunFolder(out.absolute()), protocol)
    if as_json:
        console.emit(planned.as_json() | changes.as_json())
    else:
        console.table(
            f"{planned.name}: nothing is written by this command",
            ("what", "estimate"),
            [
                ("twins x arms", f"{planned.twins} x {planned.arms}"),
                ("candidates to screen", f"about {planned.candidates}"),
                ("blocks", f"{planned.blocks} of {min(planned.block, planned.twins)} twins"),
                ("one twin, all arms", f"{planned.seconds_per_twin:.3g} s"),
                ("screening", console.duration(planned.screening_seconds)),
                (f"simulation on {planned.workers} workers", console.duration(planned.simulation_seconds)),
                ("start, analysis and report", "10 to 30 s"),
                (f"memory of driver and {planned.workers} workers", console.size(planned.memory_bytes)),
                (
                    "disk",
                    f"{console.size(planned.disk_bytes)} of {console.size(planned.disk_free_bytes)} free",
                ),
            ],
        )
        rows = [(step.what, f"{step.count} of {step.total}", step.why) for step in changes.steps]
        console.table(f"\nwhat will run{changes.condition}", ("what", "runs", "why"), rows)
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

    verdict = verify(RunFolder(run), twins)
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


def report_command(run: Path, to: str | None, as_json: bool) -> None:
    """Write report.html anew from what stands in the folder, and a copy of it where it is asked for."""
    from .analyse import report_again
    from .export import export_report, writing
    from .verify import require_undamaged

    folder = RunFolder(run.absolute()).require()
    if to is not None:
        with writing(to):  # a URL that cannot be written to is refused before the work
            pass
    if folder.results.is_file():
        require_undamaged(folder, made_again=folder.report.name)
    report_again(folder)
    if to is not None:
        export_report(folder, to)
    place = to or str(folder.report)
    if as_json:
        console.emit({"report": place})
    else:
        console.say(f"report   {place}")


def export_command(run: Path, to: str, as_json: bool) -> None:
    """Copy a finished run, then say how much it was."""
    from .export import SUMS, export_run

    files = export_run(RunFolder(run.absolute()), to)
    if as_json:
        console.emit({"export": to, "files": files})
    else:
        console.say(f"exported {files} files to {to}; {SUMS} there lists their digests")


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
