"""An endpoint of the protocol joined with the module that measures it, and what its outcome variables look like."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel

from ..models.model import Model, Schedule, find_model, find_part
from .protocol import Endpoint, Protocol

Kind = Literal["continuous", "binary", "count", "time-to-event"]


class LayoutError(ValueError):
    """An endpoint whose outcome cannot be laid out before it is computed."""


class SpliceError(ValueError):
    """An intercurrent event changes treatment where an endpoint cannot follow it."""


@dataclass(frozen=True)
class Measure:
    """One endpoint, ready to be computed: settings read, kind and unit known."""

    endpoint: Endpoint
    kind: Kind
    combine: Literal["mean", "sum"]
    per_visit: bool
    unit: str
    settings: Any
    compute: Callable[[xr.Dataset, Schedule, Any], xr.Dataset]

    @property
    def variable(self) -> str:
        return variable_name(self.endpoint.name)

    @property
    def units(self) -> dict[str, str]:
        """Outcome variables of this endpoint, each with its unit, the value first."""
        name = self.variable
        extra = {"count": {f"{name}_exposure": "day"}, "time-to-event": {f"{name}_event": "1"}}
        return {name: self.unit, **extra.get(self.kind, {})}

    def known_by(self, schedule: Schedule) -> float:
        """Day by which a value of the whole follow-up is known: `by` of the settings, or the end of follow-up."""
        by = getattr(self.settings, "by", None)
        return schedule.duration if by is None else float(by)

    @property
    def parts(self) -> dict[str, str]:
        """What `compute` calls each outcome variable."""
        return {v: v.removeprefix(f"{self.variable}_") if v != self.variable else "value" for v in self.units}


@dataclass(frozen=True)
class Layout:
    """One variable of the outcomes: what the store needs before the first block runs."""

    dims: tuple[str, ...]
    dtype: str
    attrs: Mapping[str, str]


def variable_name(endpoint: str) -> str:
    """The outcome variable of an endpoint: `time-in-range` is kept as `time_in_range`."""
    return endpoint.replace("-", "_")


def read_settings(kind: type[BaseModel], settings: Mapping[str, Any]) -> Any:
    """Settings of a part from a protocol's plain values; lists may stand for tuples, as in the file."""
    return kind.model_validate_json(json.dumps(settings))


def find_measure(endpoint: Endpoint, model: Model) -> Measure:
    """The measure of one endpoint on the outputs of a model."""
    module = find_part("measure", f"{__package__}.endpoints", endpoint.measure)
    settings = read_settings(module.Settings, endpoint.settings)
    return Measure(
        endpoint=endpoint,
        kind=module.KIND,
        combine=module.COMBINE,
        per_visit=getattr(module, "PER_VISIT", False),
        unit=getattr(module, "UNIT", None) or _unit_of(module.reads(settings), model, endpoint.name),
        settings=settings,
        compute=module.compute,
    )


def find_measures(protocol: Protocol) -> tuple[Measure, ...]:
    """The measures of all endpoints, in the order of the protocol."""
    model = _model(protocol)
    return tuple(find_measure(endpoint, model) for endpoint in protocol.endpoints)


def visit_labels(protocol: Protocol) -> list[str]:
    """Labels of the visit dimension: `baseline` where there is a run-in, then the visits."""
    schedule = schedule_of(protocol)
    return [*(["baseline"] if schedule.run_in > 0 else []), *schedule.visit_names]


def outcome_coords(protocol: Protocol) -> dict[str, np.ndarray]:
    """Labels of the dims of the outcomes that are known beforehand: arms and visits, in the order of the protocol."""
    return {
        "arm": np.array([arm.name for arm in protocol.arms]),
        "visit": np.array(visit_labels(protocol)),
    }


def outcome_layout(protocol: Protocol) -> dict[str, Layout]:
    """Every variable of the outcomes: dims (twin, arm[, visit]), dtype and attrs.

    Raises
    ------
    LayoutError, SpliceError
        Two outcomes of one name; a change of arm (`then_as`) that an endpoint cannot follow.
    """
    measures = find_measures(protocol)
    _refuse_unspliceable(protocol, measures)
    layout: dict[str, Layout] = {}
    for measure in measures:
        dims = ("twin", "arm", "visit") if measure.per_visit else ("twin", "arm")
        for name, unit in measure.units.items():
            if name in layout or name in ("status", "failed_at"):
                raise LayoutError(
                    f"two outcomes would be called {name!r}; give endpoint {measure.endpoint.name!r} another name"
                )
            layout[name] = Layout(dims, "float64", _attrs(measure, unit))
    layout["status"] = Layout(("twin", "arm"), "int8", {"units": "1", "label": "status of the twin in the arm"})
    layout["failed_at"] = Layout(("twin", "arm"), "float64", {"units": "day", "label": "when the simulation failed"})
    return layout


def schedule_of(protocol: Protocol) -> Schedule:
    """The schedule of a protocol that is simulated."""
    if protocol.schedule is None:
        raise LayoutError(f"protocol {protocol.name!r} has no schedule; a trial that is simulated needs one")
    return protocol.schedule.schedule()


def _model(protocol: Protocol) -> Model:
    if protocol.model is None:
        raise LayoutError(f"protocol {protocol.name!r} names no model; a trial that is simulated needs one")
    return find_model(protocol.model.name)


def _refuse_unspliceable(protocol: Protocol, measures: tuple[Measure, ...]) -> None:
    """Raise where a subject would change arm and an endpoint has one value for the whole follow-up (see `courses`)."""
    switching = [event.name for event in protocol.intercurrent_events if event.then_as is not None]
    whole = [measure.endpoint.name for measure in measures if not measure.per_visit]
    if switching and whole:
        raise SpliceError(
            f"intercurrent event {switching[0]!r} has 'then_as', which cannot be followed in endpoints with one "
            f"value for the whole follow-up ({', '.join(whole)}); remove 'then_as' or those endpoints"
        )


def _unit_of(outputs: tuple[str, ...], model: Model, endpoint: str) -> str:
    units = {output.name: output.unit for output in model.outputs}
    if not outputs or outputs[0] not in units:
        raise LayoutError(
            f"endpoint {endpoint!r} reads {outputs}, which {model.name!r} does not give; "
            f"its outputs: {', '.join(units)}"
        )
    return units[outputs[0]]


def _attrs(measure: Measure, unit: str) -> dict[str, str]:
    return {
        "units": unit,
        "endpoint": measure.endpoint.name,
        "label": measure.endpoint.label,
        "direction": measure.endpoint.direction,
        "kind": measure.kind,
        "combine": measure.combine,
    }
