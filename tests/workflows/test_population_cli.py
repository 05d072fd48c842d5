"""`twinarm populations`: the list, and a population learned from a table, from the command to a cohort."""

import json

import numpy as np
import pytest

from twinarm.workflows.cohort_files import read_cohort


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    lines = ["id,age [year],gender,weight [kg],smoking,w"]
    for i in range(400):
        weight = f"{rng.normal(80, 12):.1f}" if i % 9 else ""
        lines.append(f"p{i},{rng.integers(20, 80)},{'FM'[i % 2]},{weight},{'yes' if i % 3 else 'no'},{1 + i % 4}")
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


WORDS = ("--column", "sex=gender", "--level", "sex:F=female", "--level", "sex:M=male", "--weights", "w")
ONLY = ("--only", "age,sex,weight,smoking")


def test_the_list(twinarm):
    code, out, _ = twinarm("populations")
    assert code == 0 and "adult-us" in out
    assert {"adult-us", "child-us"} <= {one["name"] for one in json.loads(twinarm("populations", "--json")[1])}


def test_learned_from_a_table_and_sampled(twinarm, table, tmp_path):
    out = tmp_path / "new" / "my-clinic.yaml"
    code, said, _ = twinarm("populations", "fit", table, "--out", out, *WORDS, *ONLY, "--rows", "age < 75")
    assert code == 0 and "learned 2 numbers, 0 conditions and 2 columns of words" in said
    names = {path.name for path in out.parent.iterdir()}
    kinds = ("curves", "prevalence", "copula", "margins", "demographics")
    assert names == {"my-clinic.yaml", *(f"my-clinic-{kind}.csv" for kind in kinds)}
    assert twinarm("cohort", "sample", out, "--twins", 200, "--out", tmp_path / "c.csv")[0] == 0
    cohort = read_cohort(tmp_path / "c.csv")
    assert cohort["weight"].attrs["units"] == "kg" and float(cohort["weight"].mean()) == pytest.approx(80, abs=4)
    assert float(cohort["age"].max()) < 75 and set(cohort["sex"].values) == {"female", "male"}
    first = out.read_text()
    again = tmp_path / "again" / "my-clinic.yaml"
    said = json.loads(
        twinarm("populations", "fit", table, "--out", again, *WORDS, *ONLY, "--rows", "age < 75", "--json")[1]
    )
    assert again.read_text() == first and said["words"] == ["sex", "smoking"] and said["effective"] < said["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "column id has 400 different words (an identifier?)"),
        (("--only", "age,wait"), "has no column 'wait'; did you mean 'weight'"),
        ((*ONLY, "--weights", "smoking"), "has no column of numbers called 'smoking'"),
        ((*ONLY, "--rows", "age > 100"), "leaves nobody"),
        ((*ONLY, "--rows", "age > 70"), "rows can be used; at least 100 are needed"),
        ((*ONLY, "--towards", "nobody"), "no population is called 'nobody'"),
        ((*ONLY, "--out", "My Clinic.yaml"), "cannot name a population"),
        ((*ONLY, "--out", "clinic.json"), "end it in .yaml"),
    ],
)
def test_what_cannot_be_learned_leaves_2_and_nothing(twinarm, table, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    base = ("--out", "clinic.yaml") if "--out" not in words else ()
    code, out, err = twinarm("populations", "fit", table, *base, *WORDS[:6], *words)
    assert code == 2 and message in err and "Traceback" not in err and out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_no_such_table(twinarm, tmp_path):
    code, _, err = twinarm("populations", "fit", tmp_path / "none.csv", "--out", tmp_path / "c.yaml")
    assert code == 2 and "there is no such file" in err
