"""The short text of a regimen: read, printed, turned into records and back; what is wrong is said with its place."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.dosing import Course, Regimen, RegimenError, parse_regimen, regimen_of

PLACES = {"oral": "gut", "iv": "blood", "": "0"}
amounts = st.floats(1e-3, 1e5).map(lambda v: float(f"{v:.6g}"))
times = st.tuples(st.floats(0.01, 500).map(lambda v: float(f"{v:.5g}")), st.sampled_from(["min", "h", "d", "wk"]))


@st.composite
def regimens(draw):
    courses = []
    for _ in range(draw(st.integers(1, 5))):
        route = draw(st.sampled_from(["oral", "iv", "sc", "im"])) if not courses else None
        if courses and draw(st.booleans()):
            route, over, over_unit = courses[-1].how()
        else:
            route = route or draw(st.sampled_from(["oral", "iv", "sc", "im"]))
            over, over_unit = draw(times) if draw(st.booleans()) else (0.0, "h")
        every, every_unit = draw(times)
        unit, per = draw(st.sampled_from([("mg", ""), ("mg", "m2"), ("ug", "kg"), ("U", ""), ("nmol", "kg")]))
        doses = draw(st.integers(1, 999))
        courses.append(Course(draw(amounts), unit, per, route, over, over_unit, every, every_unit, doses))
    if draw(st.booleans()):
        last = courses[-1]
        courses[-1] = Course(last.amount, last.unit, last.per, *last.how())
    return Regimen(tuple(courses))


@given(regimen=regimens())
@settings(max_examples=200, deadline=None)
def test_a_printed_regimen_is_read_back_as_itself(regimen):
    assert parse_regimen(str(regimen)) == regimen
    assert str(parse_regimen(str(regimen))) == str(regimen)


@given(
    doses=st.lists(
        st.tuples(amounts, st.sampled_from(["oral", "iv"]), st.sampled_from([0, 1, 4]), st.sampled_from([6, 24, 504]),
                  st.integers(2, 60)),
        min_size=1, max_size=5,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_records_of_a_regimen_print_as_that_regimen(doses):
    courses = tuple(Course(a, "mg", "", route, float(over), "h", float(q), "h", n) for a, route, over, q, n in doses)
    events = Regimen(courses).events(PLACES, time_unit="hour")
    back = regimen_of(events, {"gut": "oral", "blood": "iv"}, time_unit="hour")
    again = back.events(PLACES, time_unit="hour")
    for column in ("time", "amt", "rate", "ii", "addl"):
        assert getattr(again, column) == pytest.approx(getattr(events, column), rel=1e-9), column
    assert [c.doses for c in back.courses] == [c.doses for c in courses]


def test_two_courses_become_two_records_one_after_the_other():
    events = parse_regimen("100 mg oral q24h x 7 then 50 mg q12h x 20").events(PLACES, time_unit="hour")
    assert events.time.tolist() == [0, 168] and events.amt.tolist() == [100, 50]
    assert events.ii.tolist() == [24, 12] and events.addl.tolist() == [6, 19] and events.cmt.tolist() == ["gut"] * 2


def test_a_dose_per_surface_is_scaled_and_infused_in_the_models_units():
    regimen = parse_regimen("75 mg/m2 iv over 1 h q21d x 6")
    events = regimen.events(PLACES, time_unit="day", unit="g", bsa=2.0)
    assert events.amt == pytest.approx(0.150) and events.rate == pytest.approx(0.150 * 24) and events.ii[0] == 21
    assert regimen.events(PLACES, time_unit="hour", bsa=1.8).rate == pytest.approx(135.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1 of '': the end, expected an amount"),
        ("-5 mg once", "column 1 .*'-5', expected an amount"),
        ("0 mg once", "column 1 .*'0', expected an amount, a number above 0"),
        ("100 oral q24h x 7", "column 5 .*'oral', expected an amount unit, like mg"),
        ("100 mg orl q24h x 7", r"column 8 .*'orl', expected a route \(oral, iv, sc, im\), an interval"),
        ("100 mg oral over q24h x 7", "column 18 .*expected the duration of the infusion"),
        ("100 mg oral q24 x 7", "column 17 .*'x', expected a time unit: min, h, d or wk"),
        ("100 mg oral q24hours x 7", "expected a time unit"),
        ("100 mg oral q24h", "column 17 .*the end, expected the number of doses"),
        ("100 mg oral q24h x 2.5", "column 20 .*'2.5', expected a whole number of doses"),
        ("100 mg oral q24h x 0", "column 20 .*'0', expected 1 to"),
        ("100 mg oral q24h x 7 than 5 mg once", "column 22 .*'than', expected 'then' or the end"),
        ("100 mg once then 5 mg once", "an interval before 'then'"),
    ],
)
def test_a_text_that_is_no_regimen_is_refused_with_the_place(text, message):
    with pytest.raises(RegimenError, match=message):
        parse_regimen(text)


def test_what_a_regimen_needs_and_is_not_given_is_said():
    with pytest.raises(RegimenError, match="needs the subject's size; give weight or bsa"):
        parse_regimen("2 mg/kg iv q2wk x 4").events(PLACES, time_unit="day")
    with pytest.raises(RegimenError, match="no compartment for the route 'sc'"):
        parse_regimen("2 mg sc q2wk x 4").events(PLACES, time_unit="day")
    with pytest.raises(RegimenError, match="cannot be read in mg"):
        parse_regimen("2 L iv q2wk x 4").events(PLACES, time_unit="day")
    assert np.isclose(parse_regimen("500 ug once").events(PLACES, time_unit="hour").amt[0], 0.5)
