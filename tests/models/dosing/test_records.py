"""Records survive a CSV file, and what cannot be carried out is refused with row, column and a way out."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.dosing import (
    Compartment,
    DosingError,
    Layout,
    check_events,
    make_events,
    read_events,
    write_events,
)  # fmt: skip

LAYOUT = Layout((Compartment("gut"), Compartment("blood", "rate", rate="R1")))
number = st.floats(0, 1e6)
record = st.tuples(number, number, st.sampled_from(["0", "1", "2", "gut"]), st.sampled_from([0.0, -1.0, -2.0, 7.25]),
                   st.floats(0.1, 1e4), st.integers(0, 500), st.booleans(), st.floats(-1e3, 1e3))  # fmt: skip


@given(rows=st.lists(record, min_size=1, max_size=12), words=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(rows, words, tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "e.csv"
    rows = sorted(rows)
    time, amt, cmt, rate, ii, addl, is_dose, dv = (list(c) for c in zip(*rows, strict=True))
    dose = np.array(is_dose)
    given_amt = np.where(dose, np.array(amt) + 1.0, 0.0)
    events = make_events(
        time, given_amt, evid=dose.astype(int), cmt=cmt, rate=np.where(dose, rate, 0.0), ii=np.where(dose, ii, 0),
        addl=np.where(dose, addl, 0), dv=dv, id="a b" if words else 7,
        covariates={"WT": np.where(dose, np.nan, dv), "SEX": np.where(dose, "f, m", "male")},
    )  # fmt: skip
    write_events(events, path)
    back = read_events(path)
    for column in ("id", "time", "evid", "amt", "cmt", "rate", "ii", "addl", "ss", "mdv", "dv"):
        assert np.array_equal(getattr(back, column), getattr(events, column), equal_nan=column == "dv"), column
    assert np.array_equal(back.covariates["WT"], events.covariates["WT"], equal_nan=True)
    assert back.covariates["SEX"].tolist() == events.covariates["SEX"].tolist()


BAD = [
    ({"time": [0, 5, 3]}, r"row 3, column TIME: 3 comes after 5 .*sort the rows"),
    ({"amt": [-5, 0, 0], "evid": [1, 0, 0]}, r"row 1, column AMT: -5 is no amount; write a number of at least 0"),
    ({"amt": [5, 0, 0], "evid": 0}, r"row 1, column AMT: 5 on a record that gives nothing \(EVID 0\)"),
    ({"evid": [7, 0, 0]}, r"row 1, column EVID: 7 is no event; write 0 \(observation\), 1 \(dose\)"),
    ({"amt": 5, "cmt": ["3", "gutt", "gut"]}, r"row 1, column CMT: 3 is no compartment .*known: 1 gut, 2 blood"),
    ({"amt": 5, "cmt": ["3", "gutt", "gut"]}, r"row 2, column CMT: gutt .*did you mean 'gut'\?"),
    ({"amt": 5, "rate": 2}, r"column RATE: 2, but compartment 'gut' has no input for an infusion; write RATE 0"),
    ({"amt": 5, "rate": -2, "cmt": "blood"}, r"RATE: -2, but compartment 'blood' has no modelled duration"),
    ({"amt": 5, "rate": -1}, r"RATE: -1, but compartment 'gut' has no modelled rate"),
    ({"amt": 5, "rate": -3}, r"RATE: -3 is no rate; write 0 \(bolus\), a positive rate, -1"),
    ({"rate": [2, 0, 0], "evid": 0}, r"row 1, column RATE: 2 on a record without a dose"),
    ({"rate": [2, 0, 0], "cmt": "blood"}, r"row 1, column AMT: 0 for an infusion \(RATE 2\)"),
    ({"amt": 5, "addl": 3}, r"column II: 0 with 3 further doses \(ADDL\); write the time between them"),
    ({"amt": 5, "addl": -3}, r"column ADDL: -3 is no number of further doses"),
    ({"amt": 5, "ii": -3}, r"column II: -3 is no interval"),
    ({"amt": 5, "ss": 1}, r"column II: 0 for a steady state \(SS 1, AMT 5, RATE 0\); write the interval"),
    ({"amt": 5, "ss": 3, "ii": 1}, r"column SS: 3 is not known"),
    ({"evid": 2, "ss": 1, "ii": 1}, r"column SS: 1 on a record without a dose"),
    ({"evid": 1, "ss": 1, "ii": 6}, r"column AMT: 0 for a steady state of doses every 6"),
    ({"id": [1, 2, 1]}, r"row 3, column ID: 1 stands already at row 1 with other subjects between"),
    ({"time": [0, np.nan, 3]}, r"row 2, column TIME: nan is no time"),
    ({"mdv": 4}, r"column MDV: 4 is neither 0 \(measured\) nor 1"),
]


@pytest.mark.parametrize(("columns", "message"), BAD)
def test_records_that_cannot_be_carried_out_are_refused_in_words(columns, message):
    with pytest.raises(DosingError, match=message):
        check_events(make_events(**{"time": [0, 1, 2], **columns}), LAYOUT)


def test_all_problems_are_said_at_once_in_the_order_of_the_rows():
    events = make_events([0, 5, 3], [-1, 5, 5], evid=1, rate=[0, 2, -9], cmt=["0", "0", "9"])
    with pytest.raises(DosingError) as caught:
        check_events(events, LAYOUT)
    rows = [line.split(",")[0] for line in caught.value.problems]
    assert rows == ["row 1", "row 2", "row 3", "row 3", "row 3"]
    assert str(caught.value).startswith("5 problems in the event records:")


def read(tmp_path, text, **more):
    path = tmp_path / "e.csv"
    path.write_text(text)
    return read_events(path, **more)


def test_a_file_says_row_and_column_of_every_bad_cell(tmp_path):
    with pytest.raises(DosingError) as caught:
        read(tmp_path, "ID,TIME,AMT,ADDL\n1,zero,5,1.5\n1,.,x,\n")
    assert caught.value.problems == (
        "row 2, column TIME: 'zero' is no number; write one, or '.'",
        "row 3, column TIME: nothing; write a number",
        "row 3, column AMT: 'x' is no number; write one, or '.'",
        "row 2, column ADDL: 1.5 is no whole number; write one",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("ID,AMT\n1,2\n", "no column TIME among ID, AMT"),
        ("time,TIME\n1,2\n", "'TIME' stands twice"),
        ("TIME,AMT\n1\n", "row 2: 1 cells where the header has 2"),
        ("TIME,AMT,EVID\n0,5,10101\n", "row 2, column EVID: 10101 with CMT 0 is a code of RxODE"),
    ],
)
def test_a_file_that_cannot_be_a_table_of_records_is_refused(tmp_path, text, message):
    with pytest.raises(DosingError, match=message):
        read(tmp_path, text)


def test_a_short_file_is_read_with_what_nonmem_takes_for_granted(tmp_path):
    events = read(tmp_path, "time,amt,wt,sex\n0,100,70,f\n4,.,.,f\n")
    assert events.evid.tolist() == [1, 0] and events.mdv.tolist() == [1, 0] and events.id.tolist() == [1, 1]
    assert np.isnan(events.covariates["wt"][1]) and events.covariates["sex"].tolist() == ["f", "f"]


def test_an_occasion_column_starts_clock_and_body_anew(tmp_path):
    text = "ID,TIME,AMT,OCC\n1,0,100,1\n1,5,0,1\n1,0,50,2\n1,5,0,2\n"
    with pytest.raises(DosingError, match="name the column that changes as occasion"):
        read(tmp_path, text)
    events = read(tmp_path, text, occasion="OCC")
    assert events.evid.tolist() == [1, 0, 3, 1, 0] and events.row.tolist() == [2, 3, 4, 4, 5]
    with pytest.raises(DosingError, match="no column 'VISIT' to tell occasions by"):
        read(tmp_path, text, occasion="VISIT")
