"""Textbook formulas of one to three compartments: the amount in the central one, as a sum of exponentials.

Independent of `closed_form`: poles by the quadratic and the trigonometric solution of the cubic, doses by superposition
and geometric series.

Source: Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis; Dubois, Bertrand & Mentré 2011,
Mathematical expressions of the pharmacokinetic and pharmacodynamic models implemented in the PFIM software.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Exponentials:
    """Amount after a unit bolus: sum of `weight` exp(-`rate` t), both (term,)."""

    rate: np.ndarray
    weight: np.ndarray

    def bolus(self, t: np.ndarray) -> np.ndarray:
        """After a unit bolus at time 0; 0 before."""
        after = np.maximum(t, 0.0)[:, None]
        return np.where(t >= 0, (self.weight * np.exp(-self.rate * after)).sum(axis=1), 0.0)

    def infusion(self, t: np.ndarray, duration: float) -> np.ndarray:
        """During and after the infusion of a unit over `duration` from time 0."""
        on = np.clip(t, 0.0, duration)[:, None]
        off = np.maximum(t - duration, 0.0)[:, None]
        parts = self.weight / self.rate * -np.expm1(-self.rate * on) * np.exp(-self.rate * off)
        return np.asarray(parts.sum(axis=1) / duration)

    def steady_bolus(self, t: np.ndarray, interval: float) -> np.ndarray:
        """Within an interval (0 <= t < interval) of unit boluses given for ever."""
        series = -np.expm1(-self.rate * interval)
        return np.asarray((self.weight * np.exp(-self.rate * t[:, None]) / series).sum(axis=1))

    def steady_infusion(self, t: np.ndarray, duration: float, interval: float) -> np.ndarray:
        """Within an interval of unit infusions given for ever, each shorter than the interval."""
        before = -np.expm1(-self.rate * duration) * np.exp(-self.rate * (t[:, None] + interval - duration))
        parts = self.weight / self.rate * before / -np.expm1(-self.rate * interval)
        return np.asarray(parts.sum(axis=1) / duration) + self.infusion(t, duration)


def exponentials(
    CL: float, V: float, Q: float = 0.0, Vp: float = 1.0, Q2: float = 0.0, Vp2: float = 1.0, ka: float = 0.0
) -> Exponentials:
    """Rates and weights of the body with these clearances and volumes; a bolus goes to the depot where there is a ka.

    Q of 0: no peripheral compartment, Q2 of 0: no second one.
    """
    k10, k12, k21, k13, k31 = CL / V, Q / V, Q / Vp, Q2 / V, Q2 / Vp2
    if Q == 0.0:
        rate, weight = np.array([k10]), np.array([1.0])
    elif Q2 == 0.0:
        total = k10 + k12 + k21
        fast = 0.5 * (total + np.sqrt(total * total - 4.0 * k10 * k21))
        rate = np.array([fast, k10 * k21 / fast])
        weight = (k21 - rate) / (rate[::-1] - rate)
    else:
        a2 = k10 + k12 + k13 + k21 + k31
        a1 = k10 * k31 + k21 * k31 + k21 * k13 + k10 * k21 + k31 * k12
        a0 = k10 * k21 * k31
        p, q = a1 - a2 * a2 / 3.0, 2.0 * a2**3 / 27.0 - a1 * a2 / 3.0 + a0
        angle = np.arccos(-q / (2.0 * np.sqrt(-(p**3) / 27.0))) / 3.0
        rate = a2 / 3.0 - 2.0 * np.sqrt(-p / 3.0) * np.cos(angle + 2.0 * np.pi / 3.0 * np.arange(3))
        for _ in range(3):  # Newton: the trigonometric form loses digits of the smallest rate
            value = ((rate - a2) * rate + a1) * rate - a0
            rate = rate - value / ((3.0 * rate - 2.0 * a2) * rate + a1)
        others = np.array([[rate[1], rate[2]], [rate[0], rate[2]], [rate[0], rate[1]]])
        weight = (k21 - rate) * (k31 - rate) / (others - rate[:, None]).prod(axis=1)
    if ka:
        weight = weight * ka / (ka - rate)
        rate, weight = np.append(rate, ka), np.append(weight, -weight.sum())
    return Exponentials(rate, weight)
