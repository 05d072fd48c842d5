"""Fit the analyses of a trial, those of each model in a process of their own.

Compiling a model takes longer than sampling it, and analyses of one model share what is compiled. A fit depends on its
data and its seed alone, so the draws are the same bytes in one process or in several.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..trials.protocol import Protocol
from .cluster import Cluster, connected
from .run_folder import RunError

if TYPE_CHECKING:
    from ..trials.analysis.data import AnalysisData
    from ..trials.analysis.fit import Fit


def fit_analyses(
    protocol: Protocol, data: Mapping[str, AnalysisData], cluster: Cluster, scratch: Path
) -> dict[str, Fit]:
    """Every analysis for whose endpoint there are data, in the protocol's order.

    Processes are started on this machine only, and only where there are two models and two workers for them.

    Raises
    ------
    RunError
        A process died, of memory most likely (75): the same command goes on from what is simulated.
    """
    from ..trials.analysis.fit import analyse_all

    wanted = [analysis for analysis in protocol.analyses if analysis.endpoint in data]
    models = list(dict.fromkeys(analysis.model for analysis in wanted))
    workers = min(cluster.size, len(models))
    if cluster.scheduler or not cluster.processes or workers < 2:
        return analyse_all(protocol, data)
    from distributed import KilledWorker

    fits: dict[str, Fit] = {}
    with connected(replace(cluster, workers=workers), scratch) as client:
        parts = [tuple(analysis for analysis in wanted if analysis.model == model) for model in models]
        futures = [
            client.submit(
                analyse_all,
                protocol.model_copy(update={"analyses": part}),
                {analysis.endpoint: data[analysis.endpoint] for analysis in part},
                pure=False,
            )
            for part in parts
        ]
        try:
            for found in client.gather(futures):
                fits |= found
        except KilledWorker:
            raise RunError("a process died while it fitted a model; free some memory and start again", 75) from None
    shutil.rmtree(scratch, ignore_errors=True)
    return {analysis.endpoint: fits[analysis.endpoint] for analysis in wanted}
