"""Dosing: NONMEM event records and short text regimens, carried out with the ensemble engine.

    events = read_events("study.csv", layout, occasion="OCC")
    states = predict(system, layout, events, p).samples

    events = parse_regimen("100 mg oral q24h x 7 then 50 mg q12h x 20").events({"oral": "gut"}, time_unit="hour")
    states = simulate(system, layout, events, p, times=hours).samples

    rules = read_rules([{"name": "low count", "do": "hold", "when": "anc < 1.5"}])
    given = simulate(system, layout, events, p, times=hours, rules=rules).given

`events` holds the records, `checks` refuses what cannot be carried out, `csv_file` reads and writes, `layout` says
where a dose goes, `covariates` what inputs are when, `timeline` turns records into what happens to each twin in order,
`carry` carries all twins through it stage by stage with the engine, `steady_state` finds periodic states, `simulate`
is what to call, and `regimen` reads and prints the short text. `rules` are what doses may obey, `conditions` compiles
their text, and `reactive` makes them events and actions of the system.
"""

from .checks import check_events
from .csv_file import read_events, write_events
from .events import DosingError, Events, make_events
from .layout import Compartment, Layout
from .reactive import Reactive, reactive
from .regimen import Course, Regimen, RegimenError, parse_regimen, regimen_of
from .rules import Give, Hold, Raise, Reduce, RuleError, Stop, read_rules
from .simulate import Given, Simulated, predict, simulate
from .steady_state import PeriodicState, periodic_state

__all__ = [
    "Compartment",
    "Course",
    "DosingError",
    "Events",
    "Give",
    "Given",
    "Hold",
    "Layout",
    "PeriodicState",
    "Raise",
    "Reactive",
    "Reduce",
    "Regimen",
    "RegimenError",
    "RuleError",
    "Simulated",
    "Stop",
    "check_events",
    "make_events",
    "parse_regimen",
    "periodic_state",
    "predict",
    "reactive",
    "read_events",
    "read_rules",
    "regimen_of",
    "simulate",
    "write_events",
]
