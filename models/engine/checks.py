"""Refuse what `solve` cannot carry out, before any twin is integrated."""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt

from ..model import Tolerance
from .system import Records, System


def check_choice(method: str, methods: object, lanes: int, tolerance: object) -> None:
    """A known method, number of lanes and tolerance."""
    if method not in get_args(methods):
        raise ValueError(f"method is {method!r}; write {', '.join(map(repr, get_args(methods)))}")
    if lanes not in (1, 4, 8):
        raise ValueError(f"lanes is {lanes!r}; write 1, 4 or 8 (it changes the speed alone)")
    if not isinstance(tolerance, Tolerance):
        raise ValueError(f"tolerance is {tolerance!r}; write Tolerance(rtol=1e-6, atol=1e-8)")
    if not (min(tolerance.rtol, tolerance.atol) >= 0.0 and tolerance.rtol + tolerance.atol > 0.0):
        raise ValueError(f"{tolerance} asks for the impossible; rtol and atol must not be below 0, nor both 0")


def table(what: str, given: npt.ArrayLike, twins: int | None, kind: str, names: tuple[str, ...]) -> np.ndarray:
    """A copy of `given` as an array (twin, name); one row may come without its second pair of brackets."""
    try:
        found = np.array(given, dtype=np.float64, ndmin=2, order="C")
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be an array of numbers (twin, {kind}), not {type(given).__name__}") from None
    wanted = (len(found) if twins is None else twins, len(names))
    if found.shape != wanted:
        raise ValueError(
            f"{what} has the shape {np.shape(given)}; it needs (twin, {kind}) = "
            f"({'any number' if twins is None else twins}, {len(names)}): a row for each twin, "
            f"a column for each of {', '.join(names) or 'no ' + kind}"
        )
    return found


def period(start: npt.ArrayLike, stop: npt.ArrayLike, twins: int) -> tuple[np.ndarray, np.ndarray]:
    """`start` and `stop` of each twin."""
    both = []
    for what, given in (("start", start), ("stop", stop)):
        value = np.asarray(given, np.float64)
        if value.shape not in ((), (1,), (twins,)):
            raise ValueError(f"{what} has the shape {value.shape}; give one number, or one for each of {twins} twins")
        both.append(np.broadcast_to(value, (twins,)).copy())
    wrong = ~(both[0] <= both[1])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ValueError(f"start must not be after stop; twin {k} has {both[0][k]:g} and {both[1][k]:g}")
    return both[0], both[1]


def check_records(system: System, records: Records, twins: int) -> None:
    """Three arrays (twin, record), sorted, with targets of the system."""
    time, target, value = (np.asarray(a) for a in (records.time, records.target, records.value))
    if not (time.shape == target.shape == value.shape and time.ndim == 2 and len(time) == twins):
        raise ValueError(
            f"records have the shapes {time.shape}, {target.shape}, {value.shape} (time, target, value); "
            f"all three need (twin, record), a row for each of {twins} twins; an unused record has the time inf"
        )
    if not time.size:
        return
    if not np.issubdtype(target.dtype, np.integer):
        raise ValueError(
            f"targets of records are numbers such as {system.name}.state({system.states[0]!r}), not {target.dtype}"
        )
    check_sorted("records", time, ", see Records.sorted()")
    targets = len(system.states) + len(system.inputs) + len(system.actions)
    wrong = target[(target < 0) | (target >= targets)]
    if wrong.size:
        raise ValueError(f"a record of {system.name!r} names the target {wrong[0]}; known: 0 to {targets - 1}")


def check_sorted(what: str, times: np.ndarray, cure: str = "") -> None:
    """Rows of times that never fall and hold no NaN."""
    wrong = np.isnan(times).any(axis=1) | (times[:, 1:] < times[:, :-1]).any(axis=1)
    if wrong.any():
        k = int(np.argmax(wrong))
        fault = "holds a NaN" if np.isnan(times[k]).any() else "is not sorted"
        raise ValueError(f"row {k} of the times of {what} {fault}; they must be sorted{cure}")
