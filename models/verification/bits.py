"""The same bits whatever the number of lanes: a twin's result depends neither on its company nor on the machine."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

import numpy as np

from ..engine import Event, Records, Solution, System, solve
from ..engine.math import cos, exp, log, maximum, sin, sqrt, tanh, where
from ..model import Tolerance
from .fixed_steps import METHODS
from .row import Check, Row

TWINS = 203  # no multiple of 8


def _everything(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    gate = where(y.a > p.edge, 1.0 + y.a - p.edge, 1.0)
    return (
        -p.k * gate * y.a + u.drive * tanh(y.b) + 0.1 * sin(t) * cos(0.3 * t),
        p.k * y.a - y.b**1.7 / (1.0 + y.b**1.7) + sqrt(1.0 + y.a * y.a) * exp(-t),
        log(1.0 + maximum(y.a, 0.0)) - y.c**2 * p.k,
    )


LOW = Event("low", lambda t, y, p, u: y.a - 0.3, "down", effect=lambda t, y, p, u: {"a": y.a + 0.5, "drive": 0.2})
HIGH = Event("high", lambda t, y, p, u: y.c - 0.9, "up", hysteresis=0.1)
SYSTEM = System("everything", ("a", "b", "c"), ("k", "edge"), ("drive",), _everything, "hour", events=(LOW, HIGH))


def _solved(lanes: Literal[1, 4, 8], method: Any) -> Solution:
    draw = np.random.default_rng(5)
    y0, p = draw.uniform(0.5, 2.0, (TWINS, 3)), draw.uniform([0.2, 0.1], [2.0, 1.0], (TWINS, 2))
    records = Records(
        np.sort(draw.uniform(0.0, 12.0, (TWINS, 4))), draw.integers(0, 4, (TWINS, 4)), draw.uniform(0, 1, (TWINS, 4))
    )
    return solve(
        SYSTEM, y0, p, 0.0, draw.uniform(8.0, 12.0, TWINS), records, np.linspace(0.0, 12.0, 31), Tolerance(), None,
        method, lanes, keep_events=8,
    )  # fmt: skip


def lanes() -> list[Row]:
    """Bytes of the whole solution (samples, ends, steps, events) that differ between 1, 4 and 8 lanes."""
    rows = []
    for method in ("auto", *METHODS):
        one, four, eight = (_solved(count, method) for count in (1, 4, 8))
        differ = 0
        for field in fields(Solution):
            bytes_of = [np.frombuffer(getattr(s, field.name).tobytes(), np.uint8) for s in (one, four, eight)]
            differ += int(sum((other != bytes_of[2]).sum() for other in bytes_of[:2]))
        rows.append(
            Row(
                f"{method}: bytes that differ between 1, 4 and 8 lanes", "the same twins in other numbers of lanes",
                float(differ), 0.0, "promised to the last bit",
                note=f"{TWINS} twins, {int(eight.event_counts.sum())} events, {int(eight.steps.sum())} steps",
            )
        )  # fmt: skip
    return rows


CHECKS = (Check("bits", "lanes", lanes, slow=True),)
