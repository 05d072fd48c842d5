"""One Bayesian analysis: prepare, sample, check, decide.

Specification
-------------
1. Priors: the catalogue's, replaced by those the protocol states.
2. Four chains of 1,000 warm-up and 1,000 kept draws by NUTS.
3. Where the effective sample size is too small, R-hat too large or the decision not resolved, sample again with twice
   the draws, up to 40,000 draws in all; nothing but the number of draws changes. Divergences, tree depth and E-BFMI are
   faults that more draws do not mend: they fail at once.
4. All gates must pass; otherwise the decision is "not resolved", whatever the probability.
5. Prior-predictive and posterior-predictive checks and prior-data conflict are flags and decide nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from ..protocol import Analysis, Protocol
from .catalogue import CatalogueModel, Prepared, catalogue_model
from .checks import Check, flags_of, posterior_predictive, prior_predictive
from .data import AnalysisData, DataError
from .decision import Decided, decide, decision_gate
from .diagnostics import Gate, Row, gates_of, summarise
from .priors import merged_priors, prior_text
from .sampling import MAX_DEPTH, STATISTICS, Effort, sample

_MORE_DRAWS_HELP = ("R-hat", "bulk ESS", "tail ESS", "MCSE of the mean over posterior sd")


@dataclass(frozen=True)
class Fit:
    """A posterior with its diagnostics and, where the analysis has a rule, its decision.

    `posterior` has dims (chain, draw[, interval or covariate]); `effect` is the estimand's summary: difference in means
    in the endpoint's unit, risk difference, rate ratio or hazard ratio, always experimental against control. `priors`
    are printed texts by parameter, `prior_checks` and `ppc` the predictive checks, `flags` sentences for the report.
    """

    endpoint: str
    model: str
    posterior: xr.Dataset
    summary: tuple[Row, ...]
    gates: tuple[Gate, ...]
    decision: Decided | None
    priors: Mapping[str, str]
    prior_checks: tuple[Check, ...]
    ppc: tuple[Check, ...]
    flags: tuple[str, ...]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether an efficacy statement may be made."""
        return all(gate.passed for gate in self.gates)


def fit(
    data: AnalysisData,
    analysis: Analysis,
    seed: int,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> Fit:
    """Analyse one endpoint. The same data, analysis and seed give the same bytes on any number of cores.

    Raises
    ------
    DataError
        The data are of another kind than the model; the text says which model fits.
    PriorError
        A stated prior the model does not have.
    """
    model, priors = catalogue_model(analysis.model), merged_priors(analysis.model, analysis.priors)
    prepared = _prepare(data, analysis)
    if prepared is None:
        return _without_variation(data, analysis, seed)
    raw, posterior, summary, gates, decision = _until_resolved(model, prepared, analysis, seed, effort)
    prior_checks = prior_predictive(model, prepared, seed)
    ppc = posterior_predictive(model, prepared, raw, seed)
    meanings = model.meanings(prepared)
    if not data.covariates:
        meanings.pop("covariates", None)
    return Fit(
        endpoint=data.endpoint,
        model=analysis.model,
        posterior=posterior,
        summary=summary,
        gates=gates,
        decision=decision if decision is None or all(g.passed for g in gates) else decision.withheld(),
        priors={name: prior_text(priors[name], meaning) for name, meaning in meanings.items()},
        prior_checks=prior_checks,
        ppc=ppc,
        flags=flags_of(prepared, prior_checks, ppc, raw),
        seed=seed,
    )


def _prepare(data: AnalysisData, analysis: Analysis) -> Prepared | None:
    """What the model needs to sample; None where the outcome does not vary, so that there is nothing to sample."""
    model = catalogue_model(analysis.model)
    if data.kind != model.KIND:
        raise DataError(f"{data.endpoint} is {data.kind}; model {analysis.model!r} is for {model.KIND} endpoints")
    if model.KIND == "continuous" and np.ptp(data.y) == 0:
        return None
    return model.prepare(data, analysis, merged_priors(analysis.model, analysis.priors))


_Judged = tuple[xr.Dataset, xr.Dataset, tuple[Row, ...], tuple[Gate, ...], Decided | None]


def _until_resolved(
    model: CatalogueModel, prepared: Prepared, analysis: Analysis, seed: int, effort: Effort
) -> _Judged:
    """Sample, judge, and sample again with twice the draws while that can mend what failed."""
    most = max(effort.draws, effort.most_draws // effort.chains)
    while True:
        raw = sample(prepared, seed, effort)
        posterior, summary, gates, decision = _judge(model, prepared, analysis, raw)
        can_help = any(_is_mended_by_draws(gate.name) for gate in gates if not gate.passed)
        if effort.draws >= most or not can_help:
            return raw, posterior, summary, gates, decision
        effort = replace(effort, draws=min(2 * effort.draws, most))


def _is_mended_by_draws(gate: str) -> bool:
    return gate in _MORE_DRAWS_HELP or gate.startswith("decision")


def _judge(
    model: CatalogueModel, prepared: Prepared, analysis: Analysis, raw: xr.Dataset
) -> tuple[xr.Dataset, tuple[Row, ...], tuple[Gate, ...], Decided | None]:
    posterior = model.quantities(raw, prepared)
    posterior = posterior.assign({name: raw[name] for name in STATISTICS.values()})
    posterior = posterior.assign_coords(chain=raw["chain"], draw=raw["draw"])
    posterior.attrs = {
        "endpoint": prepared.data.endpoint,
        "model": analysis.model,
        "experimental": prepared.data.arms[1],
        "control": prepared.data.arms[0],
    }
    summary = summarise(posterior, analysis.ci_prob)
    gates = gates_of(posterior, summary, MAX_DEPTH)
    decision = decide(posterior["effect"].values, prepared.data, analysis)
    if decision is not None:
        gates = (*gates, decision_gate(decision))
    return posterior, summary, gates, decision


def _without_variation(data: AnalysisData, analysis: Analysis, seed: int) -> Fit:
    """The fit of an outcome that is the same in every subject: no posterior, one failed gate, no answer."""
    effect = (("chain", "draw"), np.full((1, 1), np.nan), {"units": data.unit})
    rule = analysis.decision
    return Fit(
        endpoint=data.endpoint,
        model=analysis.model,
        posterior=xr.Dataset({"effect": effect}),
        summary=(),
        gates=(Gate("sd of the outcome", 0.0, "> 0", False),),
        decision=None if rule is None else Decided(np.nan, np.nan, rule.probability, "not resolved"),
        priors={},
        prior_checks=(),
        ppc=(),
        flags=(f"all {data.n} subjects have the outcome {data.y[0]:g} {data.unit}: there is nothing to analyse",),
        seed=seed,
    )


def seed_of(seed: int, endpoint: str) -> int:
    """Seed of one analysis: a function of the protocol's seed and the endpoint's name alone, below 2**63."""
    digest = hashlib.sha256(f"twinarm:{seed}:analysis:{endpoint}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def require_analysable(protocol: Protocol, datas: Mapping[str, AnalysisData]) -> None:
    """Refuse data that an analysis cannot take, before anything is sampled or written.

    Raises
    ------
    DataError
        One line for each analysis that would fail.
    """
    found = []
    for analysis in protocol.analyses:
        try:
            if analysis.endpoint in datas:
                _prepare(datas[analysis.endpoint], analysis)
        except DataError as error:
            found.append(str(error))
    if found:
        raise DataError("\n".join(found))


def analyse_all(protocol: Protocol, datas: Mapping[str, AnalysisData], effort: Effort = Effort()) -> dict[str, Fit]:  # noqa: B008 - frozen
    """Every analysis of a protocol for whose endpoint there are data, in the protocol's order.

    An endpoint's fit does not depend on which others are analysed, nor on their order.
    """
    return {
        analysis.endpoint: fit(datas[analysis.endpoint], analysis, seed_of(protocol.seed, analysis.endpoint), effort)
        for analysis in protocol.analyses
        if analysis.endpoint in datas
    }
