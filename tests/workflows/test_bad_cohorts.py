"""What a new user gets wrong with a population or table of their own: one clear line, exit code 2, nothing written."""

import pytest

BASE = """format: 1
name: mine
title: My people
period: "2024"
method: drawn for a test
limits: a test
sources:
  - {citation: nobody, licence: none}
based_on:
  population: adult-us
  keep: [height, weight, creatinine, egfr]
"""
ABOUT = "unit: mg, label: x, source: s, provenance: chosen"


def dose(law):
    return BASE + f"independent:\n  - {{name: dose, {ABOUT}, {law}}}\n"


def linked(pairs):
    variables = "".join(f"      - {{name: {n}, {ABOUT}, normal: {{mean: 0, sd: 1}}}}\n" for n in "abc")
    return BASE + f"linked:\n  - name: three\n    kind: spearman\n    pairs: {pairs}\n    variables:\n{variables}"


def joint(covariance):
    variables = "".join(f'      - {{name: {n}, label: x, unit: "1"}}\n' for n in "uv")
    return BASE + (
        f"joint:\n  - name: pk\n    source: s\n    provenance: chosen\n    mean: [0, 0]\n    covariance: {covariance}\n"
        f"    variables:\n{variables}"
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (dose("normal: {mean: 5, sd: -1}"), "13:", "sd is -1; it must be above 0"),
        (dose('normal: {mean: 5, sd: "height - 900"}'), "", "dose: sd 'height - 900' is -7"),
        (dose("lognormal: {median: 5, cv: -0.2}"), "13:", "cv: got -0.2; input should be greater than 0"),
        (dose("lognormal: {median: -5, cv: 0.2}"), "13:", "median is -5; it must be above 0"),
        (dose("bernoulli: {probability: 1.4}"), "13:", "probability is 1.4; it must lie between 0 and 1"),
        (dose('bernoulli: {probability: "height / 100"}'), "", "it must lie between 0 and 1"),
        (dose('normal: {mean: "5 * wieght", sd: 1}'), "13:", "reads 'wieght', which is not drawn before it"),
        (dose("gausian: {mean: 5, sd: 1}"), "13:", "gausian: is no field here"),
        (linked("[[a, b, 0.9], [b, c, 0.9], [a, c, -0.9]]"), "13:", "cannot all hold (not positive definite)"),
        (linked("[[a, b, 1.2]]"), "15:", "got 1.2; input should be less than 1"),
        (linked("[[a, x, 0.2]]"), "13:", "correlates 'x', which is no variable of three"),
        (joint("[[1, 2], [2, 1]]"), "13:", "not symmetric and positive definite"),
        (joint("[[1, 0]]"), "13:", "needs a mean of 2 numbers and a covariance of as many rows and columns"),
        (BASE.replace("egfr]", "eGFR]"), "11:", "'eGFR' is no variable of adult-us"),
        (BASE.replace("creatinine, ", ""), "11:", "lacks creatinine, which egfr reads; keep it too"),
        (BASE + "where: [egfr < 30, egfr > 90]\n", "", "no twin of mine meets 'egfr < 30' and 'egfr > 90' together"),
        (BASE + "where: [age > 130]\n", "", "hardly any twin of mine meets 'age > 130'"),
        (
            BASE + "plausibility:\n  - {rule: egfr > 1000, reason: too low}\n",
            "",
            "turned away as implausible: 'too low'",
        ),
        (BASE + "plausibility:\n  - {rule: egfr + 1, reason: x}\n", "", "is not true or false; write a comparison"),
        ("", "1:", "got an empty file; expected a population"),
        ("a: [1, 2\n", "2:", "got what is not YAML"),
    ],
)
def test_a_population_with_a_fault(twinarm, tmp_path, text, place, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    out = tmp_path / "c.csv"
    code, shown, err = twinarm("cohort", "sample", path, "--twins", 20, "--out", out)
    assert code == 2 and said in err and shown == "" and "Traceback" not in err
    if place:
        assert f"{path}:{place}" in err
    assert len(err.splitlines()) <= 2 and not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "bmi > 20 and bmi < 19"), "no twin of adult-us meets 'bmi > 20' and 'bmi < 19' together"),
        (("--where", "bmii > 20"), "no variable is called 'bmii'; did you mean 'bmi'?"),
        (("--where", "sex > 3"), "words can only be compared"),
        (("--where", "sex == 1"), "a word is compared with a number"),
        (("--where", "__import__('os')"), "is not allowed"),
    ],
)
def test_criteria_with_a_fault(twinarm, tmp_path, words, said):
    code, _, err = twinarm("cohort", "sample", "adult-us", "--twins", 20, "--out", tmp_path / "c.csv", *words)
    assert code == 2 and said in err and len(err.splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age,sex,height [kg]\n40,male,170\n", "column height is in kg, which does not convert to cm"),
        ("age,sex,height [hight]\n40,male,170\n", "column height is in hight, which does not convert to cm"),
        ("age,sex,height\n400,male,170\n", "line 2: age outside 0 to 120 years"),
        ("age,sex,height [m]\n40,male,170\n", "line 2: implausible: height outside 120 to 220 cm"),
        ("age,sex,height\n40,man,170\n", "line 2: sex is 'man'; adult-us has female, male"),
        ("age,sex,height\n40,male\n", "p.csv:2"),
        ("age,age\n40,41\n", "age"),
        ("", "p.csv"),
    ],
)
def test_a_table_with_a_fault(twinarm, tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text)
    code, _, err = twinarm("cohort", "import", tmp_path / "p.csv", "--like", "adult-us", "--out", tmp_path / "c.csv")
    assert code == 2 and said in err and "Traceback" not in err and len(err.splitlines()) <= 2
    assert not (tmp_path / "c.csv").exists()


def test_units_that_do_convert_are_converted(twinarm, tmp_path):
    (tmp_path / "p.csv").write_text("age [month],sex,weight [stone],height [ft]\n480,male,12,6\n")
    out = tmp_path / "c.csv"
    assert twinarm("cohort", "import", tmp_path / "p.csv", "--like", "adult-us", "--out", out)[0] == 0
    line = out.read_text().splitlines()[1].split(",")
    assert (
        float(line[1]) == 40
        and float(line[3]) == pytest.approx(182.88)
        and float(line[4]) == pytest.approx(76.2, abs=0.01)
    )
