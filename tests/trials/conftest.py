"""A small protocol that uses every block, with a model and measures of the tests' own."""

import sys
from pathlib import Path

import pytest

from twinarm.trials import catalogue
from twinarm.trials.protocol import ProtocolError
from twinarm.trials.protocol_file import read_protocol

MODEL = """
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from twinarm.models.model import NoSettings, Output
from twinarm.models.units import In


class Rule(BaseModel, frozen=True, extra="forbid"):
    when: str
    factor: Annotated[float, Field(gt=0)] = 1.0


class Treatment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    dose: Annotated[float, In("mg"), Field(ge=0, le=500)]
    times: Annotated[int, Field(ge=1, le=4)] = 1
    route: Literal["oral", "intravenous"] = "oral"
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _placebo_has_no_rules(self):
        if self.dose == 0 and self.rules:
            raise ValueError("a dose of 0 mg takes no rules")
        return self


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    sampling: Annotated[float, In("hour")] = 24.0


class Model:
    name = "twinarm_test_model"
    requires = ("age", "weight")
    outputs = (Output("pressure", "mmHg", "mean pressure"), Output("stroke_day", "day", "day of a stroke"))
    Treatment, Settings = Treatment, Settings

    def simulate(self, twins, treatment, settings, conditions):
        raise NotImplementedError


MODEL = Model()
"""
MEASURE = """
from typing import Annotated

from pydantic import BaseModel, ConfigDict

KIND, PER_VISIT = "{kind}", {per_visit}


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    output: str


def reads(settings):
    return (settings.output,)


def compute(trajectories, schedule, settings):
    raise NotImplementedError
"""
PARTS = {
    "twinarm_test_model": MODEL,
    "twinarm_test_level": MEASURE.format(kind="continuous", per_visit=True),
    "twinarm_test_above": MEASURE.format(kind="binary", per_visit=True),
    "twinarm_test_events": MEASURE.format(kind="count", per_visit=True),
    "twinarm_test_time": MEASURE.format(kind="time-to-event", per_visit=False),
    "twinarm_test_broken": "def (",
    "twinarm_test_raises": "raise RuntimeError('no licence server')",
    "twinarm_test_empty": "",
}
PROTOCOL = """\
format: 1
name: small
title: A small trial
question: Does the drug lower pressure?
seed: 7
model:
  name: twinarm_test.twinarm_test_model
  settings: {sampling: 12 hour}
population:
  name: test-people
  twins: 200
  eligibility:
    - rule: age >= 18 and bmi < 45
      reason: too young or too heavy
subjects: 60
arms:
  - name: placebo
    label: Placebo
    role: control
    treatment: {dose: 0 mg}
  - name: drug
    label: Drug
    role: experimental
    treatment:
      dose: 50 mg
      times: 2
      rules:
        - {when: pressure > 100, factor: 1.5}
    adherence: 0.9
allocation:
  ratio: [1, 2]
  block: 6
  strata: [sex]
schedule:
  run_in: 1 week
  duration: 12 week
  visits:
    - {name: week 4, at: 4 week}
    - {name: week 12, at: 84 day}
endpoints:
  - name: pressure
    label: Mean pressure
    measure: twinarm_test.twinarm_test_level
    settings: {output: pressure}
    role: primary
    direction: lower
  - name: controlled
    label: Pressure under control
    measure: twinarm_test.twinarm_test_above
    settings: {output: pressure}
    role: secondary
    direction: higher
  - name: crises
    label: Crises
    measure: twinarm_test.twinarm_test_events
    settings: {output: pressure}
    role: safety
    direction: lower
intercurrent_events:
  - name: stopping
    label: The drug is stopped
    arms: [drug]
    hazard: {probability: 0.1, over: 12 week}
    then_as: placebo
estimands:
  - name: change
    endpoint: pressure
    population: Adults
    summary: difference in means
    intercurrent_events:
      - event: stopping
        strategy: treatment-policy
        why: The offer is what counts.
dropout:
  - {probability: 0.05, over: 12 week, arms: [placebo]}
analyses:
  - endpoint: pressure
    model: continuous
    estimand: change
    adjust: [baseline, age]
    decision: {margin: 0, probability: 0.975}
    ci_prob: 0.9
  - endpoint: controlled
    model: binary
  - endpoint: crises
    model: count
solver:
  rtol: 1e-6
keep:
  twins: 5
  outputs: [pressure]
  every: 1 day
  start: -1 day
  end: 2 week
subgroups:
  - {label: Women, rule: sex == 'female'}
baseline_table: [age, sex, bmi]
published:
  - citation: Somebody 2001
    values:
      - {endpoint: pressure, quantity: effect, value: -5, unit: mmHg, accept: [-9, -1], use: validation,
         provenance: read}
      - {endpoint: pressure, quantity: mean, arm: placebo, value: 95, unit: mmHg, use: calibration, provenance: read}
"""


@pytest.fixture(scope="session", autouse=True)
def parts(tmp_path_factory):
    """The modules that the small protocol names, in a folder on the path."""
    folder: Path = tmp_path_factory.mktemp("parts")
    package = folder / "twinarm_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, source in PARTS.items():
        (package / f"{name}.py").write_text(source)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(autouse=True)
def people(monkeypatch):
    """The population `test-people`; all others are those of the library."""
    library = catalogue.population_named
    known = catalogue.People(("age", "sex", "weight", "bmi"), None)
    monkeypatch.setattr(catalogue, "population_named", lambda n: known if n == "test-people" else library(n))


@pytest.fixture(scope="session")
def small() -> str:
    """Text of the small protocol."""
    return PROTOCOL


@pytest.fixture(scope="session")
def problems_of():
    """A function that reads a file and checks that it has problems, each in one line and inside the file."""
    return _problems_of


def _problems_of(content: bytes):
    """The problems of a file that is expected to have some; each stands in the file, in one line."""
    with pytest.raises(ProtocolError) as caught:
        read_protocol("small.yaml", content)
    lines = content.decode("utf-8", "replace").split("\n")
    for problem in caught.value.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1].lstrip("\ufeff")) + 1
        assert str(problem).startswith(f"small.yaml:{problem.line}:{problem.column}: ")
        assert "\n" not in str(problem) and "Traceback" not in str(problem)
        assert len(str(problem)) < 900
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return caught.value.problems
