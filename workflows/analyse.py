"""From simulated outcomes (or a real table) to fits, results.json and the report."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..trials.protocol import Analysis, Protocol
from ..trials.protocol_writer import write_protocol
from . import store
from .fits import load_fit, save_fit
from .lazy import lazily
from .records import analysis_source
from .run_folder import RunError, RunFolder, json_bytes, locked, write_atomic
from .seal import seal
from .versions import versions

if TYPE_CHECKING:
    from ..trials.analysis.data import AnalysisData
    from ..trials.analysis.fit import Fit


def analyse_run(
    folder: RunFolder, protocol: Protocol, outcomes: xr.Dataset, outcomes_digest: str
) -> tuple[dict[str, Any], bool]:
    """Analyse the trial that the protocol draws from the bank; returns results.json, and whether every gate passed.

    What was analysed before from the same outcomes, protocol and source is taken as it stands.
    """
    inputs = results_inputs(protocol.digest, outcomes_digest)
    results = stored_results(folder, inputs)
    if results is None:
        from ..trials.observe import observe

        subjects = observe(protocol, lazily(folder.cohort), outcomes)
        data = {a.endpoint: _data(protocol, subjects, a) for a in protocol.analyses}
        results = fit_all(folder, protocol, data, inputs) | {"outcomes": outcomes_digest}
        write_atomic(folder.results, json_bytes(results))
        folder.report.unlink(missing_ok=True)
    if not folder.report.exists():
        report_again(folder)
    return results, _passed(results)


def report_again(folder: RunFolder) -> None:
    """Write the report from what stands in the folder.

    Raises
    ------
    RunError
        The run was not analysed yet: run it to the end.
    """
    from .report.build import write_report

    try:
        refused = "refused" in json.loads(folder.results.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{folder.root} has no results yet; run it to the end") from None
    except (ValueError, TypeError):
        raise RunError(f"{folder.results} cannot be read; start the run again to mend it") from None
    if refused:
        raise RunError(f"{folder.root}: too many twins failed, so nothing was analysed; see ledger.jsonl", 4)
    write_report(folder.root)
    seal(folder, [folder.report.name])


def fit_all(folder: RunFolder, protocol: Protocol, data: Mapping[str, AnalysisData], inputs: str) -> dict[str, Any]:
    """Fit every analysis, keep the posteriors, and put the results together."""
    from ..trials.analysis.fit import analyse_all

    folder.results.unlink(missing_ok=True)  # posteriors of two analyses are never read together
    rows = []
    fits = analyse_all(protocol, data)
    for analysis in (a for a in protocol.analyses if a.endpoint in fits):
        fitted = fits[analysis.endpoint]
        digest = save_fit(folder, analysis.endpoint, fitted)
        rows.append(_row(analysis, data[analysis.endpoint], fitted, digest))
    return {"format": 1, "protocol": protocol.digest, "inputs": inputs, "analyses": rows}


def stored_results(folder: RunFolder, inputs: str) -> dict[str, Any] | None:
    """results.json, if it was made from these inputs and its posteriors are still what they were."""
    try:
        results: dict[str, Any] = json.loads(folder.results.read_text(encoding="utf-8"))
        if results.get("inputs") != inputs:
            return None
        for row in results["analyses"]:
            if store.digest(load_fit(folder, row["endpoint"]).posterior) != row["posterior"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, RunError):
        return None
    return results


def results_inputs(*digests: str) -> str:
    """Digest of what an analysis depends on."""
    return hashlib.sha256("\n".join((*digests, analysis_source())).encode()).hexdigest()


def _data(protocol: Protocol, subjects: xr.Dataset, analysis: Analysis) -> AnalysisData:
    from ..trials.estimands import estimand_data

    return estimand_data(protocol, subjects, analysis)


def _row(analysis: Analysis, data: AnalysisData, fitted: Fit, digest: str) -> dict[str, Any]:
    """One analysis as results.json and the terminal state it."""
    effect = next((row for row in fitted.summary if row.name == "effect"), None)
    return {
        "endpoint": analysis.endpoint,
        "label": data.label,
        "model": analysis.model,
        "arms": list(data.arms),
        "subjects": int(data.y.size),
        "missing": data.n_missing,
        "unit": fitted.posterior["effect"].attrs.get("units", ""),
        "effect": finite(asdict(effect)) if effect else None,
        "decision": finite(asdict(fitted.decision)) if fitted.decision else None,
        "gates": [finite(asdict(gate)) for gate in fitted.gates],
        "passed": bool(fitted.passed),
        "posterior": digest,
    }


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can hold it: numpy's numbers as Python's, what is not finite as null."""
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in row.items()}
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in plain.items()}


def _passed(results: Mapping[str, Any]) -> bool:
    return all(row["passed"] for row in results["analyses"])


def analyse_table(folder: RunFolder, protocol: Protocol, table: Path) -> tuple[dict[str, Any], bool]:
    """Analyse the table of a real trial with the protocol's analyses, into a folder with results and report.

    Raises
    ------
    RunError, TableError, DataError
        The folder holds something else, or the table cannot be analysed; every fault on a line. Nothing is written.
    """
    from ..trials.analysis.fit import require_analysable
    from ..trials.subject_table import read_subject_table
    from .report.build import write_page
    from .report.contents import RunContents

    if folder.root.exists() and not _is_of_table(folder):
        raise RunError(f"{folder.root} holds something else; give a new folder with --out")
    trial = read_subject_table(table, protocol)
    require_analysable(protocol, trial.data)
    table_digest = hashlib.sha256(table.read_bytes()).hexdigest()
    inputs = results_inputs(protocol.digest, table_digest)
    with locked(folder):
        write_atomic(folder.protocol, write_protocol(protocol).encode())
        results = stored_results(folder, inputs)
        if results is None:
            results = fit_all(folder, protocol, trial.data, inputs) | {"table": table_digest}
            write_atomic(folder.results, json_bytes(results))
        fits = {row["endpoint"]: load_fit(folder, row["endpoint"]) for row in results["analyses"]}
        digests = {"table": table_digest} | {f"posterior, {r['endpoint']}": r["posterior"] for r in results["analyses"]}
        contents = RunContents(
            protocol=protocol,
            fits=fits,
            data=trial.data,
            subjects=trial.subjects,
            notes=tuple(_not_in_table(protocol, trial.data)),
            digests=digests,
            environment=versions(),
            command=f"twinarm analyse --data {table.name} --protocol protocol.yaml",
            protocol_text=folder.protocol.read_text(encoding="utf-8"),
        )
        write_page(contents, folder.report)
    return results, _passed(results)


def _not_in_table(protocol: Protocol, data: Mapping[str, AnalysisData]) -> Iterator[str]:
    """A sentence for each analysis that the table has no column for."""
    for analysis in protocol.analyses:
        if analysis.endpoint not in data:
            yield f"{protocol.endpoint(analysis.endpoint).label}: not analysed, the table has no column mapped to it."


def _is_of_table(folder: RunFolder) -> bool:
    """Whether a folder is empty or holds an analysis of a table."""
    return folder.root.is_dir() and {p.name for p in folder.root.iterdir() if not p.name.startswith(".")} <= {
        "protocol.yaml",
        "results.json",
        "posterior",
        "report.html",
        "tmp",
    }
