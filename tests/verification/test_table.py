"""Every check of the verification table holds; the table itself says what failed, and where it was made."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.verification import Check, Row, all_checks, records, table
from twinarm.models.verification.row import NotHere


def case(check):
    marks = [pytest.mark.slow] if check.slow else []
    return pytest.param(check, id=f"{check.subject}-{check.name}", marks=marks)


@pytest.mark.parametrize("check", [case(check) for check in all_checks()])
def test_every_figure_keeps_its_limit(check):
    try:
        rows = check.rows()
    except NotHere as reason:
        pytest.skip(str(reason))
    assert rows
    assert [
        f"{row.check}: {row.achieved:.2g}, limit {row.sense} {row.limit:.2g}" for row in rows if not row.passed
    ] == []


doses = st.lists(
    st.builds(
        records.Dose, st.integers(0, 60).map(float), st.floats(0.1, 100.0), st.sampled_from(["depot", "central"]),
        st.sampled_from([0.0, 3.0, 40.0, -2.0]), st.sampled_from([0.5, 4.0, 12.0]), st.integers(0, 5),
    ),
    min_size=1, max_size=6,
)  # fmt: skip
subjects = st.builds(
    records.Subject, st.floats(0.2, 3.0), st.floats(0.01, 0.5), st.floats(0.1, 1.0), st.sampled_from([0.0, 0.5, 30.0]),
    st.sampled_from([0.0, 5.0]), st.floats(0.5, 8.0),
)  # fmt: skip


@given(doses, subjects)
@settings(max_examples=60, deadline=None)
def test_no_regimen_loses_or_doubles_a_dose(doses, subject):
    assert records.imbalance(doses, subject) < records.LIMIT


ROW = Row("sum", "2", 2.0, 3.0, "arithmetic")


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True), ({"achieved": 3.5}, False), ({"achieved": 3.5, "sense": ">="}, True), ({"sense": ">="}, False),
        ({"achieved": float("nan")}, False), ({"achieved": float("inf"), "sense": ">="}, False),
    ],
)  # fmt: skip
def test_a_row_passes_within_its_limit_and_never_without_a_number(change, passed):
    assert dataclasses.replace(ROW, **change).passed is passed


def test_the_table_is_written_with_its_machine_and_what_was_not_run(tmp_path, capsys):
    def missing():
        raise NotHere("no such library")

    rows, not_run = table.run((Check("sums", "add", lambda: [ROW]), Check("sums", "divide_it", missing)))
    rows.append(("sums", dataclasses.replace(ROW, achieved=np.float64("nan"), limit=np.float64(3.0))))
    table.write(tmp_path, rows, not_run)
    table.show(rows, not_run)
    kept = json.loads((tmp_path / "verification.json").read_text())
    assert kept["rows"][0]["passed"] and kept["not_run"] == ["sums, divide it: no such library"]
    assert kept["rows"][1]["achieved"] is None and not kept["rows"][1]["passed"]
    assert {"processor", "python", "numpy", "twinarm"} <= set(kept["machine"])
    assert "| sums | sum | 2 | 2 | <= 3 | pass | arithmetic |  |" in (tmp_path / "verification.md").read_text()
    assert "1 passed, 1 failed, 1 not run" in capsys.readouterr().out


def test_a_check_that_breaks_is_a_failed_row_and_hides_no_other():
    rows, _ = table.run((Check("sums", "divide_it", lambda: [ROW, 1 / 0]), Check("sums", "add", lambda: [ROW])))
    assert [row.passed for _, row in rows] == [False, True]
    assert rows[0][1].check == "divide it" and "ZeroDivisionError" in rows[0][1].reason


def test_the_command_fails_if_a_check_fails(monkeypatch):
    from twinarm.models.verification import __main__ as command

    bad = Check("sums", "add", lambda: [dataclasses.replace(ROW, achieved=9.0)])
    monkeypatch.setattr(command.table, "all_checks", lambda: (bad,))
    monkeypatch.setattr(sys, "argv", ["verification"])
    assert command.main() == 1


def test_the_command_runs_by_itself():
    run = subprocess.run(
        [sys.executable, "-m", "twinarm.models.verification", "--only", "conservation"], capture_output=True, text=True
    )
    assert run.returncode == 0 and "0 failed" in run.stdout
