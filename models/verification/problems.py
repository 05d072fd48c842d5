"""Small problems whose solution is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import System
from ..engine.math import cos, sin
from .fixed_steps import RightHandSide


@dataclass(frozen=True)
class Known:
    """A system without parameters, and its solution (time, state) at an array of times."""

    name: str
    states: tuple[str, ...]
    rhs: RightHandSide
    exact: Callable[[np.ndarray], np.ndarray]
    source: str


MODULUS = 0.51


def _rigid(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return y.b * y.c, -y.a * y.c, -MODULUS * y.a * y.b


def _elliptic(t: np.ndarray) -> np.ndarray:
    from scipy.special import ellipj

    return np.stack(ellipj(t, MODULUS)[:3], axis=-1)


RIGID_BODY = Known(
    "rigid body", ("a", "b", "c"), _rigid, _elliptic, "Jacobi's elliptic functions (Hull 1972, problem B5)"
)


def _chirp(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return 2.0 * t * y.b, -2.0 * t * y.a


CHIRP = Known(
    "chirp", ("a", "b"), _chirp, lambda t: np.stack([np.sin(t * t), np.cos(t * t)], axis=-1), "sin(t^2), cos(t^2)"
)


def follow(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    """Prothero & Robinson 1974: the solution sin(t) attracts its neighbours at the rate k."""
    return (-p.k * (y.x - sin(t)) + cos(t),)


FOLLOWER = System("Prothero-Robinson", ("x",), ("k",), (), follow, "second")

ECCENTRICITY = 0.3


def _kepler(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    cube = (y.x * y.x + y.y * y.y) ** 1.5
    return y.vx, y.vy, -y.x / cube, -y.y / cube


def _orbit(t: np.ndarray) -> np.ndarray:
    """Position and velocity by Kepler's equation E - e sin E = t, solved by Newton's method."""
    e, time = ECCENTRICITY, np.asarray(t, float)
    anomaly = time + e * np.sin(time)
    for _ in range(20):
        anomaly = anomaly - (anomaly - e * np.sin(anomaly) - time) / (1.0 - e * np.cos(anomaly))
    c, s, axis = np.cos(anomaly), np.sin(anomaly), np.sqrt(1.0 - e * e)
    near = 1.0 - e * c
    return np.stack([c - e, axis * s, -s / near, axis * c / near], axis=-1)


KEPLER = Known("Kepler, e = 0.3", ("x", "y", "vx", "vy"), _kepler, _orbit, "Kepler's equation")
