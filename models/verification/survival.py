"""Times to an event beside their exact law: H(T) = E with a standard exponential E of each twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import System, hazard, solve
from ..engine.math import exp, maximum
from ..model import Tolerance
from ..randomness import uniforms
from .fixed_steps import ALL
from .row import Check, Row

TWINS = 10_000
SEED = 20_240_501
# The first of 10,000 twins has an E of about 1e-4: the absolute tolerance must be far below what is to be resolved.
TOLERANCE = Tolerance(1e-8, 1e-14)


@dataclass(frozen=True)
class Law:
    """A hazard by time, and the time at which its integral reaches E."""

    name: str
    rate: Callable[[Any], Any]
    inverse: Callable[[np.ndarray], np.ndarray]

    def slopes(self, t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
        """Right-hand side of the cumulative hazard."""
        return (self.rate(t),)


SHAPE, SCALE = 1.7, 9.0  # month
FIRST, AGEING = 0.02, 0.15  # per month
LAWS = (
    Law(
        "Weibull", lambda t: SHAPE / SCALE * maximum(t / SCALE, 1e-300) ** (SHAPE - 1.0),
        lambda e: SCALE * e ** (1.0 / SHAPE),
    ),
    Law("Gompertz", lambda t: FIRST * exp(AGEING * t), lambda e: np.log1p(AGEING * e / FIRST) / AGEING),
)  # fmt: skip


def event_times() -> list[Row]:
    """10,000 twins with keyed uniforms: each time against the inverse of H, all of them against the law."""
    from scipy.stats import kstest

    threshold = -np.log(uniforms(SEED, "verification.death", range(TWINS)))
    rows = []
    for law in LAWS:
        truth = law.inverse(threshold[:, 0])
        system = System(
            law.name, ("H",), ("E",), (), law.slopes, "month", events=(hazard("death", "H", "E"),)
        )  # fmt: skip
        stop = float(law.inverse(np.array([50.0]))[0])  # beyond -log of the smallest uniform
        for method in ALL:
            found = solve(system, np.zeros((TWINS, 1)), threshold, 0.0, stop, None, None, TOLERANCE, method=method)
            time = found.event_times[:, 0, 0]
            rows.append(
                Row(
                    f"{method}: {law.name}, time of each of {TWINS:,} twins", "inverse of the cumulative hazard",
                    float(np.abs(time / truth - 1.0).max()), 1e-6, "100 rtol (1e-8)",
                )
            )  # fmt: skip
        law_of = kstest(_cumulative(law, time), "expon")
        rows.append(
            Row(
                f"{law.name}: law of {TWINS:,} event times", "survival function exp(-H(t)), Kolmogorov-Smirnov",
                float(law_of.pvalue), 0.01, "p above 0.01, seed fixed beforehand", sense=">=",
                note=f"D = {law_of.statistic:.4f}",
            )
        )  # fmt: skip
    return rows


def _cumulative(law: Law, time: np.ndarray) -> np.ndarray:
    """H at the event times; standard exponential if the times follow the law."""
    if law.name == "Weibull":
        return np.asarray((time / SCALE) ** SHAPE)
    return np.asarray(FIRST / AGEING * np.expm1(AGEING * time))


CHECKS = (Check("survival", "event_times", event_times),)
