"""Stands for the rows of a system's block by name, which `compile` writes: one state, one parameter, one input."""

from collections import namedtuple
from typing import Any

from .driver import STATE

Y: Any = namedtuple("Y", ("x",))(STATE)
P: Any = namedtuple("P", ("rate",))(STATE + 1)
U: Any = namedtuple("U", ("dose",))(STATE + 2)
