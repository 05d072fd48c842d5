"""Dosing: NONMEM event records and short text regimens, carried out with the ensemble engine.

    events = read_events("study.csv", layout, occasion="OCC")
    states = predict(system, layout, events, p).samples

    events = parse_regimen("100 mg oral q24h x 7 then 50 mg q12h x 20").events({"oral": "gut"}, time_unit="hour")
    states = simulate(system, layout, events, p, times=hours).samples

`events` holds the records, `checks` refuses what cannot be carried out, `csv_file` reads and writes, `layout` says
where a dose goes, `timeline` turns records into what a solver does, `steady_state` finds periodic states, `simulate`
runs the engine, and `regimen` reads and prints the short text.
"""

from .checks import check_events
from .csv_file import read_events, write_events
from .events import DosingError, Events, make_events
from .layout import Compartment, Layout
from .regimen import Course, Regimen, RegimenError, parse_regimen, regimen_of
from .simulate import Simulated, predict, simulate
from .steady_state import PeriodicState, periodic_state

__all__ = [
    "Compartment",
    "Course",
    "DosingError",
    "Events",
    "Layout",
    "PeriodicState",
    "Regimen",
    "RegimenError",
    "Simulated",
    "check_events",
    "make_events",
    "parse_regimen",
    "periodic_state",
    "predict",
    "read_events",
    "regimen_of",
    "simulate",
    "write_events",
]
