"""A real trial's table through the command line: exit codes, faults, report, and estimates beside other people's."""

import csv
import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from sklearn.linear_model import LogisticRegression

from twinarm.trials.protocol_file import LIBRARY, load_protocol
from twinarm.workflows import analyse, cli
from twinarm.workflows.fits import load_fit
from twinarm.workflows.run_folder import RunFolder

NBSP = "\N{NO-BREAK SPACE}"
PROTOCOL = """\
format: 1
name: small-table
title: A small table
question: Does the drug raise the score?
seed: 3
arms:
  - {name: placebo, label: Placebo, role: control}
  - {name: drug, label: Drug, role: experimental}
endpoints:
  - {name: score, label: Score, measure: continuous, role: primary, direction: higher}
  - {name: falls, label: Falls, measure: count, role: secondary, direction: lower}
  - {name: survival, label: Survival, measure: time-to-event, role: secondary, direction: higher}
estimands:
  - name: score
    endpoint: score
    population: everybody
    summary: difference in means
    none_expected: because the table records none
analyses:
  - {endpoint: score, model: continuous, estimand: score, adjust: [age], decision: {margin: 0, probability: 0.975}}
  - {endpoint: falls, model: count}
  - {endpoint: survival, model: weibull}
subgroups:
  - {label: Old, rule: age > 60}
baseline_table: [age, sex]
data:
  subject: id
  arm: rx
  arms: {p: placebo, d: drug}
  endpoints:
    score: {value: score, unit: points}
  covariates: {age: age, sex: sex}
"""
TABLE = """\
id,rx,score,falls,weeks,time,died,age,sex
1,p,5,0,4,3,1,50,f
2,d,5,2,8,5,0,70,m
3,p,5,1,2,2,1,61,f
4,d,5,0,4,9,1,58,m
5,d,,0,4,1,0,40,
"""


@pytest.fixture
def files(tmp_path):
    """Write a protocol and a table with some text replaced; returns the words that analyse them, and the folder."""

    def write(*pairs, protocol=(), name="table.csv"):
        text, mapped = TABLE, PROTOCOL
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        for old, new in protocol:
            assert old in mapped
            mapped = mapped.replace(old, new)
        (tmp_path / "small.yaml").write_text(mapped)
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        out = tmp_path / "out"
        words = ("analyse", "--data", tmp_path / name, "--protocol", tmp_path / "small.yaml", "--out", out)
        return words, out

    return write


# ---- tables that cannot be analysed


@pytest.mark.parametrize(
    ("table", "protocol", "said"),
    [
        ([("1,p,5", "1,x,5")], [], ["table.csv:2:2: rx: got 'x'; expected an arm: p, d; "]),
        ([("1,p,5", "1,p,high")], [], ["table.csv:2:3: score: got 'high'; expected a number; "]),
        ([("1,p,5", "1,p,1e300")], [], ["table.csv:2:3: score: got '1e300'; expected a number; "]),
        ([("2,d,5", "1,d,5")], [], ["table.csv:3:1: id: got '1'; expected each subject once (first in line 2)"]),
        ([("score,falls", "scores,falls")], [], ["got no column 'score'; expected a column for endpoint 'score'"]),
        ([("age,sex", "years,sex")], [], ["got no column 'age'; expected a column for covariate 'age'"]),
        ([(",50,f", ",fifty,f"), (",70,", ",seventy,")], [], ["subgroup 'Old' with the rule 'age > 60'"]),
        ([("3,p,5,1,2,2,1,61,f", "3,p,5,1,2,2,1,61")], [], ["table.csv:4:1: got 8 cells; expected 9"]),
        ([(",p,", ",d,")], [], ["got no known value in arm 'placebo'; expected one at least"]),
        ([(",5,", ",,")], [], ["score: got no known value in arm 'placebo'"]),
        (
            [("1,p,5", "1,x,high")],
            [],
            ["table.csv:2:2: rx: got 'x'", "table.csv:2:3: score: got 'high'"],
        ),
        (
            [],
            [("score: {", "survival: {value: time, event: died, unit: mg}\n    score: {")],
            ["time: got 'mg'; expected a unit of time"],
        ),
        (
            [("9,1,58", "9,2,58")],
            [("score: {", "survival: {value: time, event: died}\n    score: {")],
            ["table.csv:5:7: died: got '2'; expected 0 (censored) or 1 (event)"],
        ),
        (
            [
                ("3,1,50", "0,1,50"),
                ("5,0,70", "0,0,70"),
                (",2,1,61", ",0,1,61"),
                (",9,1", ",0,1"),
                (",1,0,", ",0,0,"),
            ],
            [("score: {", "survival: {value: time, event: died}\n    score: {")],
            ["survival: every time is 0, so nobody was followed"],
        ),
        ([], [("score: {", "falls: {value: falls}\n    score: {")], ["falls: got no follow-up for endpoint 'falls'"]),
        (
            [("0,4,3", "0,0,3")],
            [("score: {", "falls: {value: falls, exposure: weeks, exposure_unit: week}\n    score: {")],
            ["table.csv:2:5: weeks: got '0'; expected a time above 0"],
        ),
        (
            [("5,0,4,3", "5,0.5,4,3")],
            [("score: {", "falls: {value: falls, exposure: weeks}\n    score: {")],
            ["table.csv:2:4: falls: got '0.5'; expected a count 0, 1, 2, ..."],
        ),
        (
            [],
            [("score: {", "falls: {value: falls, exposure: weeks, exposure_unit: kg}\n    score: {")],
            ["weeks: got 'kg'; expected a unit of time"],
        ),
    ],
)
def test_a_bad_table_leaves_2_one_line_a_fault_and_no_folder(twinarm, files, table, protocol, said):
    words, out = files(*table, protocol=protocol)
    code, printed, err = twinarm(*words)
    assert (code, printed) == (2, "")
    lines = err.splitlines()
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))
    assert not out.exists()


def test_a_word_in_a_column_of_numbers_is_a_fault(twinarm, files):
    rows = "".join(f"{i},{'pd'[i % 2]},{i % 7},0,4,3,1,{i if i != 30 else '3o'},f\n" for i in range(10, 60))
    words, out = files((TABLE.split("\n", 1)[1], rows))
    code, _, err = twinarm(*words)
    assert code == 2 and not out.exists()
    assert err.strip().endswith(
        "got '3o'; expected a number, as in the other lines; correct the table, or leave the cell empty"
    )


def test_a_column_of_names_is_no_covariate(twinarm, files):
    rows = "".join(f"{i},{'pd'[i % 2]},{i % 7},0,4,3,1,person {i},f\n" for i in range(50))
    words, _ = files((TABLE.split("\n", 1)[1], rows), protocol=[("  - {label: Old, rule: age > 60}\n", "  []\n")])
    code, _, err = twinarm(*words)
    assert code == 2 and "got 50 different words; expected numbers, or at most 20 different words" in err


def test_files_that_are_not_there(twinarm, tmp_path):
    code, _, err = twinarm("analyse", "--data", tmp_path / "none.csv", "--protocol", "veteran", "--out", tmp_path / "o")
    assert code == 2 and "none.csv: got no such file; expected a CSV table" in err
    assert len(err.splitlines()) == 1 and not (tmp_path / "o").exists()
    for words in (["--protocol", "veteran"], ["--protocol", "t1d-closed-loop"]):
        code, _, err = twinarm("analyse", *words)
        assert code == 2 and "give the table with --data" in err
    code, _, err = twinarm("analyse", "--data", tmp_path / "none.csv")
    assert code == 2 and "--protocol" in err


def test_a_protocol_without_a_map_of_columns(twinarm, files):
    words, _ = files()
    code, _, err = twinarm(*words[:4], "t1d-closed-loop", *words[5:])
    assert code == 2 and "add 'data:' to the protocol" in err


@pytest.mark.parametrize("table", ["../table.csv", "/table.csv", "a/../../table.csv"])
def test_a_protocol_names_only_tables_beside_it(twinarm, files, table):
    words, _ = files(protocol=[("  subject: id", f"  subject: id\n  table: {table}")])
    code, _, err = twinarm(*words)
    assert code == 2 and f"data.table: got '{table}'; expected a path inside the folder of the protocol" in err


def test_a_folder_of_something_else_is_left_alone(twinarm, files):
    words, out = files()
    out.mkdir()
    (out / "manifest.json").write_text("{}")
    code, _, err = twinarm(*words)
    assert code == 2 and "holds something else; give a new folder with --out" in err
    assert [path.name for path in out.iterdir()] == ["manifest.json"]


def test_a_file_is_no_folder(twinarm, files):
    words, out = files()
    out.write_text("a note")
    code, _, err = twinarm(*words)
    assert code == 2 and "holds something else" in err and out.read_text() == "a note"


# ---- a table without an answer: everybody has the same score


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_an_outcome_that_does_not_vary_leaves_3_with_a_report(twinarm, files, name):
    words, out = files(name=name)
    code, printed, _ = twinarm(*words)
    assert code == 3 and "FAILED" in printed
    text = (out / "report.html").read_text()
    assert "no efficacy statement" in text
    assert "Falls: not analysed, the table has no column mapped to it." in text
    assert "Baseline of the randomised subjects" in text and "Sex: missing" in text
    assert "not analysed: outcome or covariate missing" in text
    women = next(line for line in text.splitlines() if "Sex: f<" in line)
    assert women.endswith("–</td></tr>"), "all of one arm, none of the other: no pooled standard deviation"
    fit = load_fit(RunFolder(out), "score")
    assert np.isnan(fit.decision.probability) and fit.decision.outcome == "not resolved"
    first = json.loads((out / "results.json").read_text())
    assert twinarm(*words)[0] == 3 and json.loads((out / "results.json").read_text()) == first


def test_the_protocol_names_its_own_table(twinarm, files):
    words, out = files(protocol=[("  subject: id", "  subject: id\n  table: table.csv")])
    code, _, _ = twinarm("analyse", *words[3:])
    assert code == 3 and (out / "report.html").exists()


# ---- indomethacin: Elmunzer et al. 2012, N Engl J Med 366:1414


@pytest.fixture(scope="module")
def indo(tmp_path_factory):
    """The shipped table, analysed once by the command; read only."""
    out = tmp_path_factory.mktemp("indo") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["twinarm", "analyse", "--protocol", "indo-rct", "--out", str(out)])
        assert cli.main() == 0
    return RunFolder(out)


def shipped_table():
    with (LIBRARY / "data" / "indo_rct.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.analysis
def test_risks_are_those_of_the_publication(indo):
    posterior = load_fit(indo, "pancreatitis").posterior
    assert 100 * posterior["risk_control"].mean() == pytest.approx(16.9, abs=0.6)
    assert 100 * posterior["risk_experimental"].mean() == pytest.approx(9.2, abs=0.6)
    row = json.loads(indo.results.read_text())["analyses"][0]
    assert (row["subjects"], row["missing"], row["decision"]["outcome"]) == (602, 0, "success")


@pytest.mark.analysis
def test_the_effect_is_that_of_a_logistic_regression(indo):
    """The risk difference by g-computation from scikit-learn's unpenalised fit."""
    rows = shipped_table()
    treated = np.array([row["rx"] == "1_indomethacin" for row in rows], dtype=float)
    risk = np.array([float(row["risk"]) for row in rows])
    y = np.array([row["outcome"] == "1_yes" for row in rows])
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.column_stack([treated, risk]), y)
    either = [model.predict_proba(np.column_stack([np.full(602, arm), risk]))[:, 1].mean() for arm in (0.0, 1.0)]
    effect = load_fit(indo, "pancreatitis").posterior["effect"].values
    # The catalogue's prior, Normal(0, 1) on a log odds ratio with a standard error of 0.26, shrinks by 6 %.
    assert effect.mean() == pytest.approx(0.94 * (either[1] - either[0]), abs=0.1 * effect.std())


@pytest.mark.analysis
def test_the_report_is_whole_and_self_contained(indo):
    text = indo.report.read_text().replace(NBSP, " ")
    for part in ("Analysis of trial data", "Baseline of the randomised subjects", "by subgroup", "16.9", "9.2 ± 1.7"):
        assert part in text, part
    assert "n = 307" in text and "n = 295" in text and "Women, n = 476" in text
    assert "in silico" not in text.lower() and "imulated" not in text, "no word of a simulation"
    assert (
        "<script" not in text and "<link" not in text and "src=" not in text and "url(" not in text.replace("url(#", "")
    )
    assert "twinarm analyse --data indo_rct.csv --protocol protocol.yaml" in text


@pytest.mark.analysis
def test_the_folder_reads_back_and_is_not_sampled_again(indo, twinarm, monkeypatch):
    monkeypatch.setattr(analyse, "fit_all", None)
    before = indo.results.read_bytes()
    table = LIBRARY / "data" / "indo_rct.csv"
    code, _, _ = twinarm("analyse", "--data", table, "--protocol", indo.protocol, "--out", indo.root)
    assert code == 0 and indo.results.read_bytes() == before
    assert load_protocol(indo.protocol) == load_protocol("indo-rct")


# ---- veteran: Kalbfleisch & Prentice 1980


@pytest.mark.analysis
@pytest.mark.reference
def test_veteran_against_lifelines(reference_data: Path, twinarm, tmp_path):
    path = reference_data / "survival_r" / "veteran.csv"
    code, printed, _ = twinarm("analyse", "--data", path, "--protocol", "veteran", "--out", tmp_path / "run", "--json")
    assert code == 0
    row = json.loads(printed.splitlines()[-1])["results"]["analyses"][0]
    table = pd.read_csv(path)
    cox = CoxPHFitter().fit(table[["time", "status", "trt", "karno", "age"]], "time", "status")
    error = cox.standard_errors_["trt"]
    assert np.log(row["effect"]["median"]) == pytest.approx(cox.params_["trt"], abs=0.5 * error)  # six intervals
    assert row["decision"]["outcome"] == "no success"
    text = (tmp_path / "run" / "report.html").read_text().replace(NBSP, " ")
    for arm, label in ((1, "Standard chemotherapy"), (2, "Test chemotherapy")):
        own = table[table["trt"] == arm]
        months = KaplanMeierFitter().fit(own["time"], own["status"]).median_survival_time_ / 30.4375
        said = f"{label}: {own['status'].sum()} events in {len(own)} subjects, median {months:.1f} months"
        assert said in text, said
    assert "At risk" in text and "No earlier therapy, n = 97" in text and "Cell type: smallcell" in text
