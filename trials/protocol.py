"""The protocol: one immutable value that says everything about a trial. `protocol_file` reads it from YAML.

Every quantity is text with a unit in the file and a float in the unit of its field here (days for time).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..models.model import Provenance, Schedule, Tolerance
from ..models.problems import Problem
from ..models.units import Days

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$", max_length=60)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class ProtocolError(ValueError):
    """A protocol that cannot be used; `problems` holds all that was found, the text is a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Part(BaseModel):
    """What every block of a protocol file is: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelChoice(Part):
    """The model of body and treatment, by short name or dotted path, with what all arms share."""

    name: str
    settings: dict[str, Any] = {}


class EligibilityRule(Part):
    """A twin enters when `rule` is true; `reason` is what the ledger says of one that does not."""

    rule: str
    reason: str


BASELINE_PREFIX = "baseline_"  # of an endpoint's name: its value before randomisation


class PopulationChoice(Part):
    """Where twins come from and how many eligible ones the bank holds.

    `plausible_baseline` are rules on what is simulated of an eligible candidate before randomisation, as
    `baseline_<endpoint>`; those who break one are not in the bank.
    """

    name: str
    twins: Annotated[int, Field(ge=1, le=100_000_000)]
    eligibility: tuple[EligibilityRule, ...] = ()
    plausible_baseline: tuple[EligibilityRule, ...] = ()


class Arm(Part):
    """One arm; `treatment` is read by the model's own `Treatment` type."""

    name: Name
    label: str
    role: Literal["control", "experimental"]
    treatment: dict[str, Any] = {}
    adherence: Annotated[float, Field(gt=0, le=1)] = 1.0


class Allocation(Part):
    """How subjects get their arm. `ratio` is in the order of the arms; `block` counts subjects."""

    method: Literal["simple", "permuted-block"] = "permuted-block"
    ratio: tuple[Annotated[int, Field(ge=1)], ...]
    block: Annotated[int, Field(ge=1)] | None = None
    strata: tuple[str, ...] = ()


class Visit(Part):
    """A visit on its day after randomisation; an endpoint's period runs from the visit before it."""

    name: str
    at: Days


class Timing(Part):
    """Run-in before randomisation, follow-up after it, and the visits."""

    run_in: Days = 0.0
    duration: Days
    visits: tuple[Visit, ...]
    recruitment: Days = 0.0

    def schedule(self) -> Schedule:
        """The same in the words of the model contract."""
        return Schedule(
            run_in=self.run_in,
            duration=self.duration,
            visits=tuple(v.at for v in self.visits),
            visit_names=tuple(v.name for v in self.visits),
        )


class Endpoint(Part):
    """One endpoint: a measure from `trials/endpoints/`, its settings, and which way is better."""

    name: Name
    label: str
    measure: str
    settings: dict[str, Any] = {}
    role: Literal["primary", "secondary", "safety"]
    direction: Literal["higher", "lower"]


class Hazard(Part):
    """A constant hazard, stated as the probability of at least one event over a time."""

    probability: Annotated[float, Field(ge=0, lt=1)]
    over: Days


class Dropout(Hazard):
    """Loss to follow-up: everything after it is missing. No `arms` means all arms."""

    arms: tuple[str, ...] = ()
    provenance: Provenance = "chosen"


class IntercurrentEvent(Part):
    """An event after randomisation that changes what an outcome means (ICH E9(R1)).

    It comes either from a constant `hazard`, or from a time-to-event `endpoint` of the simulation. After a `hazard`
    event a subject follows the outcomes of `then_as` (another arm); without it the treatment goes on unchanged.
    """

    name: Name
    label: str
    arms: tuple[str, ...] = ()
    hazard: Hazard | None = None
    endpoint: str | None = None
    then_as: str | None = None
    provenance: Provenance = "chosen"


class Handling(Part):
    """The strategy of one estimand for one intercurrent event, and why."""

    event: str
    strategy: Literal["treatment-policy", "hypothetical", "composite", "while-on-treatment"]
    why: str


class Estimand(Part):
    """Population, treatment contrast, variable, intercurrent events, summary (ICH E9(R1))."""

    name: Name
    endpoint: str
    population: str
    summary: Literal["difference in means", "risk difference", "rate ratio", "hazard ratio"]
    intercurrent_events: tuple[Handling, ...] = ()
    none_expected: str | None = None


class Prior(Part):
    """One prior, on the scale its analysis states: exactly one of the three."""

    normal: tuple[float, Annotated[float, Field(gt=0)]] | None = None
    half_normal: Annotated[float, Field(gt=0)] | None = None
    half_student_t: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None


class Decision(Part):
    """Success when P(effect is better than `margin`) exceeds `probability`; better is the endpoint's direction."""

    margin: float
    probability: Annotated[float, Field(gt=0.5, lt=1)]


class Analysis(Part):
    """One Bayesian analysis. Priors that are not stated are the catalogue's, and are printed all the same."""

    endpoint: str
    model: Literal["continuous", "binary", "count", "piecewise-exponential", "weibull"]
    estimand: str | None = None
    adjust: tuple[str, ...] = ()
    priors: dict[str, Prior] = {}
    decision: Decision | None = None
    intervals: Annotated[int, Field(ge=1, le=20)] = 6
    ci_prob: Probability = 0.95


class Solver(Part):
    """Tolerances, and the share of started twins that may fail before no analysis is run."""

    rtol: Annotated[float, Field(gt=0, le=1e-2)] = 1e-6
    atol: Annotated[float, Field(gt=0)] = 1e-8
    max_steps: Annotated[int, Field(ge=1)] = 5_000_000
    failure_limit: Annotated[float, Field(ge=0, le=1)] = 0.001

    def tolerance(self) -> Tolerance:
        return Tolerance(rtol=self.rtol, atol=self.atol, max_steps=self.max_steps)


class Keep(Part):
    """Trajectories kept for pictures: the first `twins` of the bank, the named outputs, one value per `every`."""

    twins: Annotated[int, Field(ge=1, le=100_000)]
    outputs: tuple[str, ...]
    every: Days
    start: Days = 0.0
    end: Days | None = None


class Subgroup(Part):
    """Subjects for whom `rule` is true: one row of the forest plot."""

    label: str
    rule: str


class PublishedValue(Part):
    """One published figure set beside the simulated one.

    `use` tells calibration data (it set a parameter: agreement is fit) from validation (agreement is prediction).
    """

    endpoint: str
    quantity: Literal["effect", "mean", "sd", "proportion", "median"]
    arm: str | None = None
    value: float
    unit: str
    ci95: tuple[float, float] | None = None
    accept: tuple[float, float] | None = None
    use: Literal["calibration", "validation"]
    provenance: Provenance
    note: str = ""


class Published(Part):
    """A published trial and the figures of it that the report sets beside the simulated ones."""

    citation: str
    values: tuple[PublishedValue, ...]


class DataEndpoint(Part):
    """Columns of a subject-level table that hold one endpoint; `levels` turns words into numbers.

    `exposure` is the time over which a count was made, in `exposure_unit`; without it, the follow-up of the schedule.
    """

    value: str
    event: str | None = None
    baseline: str | None = None
    exposure: str | None = None
    exposure_unit: str = "day"
    unit: str = ""
    levels: dict[str, float] = {}
    event_levels: dict[str, float] = {}


class DataMap(Part):
    """How the columns of a real trial's table become arms, endpoints and covariates.

    `table` is its file, by a path from the folder of the protocol; `twinarm analyse --data` names another.
    """

    table: str | None = None
    subject: str | None = None
    arm: str
    arms: dict[str, str]
    endpoints: dict[str, DataEndpoint]
    covariates: dict[str, str] = {}


class Protocol(Part):
    """A trial. `model`, `population` and treatments may be absent only where `data` is given (`twinarm analyse`)."""

    format: Literal[1]
    name: Name
    title: str
    question: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    model: ModelChoice | None = None
    population: PopulationChoice | None = None
    subjects: Annotated[int, Field(ge=2)] | None = None
    arms: Annotated[tuple[Arm, ...], Field(min_length=2)]
    allocation: Allocation | None = None
    schedule: Timing | None = None
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    intercurrent_events: tuple[IntercurrentEvent, ...] = ()
    estimands: tuple[Estimand, ...]
    dropout: tuple[Dropout, ...] = ()
    analyses: Annotated[tuple[Analysis, ...], Field(min_length=1)]
    solver: Solver = Solver()
    keep: Keep | None = None
    subgroups: tuple[Subgroup, ...] = ()
    baseline_table: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    data: DataMap | None = None

    @property
    def digest(self) -> str:
        """sha256 of the protocol's meaning: comments and order of keys do not change it.

        Nor does the spelling of a quantity in the protocol's own fields, where `12 week` is 84 days. Treatments and
        settings are read by the model and the measures and stand here as they were written: `0.005 g` for `5 mg` gives
        another digest there, and the run is simulated again.
        """
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def control(self) -> Arm:
        return next(arm for arm in self.arms if arm.role == "control")

    @property
    def experimental(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if arm.role == "experimental")

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def endpoint(self, name: str) -> Endpoint:
        return next(endpoint for endpoint in self.endpoints if endpoint.name == name)
