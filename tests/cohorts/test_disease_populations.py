"""Type 1 diabetes and lung cancer: moments, conditioning on weight, the public subjects and their identities."""

import csv
from pathlib import Path

import numpy as np
import pytest

from twinarm.cohorts import Population, load_population, sample_twins

FIGURES = Path(__file__).parents[2] / "cohorts" / "populations" / "data"
SIZE = 20_000

# Geometric mean and sd of the logarithm of the 10 public adults, as tabulated apart from this code, to 3 figures.
ADULTS = {
    "Gb": (142.6, 0.044), "Ib": (107, 0.16), "EGPb": (2.49, 0.13), "kabs": (0.134, 1.05), "kmax": (0.0371, 0.32),
    "kmin": (0.00649, 0.54), "Vg": (1.84, 0.077), "Vi": (0.0509, 0.26), "Vmx": (0.0458, 0.60), "Km0": (236, 0.10),
    "k1": (0.0601, 0.30), "k2": (0.120, 0.41), "p2u": (0.0322, 0.34), "m1": (0.189, 0.34), "m2": (0.267, 0.29),
    "ki": (0.00748, 0.54), "kp2": (0.00388, 0.40), "kp3": (0.00843, 0.49), "kd": (0.0158, 0.12), "ksc": (0.0921, 0.28),
    "ka1": (0.00328, 0.26), "ka2": (0.0153, 0.31),
}  # fmt: skip


def _without_model(name: str) -> Population:
    return load_population(name).changed(model=None, plausibility=())


def _table() -> dict[str, np.ndarray]:
    with (FIGURES / "t1d_public_30.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        name: np.array([row[name] if name in ("subject", "group") else float(row[name]) for row in rows])
        for name in rows[0]
    }


@pytest.fixture(scope="module")
def diabetes():
    return sample_twins(_without_model("t1d-adults"), np.arange(SIZE), seed=11)


@pytest.mark.parametrize("name", ADULTS)
def test_moments_are_those_of_the_public_adults(name):
    (joint,) = load_population("t1d-adults").joint
    mean, sd, _ = joint.moments
    i = 1 + [v.name for v in joint.variables].index(name)
    assert np.exp(mean[i]) == pytest.approx(ADULTS[name][0], rel=0.006)
    assert sd[i] == pytest.approx(ADULTS[name][1], rel=0.05)


def test_parameters_follow_the_conditional_normal_given_weight(diabetes):
    """Regression on the weight's score has slope r, and what is left the covariance R - r r', R shrunk by half."""
    table = _table()
    adults = table["group"] == "adult"
    names = [v.name for v in load_population("t1d-adults").joint[0].variables]

    def scale(name, x):
        return np.log(x / (1 - x)) if name in ("b", "d") else np.log(x)

    subjects = np.array([scale(name, table[name][adults]) for name in ("BW", *names)])
    twins = np.array(
        [scale(name, diabetes[column].values) for name, column in zip(("BW", *names), ("weight", *names), strict=True)]
    )
    z = (twins - subjects.mean(axis=1)[:, None]) / subjects.std(axis=1, ddof=1)[:, None]
    shrunk = 0.5 * np.corrcoef(subjects) + 0.5 * np.eye(len(subjects))
    r = shrunk[0, 1:]
    rest = z[1:] - r[:, None] * z[0]
    expected = shrunk[1:, 1:] - np.outer(r, r)
    assert np.all(np.abs(rest.mean(axis=1)) < 4 / np.sqrt(SIZE))
    mcse = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / SIZE)
    assert np.all(np.abs(np.cov(rest) - expected) < 5 * mcse)
    assert np.all(np.abs(rest @ z[0] / SIZE) < 5 * np.sqrt(np.mean(z[0] ** 2) / SIZE))


def test_weight_is_that_of_us_adults_of_the_ages(diabetes):
    assert diabetes["age"].min() == 18 and diabetes["age"].max() == 70
    men = diabetes["weight"].values[diabetes["sex"].values == "male"]
    assert np.median(men) == pytest.approx(87.2, abs=1.5)  # NHANES, men 18 and over


def test_the_public_subjects_come_in_turn():
    twins = sample_twins(_without_model("t1d-public-30"), [0, 29, 30, 61], seed=1)
    table = _table()
    assert twins["subject"].values.tolist() == [table["subject"][i] for i in (0, 29, 0, 1)]
    assert twins["weight"].values.tolist() == [table["BW"][i] for i in (0, 29, 0, 1)]
    assert set(table["group"]) == {"adult", "adolescent", "child"}


def test_the_public_adults_are_the_adults():
    twins = sample_twins(_without_model("t1d-public-adults"), np.arange(10), seed=1)
    assert twins["group"].values.tolist() == ["adult"] * 10
    assert len(set(twins["subject"].values.tolist())) == 10


def test_the_model_derives_what_is_published_of_the_public_subjects():
    twins = sample_twins(load_population("t1d-public-30"), np.arange(30), seed=1)
    table = _table()
    for name in ("Gpb", "Gtb", "Vm0", "Ipb", "Ilb", "kp1", "m4", "m30", "u2ss", "isc1ss", "isc2ss"):
        assert twins[name].values == pytest.approx(table[name], rel=5e-6), name


def test_free_parameters_reproduce_the_published_dependent_ones():
    v = _table()
    assert v["Gb"] * v["Vg"] == pytest.approx(v["Gpb"], rel=5e-6)
    assert (v["Fsnc"] - v["EGPb"] + v["k1"] * v["Gpb"]) / v["k2"] == pytest.approx(v["Gtb"], rel=5e-6)
    assert (v["m2"] + v["m4"]) * v["Ipb"] - v["m1"] * v["Ilb"] == pytest.approx(v["u2ss"], rel=5e-6)


@pytest.fixture(scope="module")
def lung_cancer():
    return sample_twins(_without_model("nsclc-second-line"), np.arange(SIZE), seed=12)


def test_medians_of_lung_cancer_are_the_published_ones(lung_cancer):
    published = {"age": 60, "aag": 1.34, "albumin": 39.4, "total_protein": 71, "ldh": 225.5, "nlr": 4.1, "n_target": 2}
    for name, median in published.items():
        assert np.median(lung_cancer[name].values) == pytest.approx(median, rel=0.02), name


def test_men_and_performance_status_have_the_published_shares(lung_cancer):
    for share, inside in [(0.61, lung_cancer["sex"] == "male"), (0.17, lung_cancer["ecog"] == 2)]:
        assert abs(float(inside.mean()) - share) < 4 * np.sqrt(share * (1 - share) / SIZE)


def test_etas_have_the_published_covariance(lung_cancer):
    omega = np.array([[0.2645, 0.01911, -0.06367], [0.01911, 0.8715, 0.1504], [-0.06367, 0.1504, 0.9174]])
    etas = np.array([lung_cancer[name].values for name in ("eta_TSb", "eta_KG", "eta_KS")])
    mcse = np.sqrt((np.outer(np.diag(omega), np.diag(omega)) + omega**2) / SIZE)
    assert np.all(np.abs(np.cov(etas) - omega) < 4 * mcse)
    for name, variance in [("Base", 0.0640), ("MTT", 0.0192), ("slope", 0.128), ("CL", np.log(1 + 0.25**2))]:
        sample = np.var(lung_cancer[f"eta_{name}"].values)
        assert abs(sample - variance) < 4 * variance * np.sqrt(2 / SIZE), name


def test_a_rule_about_a_variable_that_was_replaced_is_not_inherited():
    assert not [r for r in load_population("nsclc-second-line").blocks.plausibility if "albumin" in r.rule]
