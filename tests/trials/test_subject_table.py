"""Reading a real trial's table: what it becomes, and every fault of a file in one go."""

import gzip

import numpy as np
import pytest

from twinarm.trials.protocol import (
    Analysis,
    Arm,
    DataEndpoint,
    DataMap,
    Endpoint,
    Protocol,
    Subgroup,
)
from twinarm.trials.subject_table import TableError, read_subject_table

GOOD = """id,rx,outcome,time,died,age,sex
1,placebo,no,1,alive,50,f
2,drug,yes,2.5,dead,61,m
3,placebo,yes,3,dead,NA,f
4,drug,no,4,alive,70,x
5,drug,,0,dead,55,m
"""


def protocol(**data):
    mapped = {
        "subject": "id",
        "arm": "rx",
        "arms": {"placebo": "control", "drug": "active"},
        "endpoints": {
            "response": DataEndpoint(value="outcome", levels={"no": 0.0, "yes": 1.0}),
            "survival": DataEndpoint(value="time", event="died", unit="week", event_levels={"alive": 0.0, "dead": 1.0}),
        },
        "covariates": {"age": "age", "gender": "sex"},
        **data,
    }
    return Protocol(
        format=1,
        name="real",
        title="A real trial",
        question="Does it work?",
        seed=1,
        arms=(
            Arm(name="control", label="Control", role="control"),
            Arm(name="active", label="Active", role="experimental"),
        ),
        endpoints=(
            Endpoint(name="response", label="Response", measure="binary", role="primary", direction="higher"),
            Endpoint(name="survival", label="Survival", measure="time-to-event", role="secondary", direction="higher"),
        ),
        estimands=(),
        analyses=(
            Analysis(endpoint="response", model="binary", adjust=("age", "gender")),
            Analysis(endpoint="survival", model="weibull"),
        ),
        data=DataMap(**mapped),
    )


@pytest.fixture
def write(tmp_path):
    def make(text, name="trial.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return make


def faults(path, wanted=None):
    with pytest.raises(TableError) as caught:
        read_subject_table(path, wanted or protocol())
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", ["trial.csv", "trial.csv.gz"])
def test_columns_become_data(write, name):
    data = read_subject_table(write(GOOD, name), protocol()).data
    response = data["response"]
    assert response.treated.tolist() == [0, 1, 1]
    assert response.y.tolist() == [0, 1, 0]
    assert response.n_missing == 2  # one without age, one without outcome
    assert response.arms == ("control", "active")
    assert list(response.covariates) == ["age", "gender=m", "gender=x"]
    assert response.covariates["gender=m"].tolist() == [0, 1, 0]


def test_times_are_converted_to_days(write):
    survival = read_subject_table(write(GOOD), protocol()).data["survival"]
    assert (survival.unit, survival.n_missing) == ("day", 0)
    assert survival.y.tolist() == [7, 17.5, 21, 28, 0]
    assert survival.event.tolist() == [0, 1, 1, 0, 1]


def test_an_editor_s_byte_order_mark_and_blank_lines_do_not_matter(write):
    data = read_subject_table(write("\ufeff" + GOOD.replace("\n", "\r\n") + "\r\n\r\n"), protocol()).data
    assert data["response"].n == 3


def test_every_fault_is_reported_at_once_with_its_place(write):
    text = GOOD.replace("1,placebo,no,1", "1,placbo,maybe,-1").replace("5,drug,,0", "4,drug,,soon")
    lines = faults(write(text))
    assert lines == [
        "trial.csv:2:2: rx: got 'placbo'; expected an arm: placebo, drug; did you mean 'placebo'?",
        "trial.csv:6:1: id: got '4'; expected each subject once (first in line 5); keep one line a subject",
        "trial.csv:2:3: outcome: got 'maybe'; expected no, yes; "
        "correct the table, or add 'maybe' to the levels of the protocol",
        "trial.csv:6:4: time: got 'soon'; expected a number; "
        "correct the table, or say in the protocol's 'levels' which number each word is",
        "trial.csv:2:4: time: got '-1'; expected a time of 0 or more; correct the table, or leave the cell empty",
    ]


def test_the_same_wrong_value_is_one_fault_with_its_rows(write):
    (line,) = faults(write(GOOD.replace("placebo", "plcb")))
    assert line.startswith("trial.csv:2:2: rx: got 'plcb' in 2 lines (2, 4); expected an arm: placebo, drug")


def test_an_unknown_column_names_the_nearest(write):
    (line,) = faults(write(GOOD.replace("outcome", "outcomes")))
    assert line == (
        "trial.csv:1:1: got no column 'outcome'; expected a column for endpoint 'response'; did you mean 'outcomes'?"
    )


def test_an_outcome_that_is_not_binary_is_refused(write):
    endpoints = {"response": DataEndpoint(value="age")}
    (line,) = faults(write(GOOD), protocol(endpoints=endpoints, subject=None))[:1]
    assert "age: got '50'; expected 0 or 1; say in 'levels'" in line


def test_times_without_events_are_refused(write):
    (line,) = faults(write(GOOD), protocol(endpoints={"survival": DataEndpoint(value="time")}))
    assert "got no event column for endpoint 'survival'" in line


def test_a_unit_that_is_no_time_is_refused(write):
    endpoint = DataEndpoint(value="time", event="died", unit="mg", event_levels={"alive": 0.0, "dead": 1.0})
    (line,) = faults(write(GOOD), protocol(endpoints={"survival": endpoint}))
    assert "time: got 'mg'; expected a unit of time" in line


def test_a_covariate_without_a_column_is_refused(write):
    (line,) = faults(write(GOOD), protocol(covariates={"age": "age"}))
    assert "got no column mapped for 'gender'" in line


def test_an_arm_without_an_observed_subject_is_refused(write):
    lines = faults(write(GOOD.replace("placebo", "drug")))
    assert "got no known value in arm 'control'" in lines[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "got 0 lines"),
        ("id,rx\n", "got 1 lines"),
        ("id,rx,id\n1,drug,2\n", "got 2 columns called 'id'"),
        ("id,rx\n1,drug,2\n", "trial.csv:2:1: got 3 cells; expected 2, as in the header"),
    ],
)
def test_a_file_that_is_no_table_is_refused(write, text, fault):
    assert fault in faults(write(text))[0]


def test_files_that_cannot_be_read_are_refused(tmp_path, write):
    assert "no such file" in faults(tmp_path / "none.csv")[0]
    latin = tmp_path / "latin.csv"
    latin.write_bytes("id,rx\n1,Größe\n".encode("latin-1"))
    assert "not UTF-8" in faults(latin)[0]
    not_gzipped = tmp_path / "plain.csv.gz"
    not_gzipped.write_text(GOOD)
    assert "gzipped only if its name ends in .gz" in faults(not_gzipped)[0]


def test_many_faults_are_cut_short(write):
    rows = "".join(f"{i},drug{i},no,1,alive,50,f\n" for i in range(200))
    lines = faults(write("id,rx,outcome,time,died,age,sex\n" + rows))
    assert len(lines) == 51
    assert "faults more; expected none; mend these first" in lines[-1]


def test_a_protocol_without_a_map_of_the_data_is_refused(write):
    bare = protocol().model_copy(update={"data": None})
    assert "add 'data:' to the protocol" in faults(write(GOOD), bare)[0]


def test_infinity_is_not_a_number_of_a_table(write):
    endpoints = {"survival": DataEndpoint(value="time", event="died", event_levels={"alive": 0.0, "dead": 1.0})}
    (line,) = faults(write(GOOD.replace(",2.5,", ",inf,")), protocol(endpoints=endpoints))
    assert "time: got 'inf'; expected a number" in line


def test_values_are_numbers_of_the_analysis(write):
    data = read_subject_table(write(GOOD), protocol()).data
    assert all(column.dtype == np.float64 for column in data["response"].covariates.values())


def test_subjects_hold_arms_outcomes_and_covariates_of_every_row(write):
    subjects = read_subject_table(write(GOOD), protocol()).subjects
    assert subjects["arm"].values.tolist() == ["control", "active", "control", "active", "active"]
    assert subjects["response"].values[:4].tolist() == [0, 1, 1, 0] and np.isnan(subjects["response"].values[4])
    assert subjects["survival"].values.tolist() == [7, 17.5, 21, 28, 0]
    assert (subjects["survival"].attrs["units"], subjects["survival_event"].values.sum()) == ("day", 3)
    assert np.isnan(subjects["covariate_age"].values[2]) and subjects["covariate_age"].dtype == np.float64
    assert subjects["covariate_gender"].values.tolist() == ["f", "m", "f", "x", "m"]


COUNTS = "id,rx,falls,weeks,before\n1,placebo,3,2,4\n2,drug,0,1,0\n3,drug,1,NA,2\n"


@pytest.mark.parametrize(("unit", "days"), [("week", 7.0), ("day", 1.0), ("year", 365.25)])
def test_counts_have_the_exposure_of_their_column(write, unit, days):
    falls = DataEndpoint(value="falls", exposure="weeks", exposure_unit=unit, baseline="before")
    wanted = protocol(endpoints={"response": falls}).model_copy(
        update={"analyses": (Analysis(endpoint="response", model="count", adjust=("baseline",)),)}
    )
    wanted = wanted.model_copy(update={"data": wanted.data.model_copy(update={"covariates": {}})})
    trial = read_subject_table(write(COUNTS), wanted)
    assert trial.data["response"].y.tolist() == [3, 0]
    assert trial.data["response"].exposure.tolist() == [2 * days, days]
    assert trial.data["response"].n_missing == 1  # without exposure
    assert trial.data["response"].covariates["baseline"].tolist() == pytest.approx([np.log(4.5), np.log(0.5)])
    assert trial.subjects["response_exposure"].attrs["units"] == "day"


def test_a_subgroup_whose_rule_does_not_fit_the_table_is_refused(write):
    wanted = protocol().model_copy(update={"subgroups": (Subgroup(label="Men", rule="gender == 1"),)})
    (line,) = faults(write(GOOD), wanted)
    assert "got subgroup 'Men' with the rule 'gender == 1'; expected a rule over 'data: covariates'" in line


def test_a_column_that_two_analyses_lack_is_one_line(write):
    endpoints = {"response": DataEndpoint(value="gone"), "survival": DataEndpoint(value="gone", event="died")}
    first = faults(write(GOOD), protocol(endpoints=endpoints))[0]
    assert "got no column 'gone'; expected" in first and "lines" not in first
