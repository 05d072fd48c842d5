"""A run folder read for its report: what is stored, and what follows from it without chance."""

from __future__ import annotations

import json
from pathlib import Path

import xarray as xr

from ...trials.estimands import estimand_data
from ...trials.ledger import attrition
from ...trials.observe import observe
from ...trials.true_effect import true_effects
from .. import store
from ..fits import load_fit
from ..lazy import lazily
from ..run_folder import Manifest, RunFolder, protocol_of, read_manifest
from .contents import RunContents


def read_run(root: Path) -> RunContents:
    """Everything the report of a run shows. Subjects, data and true effects are recomputed from the outcomes.

    Raises
    ------
    RunError
        The run is not complete, was not analysed, or something stored is damaged: run it again to the end.
    """
    from ..run import outcomes_of

    folder = RunFolder(root)
    manifest = read_manifest(folder)
    protocol = protocol_of(manifest)
    cohort, outcomes = lazily(folder.cohort), outcomes_of(folder)
    subjects = observe(protocol, cohort, outcomes)
    data = {a.endpoint: estimand_data(protocol, subjects, a) for a in protocol.analyses}
    refused = {(str(r["stage"]), str(r["reason"])): int(r["count"]) for r in manifest.screening}
    note = str(subjects.attrs.get("note", ""))
    shown = [endpoint.name for endpoint in protocol.endpoints if endpoint.role == "primary"]  # a number a twin each
    return RunContents(
        protocol=protocol,
        fits={a.endpoint: load_fit(folder, a.endpoint) for a in protocol.analyses},
        data=data,
        cohort=cohort,
        outcomes=outcomes,
        kept=_kept(folder),
        subjects=subjects,
        truth=true_effects(protocol, outcomes, individual=shown).drop_vars("twin"),
        ledger=attrition(protocol, manifest.candidates, refused, outcomes, subjects, list(data.values())),
        notes=(note,) if note else (),
        digests=_digests(folder, manifest),
        environment=dict(manifest.versions),
        command=f"twinarm run protocol.yaml --out runs/{protocol.name}\ntwinarm verify runs/{protocol.name}",
        protocol_text=folder.protocol.read_text(encoding="utf-8"),
    )


def _kept(folder: RunFolder) -> xr.Dataset | None:
    return store.load(folder.kept) if folder.kept.is_dir() else None


def _digests(folder: RunFolder, manifest: Manifest) -> dict[str, str]:
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    digests = {
        "cohort": manifest.cohort,
        "source of the simulation": manifest.source,
        "outcomes": results.get("outcomes"),
    }
    digests |= {f"posterior, {row['endpoint']}": row["posterior"] for row in results["analyses"]}
    return digests
