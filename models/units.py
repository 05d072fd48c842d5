"""Quantities with units: text in files ("5 mg", "26 week"), numbers in a declared unit inside.

pint parses; a kernel never does. `Annotated[float, In("mg")]` is the type of a pydantic field that is written as text
with any compatible unit and read as a float in mg.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema


@cache
def _registry() -> Any:
    import pint  # 0.1 s, only where a unit is parsed

    registry: Any = pint.UnitRegistry()
    registry.define("unit_insulin = [insulin] = U = IU")
    registry.define("month = 30.4375 * day")  # a twelfth of 365.25 days
    registry.define("percent = 0.01 = %")
    return registry


class UnitsError(ValueError):
    """A quantity without a unit, or with one that cannot be converted."""


@cache
def quantity(text: str, unit: str) -> float:
    """The number of `text` ("26 week") in `unit` ("day").

    Raises
    ------
    UnitsError
        No number, no unit, an unknown unit or one of another dimension; write for example "5 mg".

    >>> quantity("26 week", "day")
    182.0
    """
    registry = _registry()
    words = text.strip().split(maxsplit=1)
    try:
        number = float(words[0])
    except (ValueError, IndexError):
        raise UnitsError(f"{text!r} is no quantity; write a number, a space and a unit, like '5 {unit}'") from None
    if len(words) == 1:
        raise UnitsError(f"{text!r} has no unit; write '{text} {unit}' or another unit that converts to {unit}")
    if not -1e300 < number < 1e300:
        raise UnitsError(f"{text!r} is not a finite number; write a number, a space and a unit, like '5 {unit}'")
    try:
        return float(registry.Quantity(number, words[1]).to(unit).magnitude)
    except Exception as error:  # pint raises many kinds, all of them the user's to mend
        raise UnitsError(f"{text!r} cannot be read in {unit}: {error}") from None


def affine(stated: str, unit: str) -> tuple[float, float]:
    """Zero and slope with which numbers in one unit become those in another: zero + slope * number.

    Raises
    ------
    UnitsError
        An unknown unit, or two of other dimensions.

    >>> affine("kg", "g")
    (0.0, 1000.0)
    """
    zero = quantity(f"0 {stated}", unit)
    return zero, quantity(f"1 {stated}", unit) - zero


@dataclass(frozen=True)
class In:
    """Pydantic annotation: text with a unit in the file, a float in `unit` in the program."""

    unit: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.str_schema()
        return core_schema.with_info_before_validator_function(
            self._parse, handler(source), json_schema_input_schema=text
        )

    def _parse(self, value: Any, info: core_schema.ValidationInfo) -> float:
        from_file = bool(info.context and info.context.get("from_file"))
        if isinstance(value, float) and not from_file:
            return value  # a protocol built in Python or read back: already in the field's own unit
        if isinstance(value, str):
            try:
                return quantity(value, self.unit)
            except UnitsError as error:
                raise PydanticCustomError("quantity", "{reason}", {"reason": str(error)}) from None
        raise PydanticCustomError(
            "quantity",
            "{value} has no unit; write it as text, like '{value} {unit}'",
            {"value": repr(value), "unit": self.unit},
        )


Days = Annotated[float, In("day")]
