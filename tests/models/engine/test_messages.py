"""The faults of a first model: each is refused in one line that names the fault and the cure."""

import math

import numpy as np
import pytest

from twinarm.models.engine import Action, Event, Records, System, hazard, solve
from twinarm.models.engine.math import where
from twinarm.models.engine.trace import TraceError
from twinarm.models.model import Tolerance

TWINS = 3


def rates(t, y, p, u):
    return -p.ka * y.gut, p.ka * y.gut - p.ke * y.drug


def system(rhs=rates, states=("gut", "drug"), **more):
    return System("pk", states, ("ka", "ke"), ("rate",), rhs, "hour", **more)


def run(of=None, y0=((100.0, 0.0),) * TWINS, p=((1.0, 0.1),) * TWINS, stop=24.0, records=None, times=None, **more):
    return solve(of or system(), y0, p, 0.0, stop, records, times, **more)


def refused(call, error, told):
    with pytest.raises(error) as found:
        call()
    message = str(found.value)
    assert told in message and "\n" not in message and len(message) < 250, message


@pytest.mark.parametrize(
    ("drug", "told"),
    [
        (lambda t, y, p, u: 1.0 if y.drug > 1.0 else 0.0, "may not branch on a state or parameter (if, and"),
        (lambda t, y, p, u: max(y.drug, 0.0), "write where(condition, a, b), minimum or maximum of twinarm.models"),
        (lambda t, y, p, u: where(0 < y.drug < 1, 1, 0), "a < b < c"),
        (lambda t, y, p, u: where((y.drug > 0) & (y.gut > 0), 1, 0), "write (a) * (b) where both conditions hold"),
        (lambda t, y, p, u: where(y.drug == 0.0, 1.0, 0.0), "may not ask whether two values are equal"),
        (lambda t, y, p, u: math.exp(y.drug), "may not call math or numpy on a state or parameter; use exp, log"),
        (lambda t, y, p, u: np.exp(y.drug), "may not call numpy.exp on a state or parameter; use exp, log"),
        (lambda t, y, p, u: np.where(y.drug > 0, 1, 0), "may not call math or numpy"),
        (lambda t, y, p, u: abs(y.drug), "write maximum(x, -x)"),
        (lambda t, y, p, u: t % 24.0, "write x - m * floor(x / m)"),
        (lambda t, y, p, u: round(t), "use floor"),
        (lambda t, y, p, u: y[1], "reads y by number; read by name, as y.gut"),
        (lambda t, y, p, u: sum(y), "reads y by number"),
        (lambda t, y, p, u: y.drug[0], "may not index a state"),
        (lambda t, y, p, u: y.drug * np.ones(2), "needs single numbers, those of one twin, not ndarray"),
        (lambda t, y, p, u: None, "in the derivative of 'drug', needs single numbers, those of one twin, not NoneType"),
        (lambda t, y, p, u: y.gutt, "reads y.gutt, which is no state; did you mean y.gut? states: gut, drug"),
        (lambda t, y, p, u: y.ka, "reads y.ka, which is no state; write p.ka; states: gut, drug"),
        (lambda t, y, p, u: u.infusion, "reads u.infusion, which is no input; inputs: rate"),
        (lambda t, y, p, u: -ka * y.gut, "reads ka, which is not defined; write p.ka"),  # noqa: F821
        (lambda t, y, p, u: setattr(y, "drug", 0.0), "may not set y.drug; a right-hand side returns derivatives"),
    ],
)
def test_a_fault_in_the_equations(drug, told):
    def rhs(t, y, p, u):
        return -p.ka * y.gut, drug(t, y, p, u)

    refused(lambda: run(system(rhs)), TraceError, told)
    refused(lambda: run(system(rhs)), TraceError, "the right-hand side of 'pk'")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (lambda y: (y.gut,), "2 derivatives, one for each of gut, drug; it returns 1"),
        (lambda y: (y.gut, y.gut, y.gut), "it returns 3"),
        (lambda y: [y.gut, y.gut], "it returns list, no tuple"),
        (lambda y: None, "it returns NoneType, no tuple"),
        (lambda y: y.gut, "it returns one value without the comma of a tuple, (value,)"),
    ],
)
def test_a_wrong_return(result, told):
    refused(lambda: run(system(lambda t, y, p, u: result(y))), TraceError, told)


def test_a_function_of_too_few_arguments():
    refused(lambda: run(system(lambda t, y, p: (0.0, 0.0))), TraceError, "must be a function of (t, y, p, u)")


def test_numbers_of_numpy_are_numbers():
    two, plain = np.float64(2.0), solve(system(), [[1.0, 0.0]], [[2.0, 0.1]], 0.0, 5.0)
    for one in (two, np.float32(2.0), np.int64(2)):
        fixed = system(lambda t, y, p, u, one=one: (-one * y.gut, y.gut * one - p.ke * y.drug))
        assert solve(fixed, [[1.0, 0.0]], [[2.0, 0.1]], 0.0, 5.0).y_end.tobytes() == plain.y_end.tobytes()


def value(t, y, p, u):
    return y.drug - 1.0


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Event("low", lambda t, y, p, u: y.drgu, "up"), "the value of the event 'low' of 'pk' reads y.drgu"),
        (Event("low", lambda t, y, p, u: y.drug < 1.0, "up"), "is a comparison; write a difference"),
        (Event("low", lambda t, y, p, u: (y.drug,), "up"), "needs single numbers, those of one twin, not tuple"),
        (
            Event("low", value, "up", effect=lambda t, y, p, u: {"drgu": 0}),
            "did you mean 'drug'? known: gut, drug, rate",
        ),
        (
            Event("low", value, "up", effect=lambda t, y, p, u: {"ke": 0}),
            "a parameter stays as it is: make it an input",
        ),
        (
            Event("low", value, "up", effect=lambda t, y, p, u: (0, 0)),
            "must return new values by name, as {'gut': 0.0}",
        ),
        (Event("low", value, "up", effect=lambda t, y, p, u: setattr(y, "drug", 0)), "return {'drug': ...}"),
        (hazard("death", "H", "E"), "the value of the event 'death' of 'pk' reads y.H"),
    ],
)
def test_a_fault_in_an_event(event, told):
    refused(lambda: run(system(events=(event,))), TraceError, told)


def test_a_fault_in_an_action():
    for effect, told in (
        (lambda t, y, p, u: {"drug": 0.0}, "must be a function of (t, y, p, u, x)"),
        (lambda t, y, p, u, x: {"dose": x}, "the effect of the action 'dose' of 'pk' changes 'dose'"),
    ):
        refused(lambda effect=effect: run(system(actions=(Action("dose", effect),))), TraceError, told)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Event("low", value, "rising"), "direction is 'rising'; write 'up' or 'down'"),
        (lambda: Event("low", value, "up", hysteresis=-1.0), "hysteresis is -1.0; it must be 0 or more"),
        (lambda: Event("low", value, "up", ends="death"), "ends is 'death'; write Status.COMPLETED"),
        (lambda: system(states=("drug")), "no tuple but 'drug'; one alone needs a comma"),
        (lambda: system(events=Event("low", value, "up")), "no tuple but Event; one alone needs a comma"),
        (lambda: system(states=("gut", "gut")), "'gut' stands twice among the states and inputs of 'pk'"),
        (lambda: system(states=("gut", "rate")), "'rate' stands twice among the states and inputs"),
        (lambda: system().state("gutt"), "'pk' has no 'gutt' among its states: gut, drug"),
        (lambda: system().action_target("dose"), "'pk' has no 'dose' among its actions: none"),
    ],
)
def test_a_fault_in_a_declaration(make, told):
    refused(make, ValueError, told)


def doses(times, target=0, value=1.0, twins=TWINS):
    shape = (twins, len(times))
    return Records(np.tile(np.array(times, float), (twins, 1)), np.full(shape, target), np.full(shape, value))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"p": np.ones((TWINS, 1))}, "p has the shape (3, 1); it needs (twin, parameter) = (3, 2)"),
        ({"p": np.ones((2, TWINS))}, "p has the shape (2, 3); it needs (twin, parameter) = (3, 2)"),
        ({"p": [1.0, 0.1]}, "p has the shape (2,); it needs (twin, parameter) = (3, 2): a row for each twin"),
        ({"p": {"ka": 1.0}}, "p must be an array of numbers (twin, parameter), not dict"),
        ({"y0": np.ones((TWINS, 1))}, "y0 has the shape (3, 1); it needs (twin, state) = (any number, 2)"),
        ({"inputs0": np.ones(TWINS)}, "inputs0 has the shape (3,); it needs (twin, input) = (3, 1)"),
        ({"inputs0": np.ones((2, 1))}, "inputs0 has the shape (2, 1); it needs (twin, input) = (3, 1)"),
        ({"stop": np.ones(2)}, "stop has the shape (2,); give one number, or one for each of 3 twins"),
        ({"stop": -1.0}, "start must not be after stop; twin 0 has 0 and -1"),
        ({"stop": np.nan}, "start must not be after stop; twin 0 has 0 and nan"),
        (
            {"records": doses([2.0, 1.0])},
            "row 0 of the times of records is not sorted; they must be sorted, see Records",
        ),
        ({"records": doses([1.0, np.nan])}, "row 0 of the times of records holds a NaN"),
        ({"records": doses([1.0, 2.0], twins=2)}, "need (twin, record), a row for each of 3 twins"),
        ({"records": doses([1.0, 2.0], target=3)}, "a record of 'pk' names the target 3; known: 0 to 2"),
        ({"records": doses([1.0, 2.0], target="gut")}, "targets of records are numbers such as pk.state('gut')"),
        ({"records": doses([1.0, 2.0], target=0.5)}, "targets of records are numbers such as pk.state('gut')"),
        ({"times": [3.0, 1.0]}, "row 0 of the times of samples is not sorted"),
        ({"times": [[3.0], [1.0]]}, "sample_times has 2 rows for 3 twins"),
        ({"method": "lsoda"}, "method is 'lsoda'; write 'auto', 'tsit5', 'dop853', 'rodas5p'"),
        ({"lanes": 2}, "lanes is 2; write 1, 4 or 8"),
        ({"tolerance": 1e-6}, "tolerance is 1e-06; write Tolerance(rtol=1e-6, atol=1e-8)"),
        ({"tolerance": Tolerance(-1.0)}, "rtol and atol must not be below 0"),
    ],
)
def test_a_fault_in_what_is_given_to_solve(given, told):
    refused(lambda: run(**given), ValueError, told)
