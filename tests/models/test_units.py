"""Units: conversion with a zero of its own, and what cannot be converted."""

import doctest

import pytest

from twinarm.models import units
from twinarm.models.units import UnitsError, affine


@pytest.mark.parametrize(
    ("stated", "unit", "expected"),
    [("kg", "g", (0.0, 1000.0)), ("degC", "degF", (32.0, 1.8)), ("%", "1", (0.0, 0.01)), ("week", "day", (0.0, 7.0))],
)
def test_a_conversion_is_a_zero_and_a_slope(stated, unit, expected):
    assert affine(stated, unit) == pytest.approx(expected)


@pytest.mark.parametrize("stated", ["kg", "hight"])
def test_what_does_not_convert(stated):
    with pytest.raises(UnitsError, match=f"'0 {stated}' cannot be read in cm"):
        affine(stated, "cm")


def test_examples():
    assert doctest.testmod(units).failed == 0
