"""Values in UCUM units, as FHIR has them, in the units of a population; amounts of substance become masses."""

from __future__ import annotations

from functools import cache
from typing import Any

from .run_folder import RunError

INSTALL = "FHIR needs two more packages: `pip install 'twinarm[fhir]'`"
# How a population writes a unit that UCUM writes otherwise, and senders never so.
_OURS = {"10^9/L": "10*9/L", "1/min": "/min", "1/uL": "/uL"}
# What senders write in place of UCUM, and international units, which for UCUM have nothing to do with enzyme units.
_THEIRS = {
    "mmHg": "mm[Hg]", "bpm": "/min", "beats/min": "/min", "lb": "[lb_av]", "lbs": "[lb_av]", "in": "[in_i]",
    "mL/min/1.73m2": "mL/min", "mL/min/1.73.m2": "mL/min", "ml/min/1.73m2": "mL/min", "10^3/uL": "10*3/uL",
    "K/uL": "10*3/uL", "mEq/L": "meq/L", "IU/L": "U/L", "ppb": "[ppb]",
}  # fmt: skip
# HbA1c in mmol/mol (IFCC) to percent (NGSP): 0.09148 x + 2.152 (Hoelzel 2004, Clin Chem 50:166).
IFCC = (0.09148, 2.152)


class UnitFault(ValueError):
    """A value whose unit is missing, unknown or of another kind; in words, for the line that names the record."""


@cache
def _registry() -> Any:
    try:
        from ucumvert import PintUcumRegistry
    except ImportError:
        raise RunError(INSTALL) from None
    return PintUcumRegistry()


@cache
def _parsed(unit: str) -> Any:
    plain = _THEIRS.get(unit, unit).replace("[IU]", "U").replace("[iU]", "U")
    try:
        return _registry().from_ucum(plain)
    except RunError:
        raise
    except Exception:  # the grammar raises many kinds, all of them the sender's to mend
        raise UnitFault(f"{unit!r} is no UCUM unit") from None


def converted(value: float, ucum: str, unit: str, molar_mass: float | None, is_hba1c: bool = False) -> float:
    """A value in a UCUM unit in a population's unit.

    Parameters
    ----------
    molar_mass : g/mol, of a variable that some report as an amount of substance.

    Raises
    ------
    UnitFault
        No unit, an unknown one, or one of another dimension.
    """
    if not ucum:
        raise UnitFault(f"has no unit; a unit that converts to {unit} is needed")
    if is_hba1c and ucum.replace(" ", "") == "mmol/mol":
        return IFCC[0] * value + IFCC[1]
    found = value * _parsed(ucum)
    wanted = _parsed(_OURS.get(unit, unit))
    if molar_mass is not None and "[substance]" in found.dimensionality and "[time]" not in found.dimensionality:
        found = found * molar_mass * _parsed("g/mol")
    if found.dimensionality != wanted.dimensionality:
        raise UnitFault(f"is in {ucum}, which does not convert to {unit}")
    return float((found / wanted).to_base_units().magnitude)
