"""Stands for the rows of a system's block by name, which `compile` writes: one state, one parameter, one input."""

from collections import namedtuple
from typing import Any

from .driver import STATE

_States = namedtuple("_States", ("x",))
_Parameters = namedtuple("_Parameters", ("rate",))
_Inputs = namedtuple("_Inputs", ("dose",))

Y: Any = _States(STATE)
P: Any = _Parameters(STATE + 1)
U: Any = _Inputs(STATE + 2)
