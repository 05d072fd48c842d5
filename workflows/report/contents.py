"""Everything a report shows, as values: read once from a run folder, or put together by an analysis of real data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from ...trials.protocol import Analysis, Arm, Endpoint, Estimand, Protocol

if TYPE_CHECKING:
    from ...trials.analysis.data import AnalysisData
    from ...trials.analysis.fit import Fit
    from ...trials.ledger import Row

Summary = Literal["difference in means", "risk difference", "rate ratio", "hazard ratio"]
_SUMMARIES: dict[str, Summary] = {
    "continuous": "difference in means",
    "binary": "risk difference",
    "count": "rate ratio",
    "piecewise-exponential": "hazard ratio",
    "weibull": "hazard ratio",
}


@dataclass(frozen=True)
class TrueEffect:
    """The effect over all twins of the bank under both arms, with its bank error (standard error over twins).

    `individual` holds experimental minus control of each twin, in `unit`; it is empty where they were not kept.
    """

    value: float
    error: float
    individual: np.ndarray
    unit: str


@dataclass(frozen=True)
class RunContents:
    """What a report is made of. `fits` and `data` are keyed by the endpoint's name.

    `subjects` hold `arm`, the outcomes under their endpoints' names, and `covariate_<name>`. A simulated trial has a
    cohort, outcomes, true effects and a ledger as well. `notes` are sentences for the reader, `digests` name what was
    hashed. Nothing here tells of times or hosts: the same outcomes give the same report.
    """

    protocol: Protocol
    fits: Mapping[str, Fit]
    data: Mapping[str, AnalysisData]
    subjects: xr.Dataset
    cohort: xr.Dataset | None = None
    outcomes: xr.Dataset | None = None
    kept: xr.Dataset | None = None
    truth: xr.Dataset | None = None
    ledger: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    protocol_text: str = ""

    @property
    def analyses(self) -> tuple[Result, ...]:
        """The fitted analyses in the order of the protocol."""
        return tuple(
            Result(self, analysis, self.fits[analysis.endpoint])
            for analysis in self.protocol.analyses
            if analysis.endpoint in self.fits
        )

    @property
    def primary(self) -> Result | None:
        """The analysis that answers the question: of a primary endpoint, one with a decision first."""
        found = [r for r in self.analyses if r.endpoint.role == "primary"]
        decided = [r for r in found if r.analysis.decision is not None]
        return next(iter(decided + found), None)

    @property
    def passed(self) -> bool:
        """Whether efficacy may be stated: every analysis ran and every gate passed."""
        return bool(self.fits) and all(r.passed for r in self.analyses)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Control first: the order of the palette."""
        return (self.protocol.control, *self.protocol.experimental)

    def place(self, arm: str) -> int:
        """Position of an arm in the palette."""
        return [a.name for a in self.arms].index(arm)

    @property
    def is_simulated(self) -> bool:
        return self.outcomes is not None


@dataclass(frozen=True)
class Result:
    """One analysis beside its endpoint and its fit."""

    contents: RunContents
    analysis: Analysis
    fit: Fit

    @property
    def endpoint(self) -> Endpoint:
        return self.contents.protocol.endpoint(self.analysis.endpoint)

    @property
    def name(self) -> str:
        return self.analysis.endpoint

    @property
    def estimand(self) -> Estimand | None:
        """The named estimand, or the only one of the endpoint."""
        own = [e for e in self.contents.protocol.estimands if e.endpoint == self.name]
        if self.analysis.estimand:
            return next(e for e in own if e.name == self.analysis.estimand)
        return own[0] if len(own) == 1 else None

    @property
    def summary(self) -> Summary:
        return self.estimand.summary if self.estimand else _SUMMARIES[self.analysis.model]

    @property
    def is_ratio(self) -> bool:
        return self.summary in {"rate ratio", "hazard ratio"}

    @property
    def null(self) -> float:
        """The value of no difference."""
        return 1.0 if self.is_ratio else 0.0

    @property
    def unit(self) -> str:
        """Unit of the effect as printed; risks and shares differ by percentage points."""
        if self.is_ratio:
            return "1"
        unit = self.contents.data[self.name].unit if self.name in self.contents.data else "1"
        return "percentage point" if self.summary == "risk difference" or unit == "percent" else unit

    @property
    def scale(self) -> float:
        """What the effect is multiplied with when it is printed: a risk difference is printed in percentage points."""
        return 100.0 if self.summary == "risk difference" else 1.0

    @property
    def is_higher_better(self) -> bool:
        """Whether a larger effect favours the treatment: a longer time to an event is a smaller hazard."""
        higher = self.endpoint.direction == "higher"
        return not higher if self.summary == "hazard ratio" else higher

    @property
    def draws(self) -> np.ndarray:
        """Posterior draws of the effect as printed, (chain, draw)."""
        return np.asarray(self.fit.posterior["effect"].values, dtype=float) * self.scale

    @property
    def interval(self) -> tuple[float, float, float]:
        """Lower end, median and upper end of the equal-tailed credible interval of the analysis, as printed."""
        tail = (1 - self.analysis.ci_prob) / 2
        low, middle, high = np.quantile(self.draws, [tail, 0.5, 1 - tail])
        return float(low), float(middle), float(high)

    @property
    def better(self) -> float:
        """Posterior probability that the effect is on the better side of no difference."""
        draws = self.draws / self.scale
        return float((draws > self.null).mean() if self.is_higher_better else (draws < self.null).mean())

    @property
    def truth(self) -> TrueEffect | None:
        """The true effect in the bank that this analysis estimates."""
        known = self.contents.truth
        if known is None:
            return None
        arm = self.contents.protocol.experimental[0].name
        at = (known["endpoint"] == self.name) & (known["arm"] == arm) & (known["summary"] == self.summary)
        if not at.any():
            return None
        own = (known["contrast_endpoint"] == self.name) & (known["contrast_arm"] == arm)
        kept = np.flatnonzero(own.values)
        return TrueEffect(
            float(known["value"].values[at][0]),
            float(known["se"].values[at][0]),
            known["individual"].values[kept[0]] if kept.size else np.empty(0),
            str(known["contrast_units"].values[kept[0]]) if kept.size else "",
        )

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.fit.gates)

    @property
    def decision(self) -> Any:
        return self.fit.decision
