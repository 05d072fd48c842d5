"""Published statistics that a cohort is to match, read from a YAML file: one entry a variable, rule or pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ...models.expressions import ExpressionError, parse
from ...models.problems import dotted
from ...models.yaml_text import MAX_BYTES, read_yaml
from ..blocks.parts import Part

PUBLISHED = Path(__file__).parent.parent / "populations" / "published"
Share = Annotated[float, Field(ge=0, le=1)]


class TargetsError(ValueError):
    """Targets that cannot be read, or that a cohort has no variable or unit for; one line a problem."""


class Target(Part):
    """Statistics of one variable (mean, sd, quantiles, or shares of words), of a rule (share), or of a pair.

    `quantiles` are [level, value] pairs; `shares` name values of a variable of words or codes.
    """

    variable: str | None = None
    rule: str | None = None
    pair: tuple[str, str] | None = None
    unit: str = ""
    mean: float | None = None
    sd: Annotated[float, Field(gt=0)] | None = None
    quantiles: tuple[tuple[Annotated[float, Field(gt=0, lt=1)], float], ...] = ()
    shares: dict[str, Share] = Field(default_factory=dict)
    share: Share | None = None
    correlation: Annotated[float, Field(ge=-1, le=1)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(subject is not None for subject in (self.variable, self.rule, self.pair)) != 1:
            raise PydanticCustomError("subject", "names none or several of variable, rule and pair; give one of them")
        given = {name for name in ("mean", "sd", "share", "correlation") if getattr(self, name) is not None}
        given |= {name for name in ("quantiles", "shares") if getattr(self, name)}
        allowed = {"variable": {"mean", "sd", "quantiles", "shares"}, "rule": {"share"}, "pair": {"correlation"}}
        kind = next(name for name in allowed if getattr(self, name) is not None)
        if not given or not given <= allowed[kind]:
            wants = ", ".join(sorted(allowed[kind]))
            raise PydanticCustomError(
                "statistic",
                "a {kind} has {wants}; give at least one of these and no other",
                {"kind": kind, "wants": wants},
            )
        if self.shares and (len(given) > 1 or sum(self.shares.values()) > 1 + 1e-9):
            raise PydanticCustomError("shares", "shares stand alone and sum to 1 at most; correct them")
        if kind == "variable" and not self.shares and not self.unit:
            raise PydanticCustomError("unit", 'has no unit; write for example unit: kg ("1" for a pure number)')
        if self.rule is not None:
            try:
                parse(self.rule)
            except ExpressionError as error:
                raise PydanticCustomError("rule", "{reason}", {"reason": str(error)}) from None
        return self


class Targets(Part):
    """Published statistics of one group of people, with their source."""

    format: Literal[1]
    name: str
    source: Annotated[str, Field(min_length=1)]
    targets: tuple[Target, ...]

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.targets:
            raise PydanticCustomError("targets", "has no targets; give one statistic at least")
        return self


def load_targets(path: Path) -> Targets:
    """Targets from a YAML file, or published ones of the library by their name ("dapa-hf").

    Raises
    ------
    TargetsError
        No such file or name, or a file with faults: each on a line with file:line:column and what to write.
    """
    if not path.suffix and (PUBLISHED / f"{path}.yaml").is_file():
        path = PUBLISHED / f"{path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PUBLISHED.glob("*.yaml")))
        raise TargetsError(f"{path}: there is no such file; give a file of targets (.yaml) or one of {known}")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    text = read_yaml(str(path), content, "file of targets", "start with 'format: 1' and 'name: ...'")
    found = [((p.line or 1, p.column or 1), str(p)) for p in text.problems]
    if text.is_read and not found:
        try:
            return Targets.model_validate(text.data)
        except ValidationError as error:
            for fault in error.errors():
                line, column = text.place(fault["loc"]).key
                said = fault["msg"][0].lower() + fault["msg"][1:]
                where = dotted(fault["loc"]) or "targets"
                found.append(((line, column), f"{text.file}:{line}:{column}: {where}: {said}"))
    raise TargetsError("\n".join(dict.fromkeys(said for _, said in sorted(found))))
