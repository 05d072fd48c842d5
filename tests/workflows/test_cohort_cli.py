"""`twinarm cohort`: files with units, what is refused before anything is written, and the pages."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from twinarm.cohorts import load_population, screen
from twinarm.cohorts.screening import screened
from twinarm.workflows.cohort_files import read_cohort, read_people, write_blocks, write_cohort
from twinarm.workflows.run_folder import RunError


@pytest.fixture(scope="module")
def adults():
    return screen(load_population("adult-us"), 300, 3).cohort


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".zarr"])
def test_a_cohort_comes_back_with_its_units(adults, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "new" / f"c{suffix}"
    write_cohort(out, adults)
    back = read_cohort(out)
    assert set(back.data_vars) == set(adults.data_vars)
    for name, values in adults.data_vars.items():
        assert np.array_equal(back[name].values, values.values), name
        assert back[name].attrs["units"] == values.attrs["units"], name
    assert np.array_equal(back["twin"].values, adults["twin"].values)
    assert [path.name for path in out.parent.iterdir()] == [out.name], "nothing half-written is left"
    if suffix != ".csv":
        assert back["weight"].attrs["source"] and back.attrs["population"] == "adult-us"


def test_sample(twinarm, tmp_path):
    code, out, _ = twinarm("cohort", "sample", "toy-people.yaml", "--twins", 20, "--out", tmp_path / "c.csv")
    assert code == 0 and "wrote 20 twins" in out
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0].split(",") == ["twin", "base [point]", "slope [point/day]", "effect [point/mg]", "sex"]
    assert len(lines) == 21
    assert twinarm("cohort", "sample", "toy-people.yaml", "--twins", 20, "--out", tmp_path / "c.zarr")[0] == 0


def test_sample_of_those_who_meet_criteria(twinarm, tmp_path):
    words = ("cohort", "sample", "adult-us", "--twins", 50, "--where", "bmi > 45", "--where", "sex == 'male'")
    code, out, _ = twinarm(*words, "--out", tmp_path / "c.csv")
    assert (
        code == 0 and re.search("effective sample size (49|50) of 50", out) and "drawn from the conditional law" in out
    )
    cohort = read_cohort(tmp_path / "c.csv")
    assert (cohort["bmi"] > 45).all() and (cohort["sex"] == "male").all()
    said = json.loads(twinarm(*words, "--out", tmp_path / "d.csv", "--json")[1])
    assert 0.005 < said["prevalence"] < 0.03 and said["missed"] < 0.02
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "d.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody", "--out", "d.csv"), "no population is called 'nobody'"),
        (("adult-us", "--out", "d.txt"), "has the suffix '.txt'; end it in .csv or .parquet or .zarr"),
        (("adult-us", "--out", "there.csv"), "there.csv is already there"),
        (("adult-us", "--out", "there.csv/d.csv"), "no folder that can be written to"),
        (("adult-us", "--out", "d.csv", "--where", "agee > 3"), "did you mean 'age'"),
        (("adult-us", "--out", "d.csv", "--demographics", "mars"), "'mars' is no .csv file and no target"),
        (
            ("adult-us", "--out", "d.csv", "--demographics", "plan.csv"),
            "there is no file plan.csv; give its path from the working",
        ),
        (("t1d-public-30", "--out", "d.csv", "--quota"), "has no demographics"),
        (("adult-us", "--out", "d.csv", "--population-draws", "2"), "states no uncertain parameters"),
        (("adult-us", "--out", "d.csv", "--where", "age > 90"), "hardly any twin of adult-us meets 'age > 90'"),
        (("adult-us", "--out", "d.csv", "--where", "age > 70 and age < 20"), "'age > 70' and 'age < 20' together"),
    ],
)
def test_what_cannot_be_sampled_leaves_2_and_nothing(twinarm, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("kept")
    code, out, err = twinarm("cohort", "sample", *words, "--twins", 10)
    assert code == 2 and message in err and "Traceback" not in err and out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
    assert (tmp_path / "there.csv").read_text() == "kept"


def test_a_target_of_demographics_and_a_quota(twinarm, tmp_path):
    words = ("cohort", "sample", "adult-us", "--twins", 1000, "--demographics", "eu27-2023", "--quota")
    assert twinarm(*words, "--out", tmp_path / "eu.csv")[0] == 0
    cohort = read_cohort(tmp_path / "eu.csv")
    assert float((cohort["sex"] == "female").mean()) == pytest.approx(0.511, abs=0.01)
    assert float((cohort["age"] >= 65).mean()) == pytest.approx(0.262, abs=0.01)


def test_draws_of_the_parameters_are_written_one_after_the_other(twinarm, tmp_path):
    text = (Path(__file__).parent / "parts" / "toy-people.yaml").read_text(encoding="utf-8")
    doubt = "{name: doubt, label: d, unit: '1', source: t, provenance: chosen, normal: {mean: 0, sd: 1}}"
    (tmp_path / "doubted.yaml").write_text(text + f"uncertain: {{variables: [{doubt}]}}\n", encoding="utf-8")
    words = ("cohort", "sample", tmp_path / "doubted.yaml", "--twins", 20, "--population-draws", 3)
    code, out, _ = twinarm(*words, "--out", tmp_path / "c.csv")
    assert code == 0 and "wrote 60 twins" in out
    cohort = read_cohort(tmp_path / "c.csv")
    assert cohort["population_draw"].values.tolist() == [0.0] * 20 + [1.0] * 20 + [2.0] * 20
    assert cohort["twin"].values.tolist() == 3 * list(range(20)) and np.unique(cohort["doubt"]).size == 3


def test_what_is_written_in_blocks_is_what_is_written_at_once(tmp_path):
    adults = load_population("adult-us")
    whole = screen(adults, 25_000, 3).cohort[["age", "sex", "sbp", "CYP2D6_genotype"]]
    for suffix in (".zarr", ".csv"):
        blocks = (block.cohort[list(whole.data_vars)] for block in screened(adults, 25_000, 3))
        write_blocks(tmp_path / f"blocks{suffix}", blocks, 25_000)
        back = read_cohort(tmp_path / f"blocks{suffix}")
        assert np.array_equal(back["twin"].values, whole["twin"].values)
        for name in whole.data_vars:
            assert np.array_equal(back[name].values, whole[name].values), name


def test_parquet_without_pyarrow_says_how_to_install_it(twinarm, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = twinarm("cohort", "sample", "toy-people.yaml", "--twins", 5, "--out", tmp_path / "c.parquet")
    assert code == 2 and "pip install 'twinarm[parquet]'" in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


TARGETS = """
format: 1
name: younger
source: chosen for tests
targets:
  - {variable: age, unit: year, mean: 40}
  - {variable: height, unit: m, mean: 2.2}
"""


def test_calibrate(twinarm, adults, tmp_path):
    write_cohort(tmp_path / "c.csv", adults)
    (tmp_path / "t.yaml").write_text(TARGETS)
    words = ("cohort", "calibrate", tmp_path / "c.csv", tmp_path / "t.yaml", "--out")
    code, out, err = twinarm(*words, tmp_path / "w.csv")
    assert code == 0 and "effective sample size" in out
    assert "height mean is not reached" in err and "age mean" not in err
    weighted = read_cohort(tmp_path / "w.csv")
    assert np.average(weighted["age"], weights=weighted["calibration_weight"]) == pytest.approx(40)
    said = json.loads(twinarm(*words, tmp_path / "s.zarr", "--select", "--json")[1])
    selected = read_cohort(tmp_path / "s.zarr")
    assert said["effective"] == selected.sizes["twin"] < 300
    assert selected.attrs["calibrated_to"] == "younger"
    code, _, err = twinarm(*words, tmp_path / "w.csv")
    assert code == 2 and "already there" in err
    (tmp_path / "t.yaml").write_text(TARGETS.replace("variable: age", "variable: agee"))
    code, _, err = twinarm(*words, tmp_path / "x.csv")
    assert code == 2 and "did you mean 'age'" in err and not (tmp_path / "x.csv").exists()


def test_calibrate_says_when_the_result_rests_on_one_twin(twinarm, tmp_path):
    x = np.random.default_rng(1).standard_normal(1000)
    write_cohort(tmp_path / "c.csv", xr.Dataset({"x": ("twin", x, {"units": "kg"})}, {"twin": np.arange(1000)}))
    for mean, is_said in ((0.5, False), (2.0, True)):
        head = "format: 1\nname: heavy\nsource: chosen for tests\ntargets:\n"
        (tmp_path / "t.yaml").write_text(f"{head}  - {{variable: x, unit: kg, mean: {mean}}}\n")
        out = tmp_path / f"{mean}.csv"
        code, _, err = twinarm("cohort", "calibrate", tmp_path / "c.csv", tmp_path / "t.yaml", "--out", out)
        largest = float(read_cohort(out)["calibration_weight"].max())
        assert code == 0 and (f"one twin counts {largest:.0f} times; draw more twins near" in err) == is_said


def test_calibrate_to_a_simulated_baseline(twinarm, tmp_path):
    write_cohort(tmp_path / "c.csv", screen(load_population("t1d-adults"), 150, 2).cohort)
    target = "{variable: baseline_mean_glucose, unit: mg/dL, mean: 165}"
    (tmp_path / "t.yaml").write_text(f"format: 1\nname: trial\nsource: chosen for tests\ntargets:\n  - {target}\n")
    words = ("cohort", "calibrate", tmp_path / "c.csv", tmp_path / "t.yaml", "--out", tmp_path / "w.csv")
    code, out, err = twinarm(*words, "--simulate", "t1d-closed-loop")
    assert code == 0 and "baseline_mean_glucose mean" in out, err
    weighted = read_cohort(tmp_path / "w.csv")
    mean = np.average(weighted["baseline_mean_glucose"], weights=weighted["calibration_weight"])
    assert mean == pytest.approx(165) and weighted["baseline_cv"].attrs["units"] == "percent"
    for protocol, message in (("docetaxel-dose", "has no run-in"), ("nothing", "got 'nothing'; expected a protocol")):
        code, _, err = twinarm(*words[:-1], tmp_path / "x.csv", "--simulate", protocol)
        assert code == 2 and message in err and "Traceback" not in err


def people_file(path, cohort, **changed):
    """A table of people with other names and units, one weight each."""
    lines = ["age_y,gender,height [m],weight_kg,mec"]
    for i in range(cohort.sizes["twin"]):
        row = {name: cohort[name].values[i] for name in ("age", "sex", "height", "weight")} | changed
        lines.append(
            f"{row['age']:g},{str(row['sex'])[0]},{float(row['height']) / 100:.3f},{row['weight']:.1f},{1 + i % 3}"
        )
    path.write_text("\n".join(lines) + "\n")


NAMED = ("--column", "age=age_y", "--column", "sex=gender", "--column", "weight=weight_kg")
LEVELS = ("--level", "sex:f=female", "--level", "sex:m=male")


def test_compare_writes_a_page(twinarm, adults, tmp_path):
    pytest.importorskip("sklearn")
    write_cohort(tmp_path / "c.csv", adults)
    people_file(tmp_path / "p.csv", screen(load_population("adult-us"), 300, 9).cohort)
    words = ("cohort", "compare", tmp_path / "c.csv", tmp_path / "p.csv", *NAMED, *LEVELS, "--weights", "mec")
    code, out, err = twinarm(*words, "--out", tmp_path / "c.html")
    assert code == 0, err
    assert "area under the curve" in out
    page = (tmp_path / "c.html").read_text()
    assert "Standardised mean differences" in page and "fig-margin-height" in page and "<svg" in page
    assert all(f"fig-{kind}" in page for kind in ("curve", "importance", "love", "correlations", "pair-"))
    assert "http://" not in page.replace("http://www.w3.org", "")
    more = ("--json", "--rows", "age_y >= 30", "--leave-out", "weight")
    said = json.loads(twinarm(*words, "--out", tmp_path / "d.html", *more)[1])
    assert 0.4 < said["auc"] < 0.8 and said["max_ks"] < 0.4
    assert "height" in said["importance"] and "weight" not in said["importance"]
    height = read_people(tmp_path / "p.csv", {}, {"height": "cm"})["height"]
    assert 140 < float(height.mean()) < 190, "metres became centimetres"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--column", "age=years"), "has no column years; it has"),
        (("--leave-out", "heigth"), "has no such variable; did you mean 'height'?"),
        (("--column", "agee=age_y"), "there is no variable agee"),
        (("--column", "age"), "not of the form VARIABLE=COLUMN"),
        ((*NAMED, "--level", "sex:w=female"), "sex is never 'w'; it is f, m"),
        ((*NAMED, "--weights", "mecc"), "no column of numbers called 'mecc'"),
        ((*NAMED, "--rows", "age_y > "), "is no expression"),
        ((*NAMED, "--rows", "age_y + 1"), "p.csv: it is not true or false; write a comparison"),
        ((*NAMED, "--rows", "age_y > 200"), "leaves nobody"),
        ((*NAMED, "--rows", "years > 20"), "no variable is called 'years'"),
    ],
)
def test_people_that_cannot_be_read_leave_2(twinarm, adults, tmp_path, words, message):
    write_cohort(tmp_path / "c.csv", adults)
    people_file(tmp_path / "p.csv", adults)
    code, _, err = twinarm(
        "cohort", "compare", tmp_path / "c.csv", tmp_path / "p.csv", *words, "--out", tmp_path / "x.html"
    )
    assert code == 2 and message in err and "Traceback" not in err
    assert not (tmp_path / "x.html").exists()


def test_tables_with_faults_name_the_line(tmp_path):
    (tmp_path / "p.csv").write_text("age,height [kg]\n40,170\nold,180\n" + "50,160\n" * 20)
    with pytest.raises(ValueError, match=r"p\.csv:3:1: age: got 'old'"):
        read_cohort(tmp_path / "p.csv")
    with pytest.raises(RunError, match="column height is in kg, which does not convert to cm"):
        read_people(tmp_path / "p.csv", {}, {"height": "cm"})
    for name, message in (("none.csv", "there is no such file"), ("p.txt", "has the suffix '.txt'")):
        (tmp_path / "p.txt").write_text("x")
        with pytest.raises(RunError, match=message):
            read_cohort(tmp_path / name)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("4,1", "5,2", "4,3"), "column twin has 4 in 2 rows"),
        (("4,1", ",2", "5,3"), "column twin is missing in 1 of 3 rows"),
        (("4,1", "4.5,2", "5,3"), "column twin holds 4.5"),
    ],
)
def test_ids_that_are_none(twinarm, tmp_path, rows, said):
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["twin,x [kg]", *rows]))
    with pytest.raises(RunError, match=rf"p\.csv: {said}; give every row a whole number of its own"):
        read_cohort(path)
    code, _, err = twinarm("cohort", "represent", path, "--target", "us")
    assert code == 2 and said in err and len(err.splitlines()) == 1


def test_ids_of_parquet_are_held_to_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    write_cohort(tmp_path / "p.parquet", xr.Dataset({"x": ("twin", np.ones(3))}, {"twin": [7, 3, 7]}))
    with pytest.raises(RunError, match=r"p\.parquet: column twin has 7 in 2 rows"):
        read_cohort(tmp_path / "p.parquet")


def test_a_missing_word_of_parquet_is_missing(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"sex": ["male", None]}), tmp_path / "p.parquet")
    assert read_cohort(tmp_path / "p.parquet")["sex"].values.tolist() == ["male", ""]


def test_two_columns_of_one_variable_are_refused(tmp_path):
    (tmp_path / "p.csv").write_text("weight [kg],weight [lb],age\n70,154.3,40\n80,176.4,50\n")
    with pytest.raises(RunError, match=r"p\.csv has two columns of weight: weight \[kg\] and weight \[lb\]; remove"):
        read_people(tmp_path / "p.csv", {}, {"weight": "kg"})
    assert read_people(tmp_path / "p.csv", {}, {"age": "year"})["age"].values.tolist() == [40, 50]


def test_words_may_be_many(tmp_path):
    words = np.array([f"*{i}/*{i + 1}" for i in range(60)])
    write_cohort(tmp_path / "c.csv", xr.Dataset({"genotype": ("twin", words)}, {"twin": np.arange(60)}))
    assert read_cohort(tmp_path / "c.csv")["genotype"].values.tolist() == words.tolist()


def test_represent(twinarm, adults, tmp_path):
    write_cohort(tmp_path / "c.csv", adults)
    words = ("cohort", "represent", tmp_path / "c.csv", "--target")
    code, out, _ = twinarm(*words, "us-adults", "--precision", "0.25")
    assert code == 0 and "takes 62 twins of a group" in out and "too few" in out and "nh_white" in out
    assert json.loads(twinarm(*words, "us-adults", "--json")[1])["groups"][0]["group"] == "female"
    code, _, err = twinarm(*words, "mars", "--out", tmp_path / "r.html")
    assert code == 2 and "known: us-adults" in err and not (tmp_path / "r.html").exists()
    assert twinarm(*words, "us-adults", "--out", tmp_path / "r.html")[0] == 0
    page = (tmp_path / "r.html").read_text()
    assert "Whom c.csv represents" in page and "fig-shares" in page and "fewer than the 385 twins" in page


def test_privacy_leaves_3_when_people_were_copied(twinarm, tmp_path):
    draw = np.random.default_rng(1)
    files = {}
    # Of 2,000 people on each side the limit of 0.55 is more than five standard errors from chance.
    for name, count in (("training", 2000), ("held", 2000), ("twins", 300)):
        values = draw.normal(size=(count, 3))
        columns = {f"x{i}": ("twin", column, {"units": "mm"}) for i, column in enumerate(values.T)}
        files[name] = tmp_path / f"{name}.csv"
        write_cohort(files[name], xr.Dataset(columns, {"twin": np.arange(count)}))
    code, out, _ = twinarm("cohort", "privacy", files["twins"], files["training"], files["held"])
    assert code == 0 and "membership inference: area 0." in out
    for name, said in (("twins", "membership inference"), ("training", "Do not release this cohort")):
        page = tmp_path / f"{name}.html"
        twinarm("cohort", "privacy", files[name], files["training"], files["held"], "--out", page)
        assert said.lower() in page.read_text().lower() and "fig-distances" in page.read_text()
    code, out, err = twinarm("cohort", "privacy", files["training"], files["training"], files["held"])
    assert code == 3 and "2000 twins are identical" in out and "do not release" in err
    assert twinarm("cohort", "privacy", files["twins"], tmp_path / "none.csv", files["held"])[0] == 2


PATIENTS = """age [year],sex,height [m],body [lb],sbp
71,f,1.60,150,130
64,m,1.75,180,
58,m,1.80,200,400
45,w,1.70,165,120
"""
AS_COHORT = ("--column", "weight=body", "--level", "sex:f=female", "--level", "sex:m=male")


def test_patients_come_in_with_units_converted(twinarm, tmp_path):
    (tmp_path / "p.csv").write_text(PATIENTS)
    words = ("cohort", "import", tmp_path / "p.csv", "--like", "adult-us", *AS_COHORT, "--out", tmp_path / "c.csv")
    code, out, err = twinarm(*words)
    assert code == 2 and not (tmp_path / "c.csv").exists()
    for line in (
        "line 3: sbp is missing",
        "line 5: sex is 'w'; adult-us has female, male",
        "--leave-out",
    ):
        assert line in err
    code, out, err = twinarm(*words, "--leave-out")
    assert code == 0 and "4 rows read, 2 left out" in out and "line 5" in err
    cohort = read_cohort(tmp_path / "c.csv")
    assert cohort["height"].values.tolist() == pytest.approx([160, 180]) and cohort["height"].attrs["units"] == "cm"
    assert cohort["weight"].values.tolist() == pytest.approx([68.04, 90.72], abs=0.01)
    assert cohort["sex"].values.tolist() == ["female", "male"] and cohort["twin"].values.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (PATIENTS.replace("[m]", "[kg]"), AS_COHORT, "column height is in kg, which does not convert to cm"),
        (PATIENTS.replace("71,f", "old,f"), AS_COHORT, "p.csv:2:1: age [year]: got 'old'"),
        (PATIENTS.replace("sex", "gender"), ("--column", "sex=sexe"), "has no column sexe"),
        ("a,b\n1,2\n", (), "p.csv has no variable of adult-us, which has age, sex,"),
        (PATIENTS, ("--column", "sex=sbp"), "p.csv: sex holds words in adult-us, and not here; recode the column"),
    ],
)
def test_patients_that_cannot_be_read_leave_2(twinarm, tmp_path, text, words, message):
    (tmp_path / "p.csv").write_text(text)
    code, _, err = twinarm(
        "cohort", "import", tmp_path / "p.csv", "--like", "adult-us", *words, "--out", tmp_path / "c.csv"
    )
    assert code == 2 and message in err and "Traceback" not in err
    assert not (tmp_path / "c.csv").exists()
