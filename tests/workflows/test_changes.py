"""A changed protocol costs what it changed: `plan` says which blocks will run and why, and `run --update` does that."""

import shutil

import pytest

from twinarm.workflows.changes import changes_of
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunFolder, locked


def bank_of(protocol, out, update=True):
    folder = run_folder_of(protocol, out)
    with locked(folder):
        return folder, simulate_bank(folder, protocol, Cluster(2, processes=False), 16, update).digest


def steps(folder, protocol):
    return [(step.what, step.count, step.total, step.why) for step in changes_of(folder, protocol).steps]


def changed(values, name, **update):
    """The rows of a protocol with one named row changed."""
    return tuple(row | update if row["name"] == name else row for row in values)


STANDS = "its records stand"


@pytest.fixture
def variants(toy):
    """Protocols that differ from the toy's in one thing, and what that costs: arm -> (blocks, of, why)."""
    plain = toy(40).model_dump()
    arms = plain["arms"]
    high = arms[1] | {"name": "high", "treatment": {"dose": "9 mg"}}
    other_dose = changed(arms, "drug", treatment={"dose": "4 mg"})
    other_visit = plain["schedule"] | {"duration": "21 day"}
    stricter = tuple(row | {"decision": {"margin": 0.0, "probability": 0.99}} for row in plain["analyses"])
    drift = plain["endpoints"][:1]
    return {
        "nothing": (toy(40), {"placebo": (0, 3, STANDS), "drug": (0, 3, STANDS)}),
        "dose": (
            toy(40, update={"arms": other_dose}),
            {"placebo": (0, 3, STANDS), "drug": (3, 3, "its treatment or adherence changed")},
        ),
        "new arm": (
            toy(40, update={"arms": (*arms, high), "allocation": {"ratio": (1, 1, 1)}}),
            {"placebo": (0, 3, STANDS), "drug": (0, 3, STANDS), "high": (3, 3, "the arm is new")},
        ),
        "label": (
            toy(40, update={"arms": changed(arms, "drug", label="The drug")}),
            {"placebo": (0, 3, STANDS), "drug": (0, 3, STANDS)},
        ),
        "analysis": (toy(40, update={"analyses": stricter}), {"placebo": (0, 3, STANDS), "drug": (0, 3, STANDS)}),
        "twins": (toy(48), {a: (1, 3, "other twins in the block") for a in ("placebo", "drug")}),
        "many twins": (
            toy(60),
            {a: [(1, 4, "other twins in the block"), (1, 4, "more twins")] for a in ("placebo", "drug")},
        ),
        "fewer twins": (toy(32), {"placebo": (0, 2, STANDS), "drug": (0, 2, STANDS)}),
        "schedule": (
            toy(40, update={"schedule": other_visit}),
            {a: (3, 3, "the schedule changed") for a in ("placebo", "drug")},
        ),
        "endpoints": (
            toy(40, update={"endpoints": drift}),
            {a: (3, 3, "the endpoints changed") for a in ("placebo", "drug")},
        ),
        "settings": (
            toy(40, fails=[1000000]),
            {a: (3, 3, "the model or its settings changed") for a in ("placebo", "drug")},
        ),
    }


NAMES = (
    "nothing",
    "dose",
    "new arm",
    "label",
    "analysis",
    "twins",
    "many twins",
    "fewer twins",
    "schedule",
    "endpoints",
    "settings",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bank that is changed, made by the first test that asks; copied, never written to."""
    folder = tmp_path_factory.mktemp("bank") / "run"

    def copied(protocol, out):
        if not folder.exists():
            bank_of(protocol, folder)
        shutil.copytree(folder, out)
        return run_folder_of(protocol, out)

    return copied


@pytest.mark.parametrize("name", NAMES)
def test_plan_says_what_update_does(toy, tmp_path, variants, made, name):
    assert set(NAMES) == set(variants)
    protocol, expected = variants[name]
    folder = made(toy(40), tmp_path / "run")
    told = [(f"arm {a}", *row) for a, rows in expected.items() for row in (rows if isinstance(rows, list) else [rows])]
    assert steps(folder, protocol)[:-1] == told
    before = {path: path.stat().st_mtime_ns for path in folder.records.rglob("*.json")}
    _, digest = bank_of(protocol, tmp_path / "run")
    now = {path: path.stat().st_mtime_ns for path in folder.records.rglob("*.json")}
    made = [path.parent.name for path in now if now[path] != before.get(path)]
    assert {a: made.count(a) for a in expected} == {
        arm: sum(row[0] for row in (rows if isinstance(rows, list) else [rows])) for arm, rows in expected.items()
    }
    assert digest == bank_of(protocol, tmp_path / "new")[1], "the same bytes as from nothing"
    assert all(why == STANDS for _, _, _, why in steps(folder, protocol)[:-1])


def test_the_command_prints_it(twinarm, toy, tmp_path):
    out = tmp_path / "run"
    assert changes_of(RunFolder(out), toy()).steps[0].why == "nothing is there yet"
    folder, _ = bank_of(toy(), out)
    folder.record("drug", 1).unlink()
    code, text, _ = twinarm("plan", "toy-trial.yaml", "--out", out)
    assert code == 0 and "not done yet" in text and "--update" not in text
    assert "arm drug     1 of 4  not simulated yet" in text
    code, text, _ = twinarm("plan", "toy-trial.yaml", "--out", out, "--twins", 70)
    assert code == 0 and "with --update, for the folder holds another protocol (they differ in population)" in text
    code, text, err = twinarm("run", "toy-trial.yaml", "--out", out, "--twins", 70)
    assert code == 2 and len([line for line in err.splitlines() if "another protocol" in line]) == 1
    assert not text and "Traceback" not in err
