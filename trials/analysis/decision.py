"""The decision: does the probability that the effect is better than the margin exceed the stated threshold?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..protocol import Analysis
from .data import AnalysisData, Array
from .diagnostics import RESOLVED_AT, Gate, ess_mean

Outcome = Literal["success", "no success", "not resolved"]


@dataclass(frozen=True)
class Decided:
    """P(effect better than margin), its Monte Carlo error, the threshold, and what follows."""

    probability: float
    mcse: float
    threshold: float
    outcome: Outcome

    @property
    def is_resolved(self) -> bool:
        """Whether the probability is more than four Monte Carlo errors from the threshold."""
        return abs(self.probability - self.threshold) > RESOLVED_AT * self.mcse

    def withheld(self) -> Decided:
        """The same probability without an answer: a gate failed."""
        return replace(self, outcome="not resolved")


def is_smaller_better(data: AnalysisData) -> bool:
    """Whether a smaller effect favours the experimental arm.

    The endpoint's direction is about its value. The value of a time-to-event endpoint is a time: where a longer time is
    better, a smaller hazard is.
    """
    smaller = data.direction == "lower"
    return not smaller if data.kind == "time-to-event" else smaller


def decide(effect: Array, data: AnalysisData, analysis: Analysis) -> Decided | None:
    """Apply the decision rule of an analysis to draws of the effect, (chain, draw); None without a rule.

    The Monte Carlo error is that of a proportion with the effective sample size of the indicator; half a draw is added
    to either side, so that 0 or 1 in all draws is not taken for certainty.
    """
    rule = analysis.decision
    if rule is None:
        return None
    is_better = effect < rule.margin if is_smaller_better(data) else effect > rule.margin
    indicator = is_better.astype(np.float64)
    size = min(ess_mean(indicator), float(indicator.size))
    if indicator.min() == indicator.max():
        size = min(size, ess_mean(effect))
    p = float(indicator.mean())
    smoothed = (p * size + 0.5) / (size + 1)
    found = Decided(p, float(np.sqrt(smoothed * (1 - smoothed) / size)), rule.probability, "not resolved")
    if not found.is_resolved:
        return found
    return replace(found, outcome="success" if p > rule.probability else "no success")


def decision_gate(decided: Decided) -> Gate:
    """The gate that the decision is resolved; its value is the distance in Monte Carlo errors."""
    distance = abs(decided.probability - decided.threshold) / decided.mcse
    return Gate("decision: |P - threshold| in MCSE", distance, f"> {RESOLVED_AT:g}", decided.is_resolved)
