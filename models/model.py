"""The model contract: what a model declares, and how a block of twins becomes trajectories.

A model is found by its place: `t1d-uva-padova` in a protocol is `models/library/t1d_uva_padova`, whose module holds
one object called `MODEL`. A dotted path (`my_package.my_model`) names a module of the user's own.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, Protocol, runtime_checkable

import xarray as xr
from pydantic import BaseModel

Provenance = Literal["read", "derived", "recalled", "chosen"]


class Status(IntEnum):
    """What became of one twin in one arm; kept as int8, and 0 can never read as a result."""

    NOT_COMPUTED = 0
    COMPLETED = 1
    STEP_LIMIT = 2
    STEP_TOO_SMALL = 3
    NON_FINITE = 4
    CONSTRAINT = 5
    ROOT_NOT_FOUND = 6
    OUT_OF_RANGE = 7
    QUARANTINED = 8

    @property
    def reason(self) -> str:
        return {
            0: "not computed",
            1: "completed",
            2: "solver: step limit reached",
            3: "solver: step too small",
            4: "solver: non-finite state",
            5: "constraint violated",
            6: "root not found",
            7: "outside the plausible range",
            8: "quarantined: the simulation raised an error, hung or ended its process",
        }[int(self)]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model, with where its value comes from.

    `variability` is prose for the report ("log-normal, CV 25 %"); the sampling law itself stands in the population.
    """

    name: str
    unit: str
    typical: float | None
    source: str
    provenance: Provenance
    long_name: str = ""
    variability: str = ""


@dataclass(frozen=True)
class Output:
    """One simulated quantity. Values outside `plausible` end the twin with `Status.OUT_OF_RANGE`."""

    name: str
    unit: str
    long_name: str
    plausible: tuple[float, float] | None = None


@dataclass(frozen=True)
class Schedule:
    """When a twin is followed, in days from randomisation: run-in is negative time, visits are positive."""

    run_in: float
    duration: float
    visits: tuple[float, ...]
    visit_names: tuple[str, ...]

    def windows(self) -> dict[str, tuple[float, float]]:
        """Period of each visit, from the one before it (or randomisation) to its day; the run-in is `baseline`."""
        starts = (0.0, *self.visits[:-1])
        periods = {name: (start, end) for name, start, end in zip(self.visit_names, starts, self.visits, strict=True)}
        return {"baseline": (-self.run_in, 0.0), **periods}


@dataclass(frozen=True)
class Tolerance:
    """What the solver is asked for, relative and absolute, and how many steps a twin may take."""

    rtol: float = 1e-6
    atol: float = 1e-8
    max_steps: int = 5_000_000


@dataclass(frozen=True)
class Conditions:
    """What a simulation needs beside the twins and their treatment."""

    schedule: Schedule
    seed: int
    adherence: float = 1.0
    tolerance: Tolerance = Tolerance()


class NoSettings(BaseModel, frozen=True, extra="forbid"):
    """For a model without settings."""


@runtime_checkable
class Model(Protocol):
    """What every model provides.

    `Treatment` says what an arm may contain and `Settings` what all arms share: frozen pydantic models with
    `extra="forbid"`; a quantity with a unit is a field of type `Quantity["mg"]`-style annotations of `models.units`.
    """

    name: str
    title: str
    time_unit: Literal["minute", "hour", "day", "week"]
    requires: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    limits: str
    Treatment: type[BaseModel]
    Settings: type[BaseModel]

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        """The same twins with every dependent parameter recomputed (identities, calibrated device settings)."""
        ...

    def simulate(self, twins: xr.Dataset, treatment: Any, settings: Any, conditions: Conditions) -> xr.Dataset:
        """Trajectories of a block of twins in one arm.

        Returns
        -------
        Dataset, dims (twin, time) with `time` in days from randomisation for sampled outputs, (twin,) for event
        times and end-of-follow-up facts; `units` on every variable. Always holds `status` (twin, int8, `Status`),
        and `failed_at` (twin, days, NaN where completed). A failed twin keeps its row; its values are NaN.
        """
        ...


class UnknownPart(ValueError):
    """A name in a protocol that is no part of the library and no importable module."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no {kind} is called {name!r}; known: {', '.join(known)}")
        self.kind, self.name, self.known = kind, name, known


def library_names(package: str) -> tuple[str, ...]:
    """Short names (hyphens) of the parts that stand in a package's folder."""
    found = importlib.import_module(package)
    names = (m.name for m in pkgutil.iter_modules(found.__path__) if not m.name.startswith("_"))
    return tuple(sorted(n.replace("_", "-") for n in names))


def find_part(kind: str, package: str, name: str) -> Any:
    """The module behind a short library name, or a module of the user's own by its (dotted) name.

    Raises
    ------
    UnknownPart
        The name is neither in the library nor importable.
    ImportError
        The user's module is there, but something that it imports is not.
    """
    known = library_names(package)
    if name in known:
        return importlib.import_module(f"{package}.{name.replace('-', '_')}")
    if all(part.isidentifier() for part in name.split(".")):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A module that is there but imports something that is not, is a fault of that module.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise UnknownPart(kind, name, known) from error
    raise UnknownPart(kind, name, known)


def find_model(name: str) -> Model:
    """The model of a short library name (`t1d-uva-padova`) or of a user's module that holds `MODEL`."""
    module = find_part("model", f"{__package__}.library", name)
    model: Model = module.MODEL
    return model
