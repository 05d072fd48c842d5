"""The blocks of which a population is made, in the order in which a twin's variables are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...models.expressions import ExpressionError, evaluate, names
from .copula import Covariates, Factors
from .demographics import Demographics
from .genotypes import Genotypes
from .joint import Joint
from .laws import Variable
from .linked import Linked
from .parts import Described, Part
from .tables import TableError, TableFile
from .uncertain import Uncertain


class Rule(Part):
    """A twin is plausible when `rule` is true; `reason` is what the ledger says of one that is not."""

    rule: str
    reason: str


class Column(Described):
    """A variable read from a column of a table of subjects."""

    column: str | None = None


class Subjects(Part):
    """Twins that are subjects of a table: twin k is row k modulo the number of rows that `rows` leaves."""

    table: TableFile
    rows: str | None = None
    variables: Annotated[tuple[Column, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _columns_are_there(self) -> Self:
        try:
            self.table.need(*(v.column or v.name for v in self.variables))
            if not self.chosen.size:
                raise TableError(f"rows {self.rows!r} leaves no subject of {self.table.name}; loosen it")
        except (TableError, ExpressionError) as error:
            raise PydanticCustomError("table", "{reason}", {"reason": str(error)}) from None
        return self

    @cached_property
    def chosen(self) -> np.ndarray:
        """Numbers of the table's rows that are subjects."""
        if self.rows is None:
            return np.arange(self.table.rows)
        return np.flatnonzero(evaluate(self.rows, self.table.columns))


class Derived(Described):
    """A variable that follows from others by an expression."""

    expression: str


@dataclass(frozen=True)
class Blocks:
    """The blocks of a population together with those of the population it is based on.

    `surveyed` are the demographics of the population that states the covariates.
    """

    uncertain: tuple[Uncertain, ...]
    demographics: Demographics | None
    surveyed: Demographics | None
    covariates: Covariates | None
    kept_covariates: frozenset[str]
    subjects: Subjects | None
    genotypes: Genotypes | None
    kept_genotypes: frozenset[str]
    independent: tuple[Variable, ...]
    linked: tuple[Linked, ...]
    joint: tuple[Joint, ...]
    derived: tuple[Derived, ...]
    plausibility: tuple[Rule, ...]
    where: tuple[str, ...]

    def keeping(self, keep: set[str]) -> Blocks:
        """The blocks without the variables that are not kept, and the rules that read only what is left."""
        joint = tuple(j for j in self.joint if set(j.names) <= keep)
        independent = tuple(v for v in self.independent if v.name in keep)
        derived = tuple(v for v in self.derived if v.name in keep)
        kept = replace(
            self,
            uncertain=tuple(one.keeping(keep) for one in self.uncertain),
            kept_covariates=self.kept_covariates & keep,
            kept_genotypes=self.kept_genotypes & keep,
            independent=independent,
            linked=tuple(block for block in self.linked if {v.name for v in block.variables} <= keep),
            joint=joint,
            derived=derived,
        )
        left = set(kept.names)
        return replace(kept, plausibility=tuple(r for r in self.plausibility if set(names(r.rule)) <= left))

    @cached_property
    def factors(self) -> Factors:
        """Factors of the copula at every year of age.

        The published correlations are of all races together: what the races bring is taken out with their shares in the
        `surveyed`, the people of whom the figures are, whoever is then drawn.
        """
        assert self.surveyed is not None and self.covariates is not None
        start, end, sexes, races, shares = self.surveyed.table_shares.parts

        def race_shares(sex: str, age: float) -> dict[str, float]:
            band = max(int(np.searchsorted(start, age, side="right")) - 1, 0)
            cell = shares[band, sexes.index(sex)] if sex in sexes else np.zeros(len(races))
            known = cell if cell.sum() > 0 else shares.sum(axis=(0, 1))  # of nobody's races: those of everybody
            return dict(zip(races, known.tolist(), strict=True))

        return Factors.of(self.covariates, int(start[0]), int(end[-1]), race_shares)

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable in the order of drawing, before the model derives its own."""
        demographic = ("age", "sex", "race_ethnicity") if self.demographics else ()
        covariates = self.covariates.described if self.covariates else ()
        return (
            *(name for one in self.uncertain for name in one.names),
            *demographic,
            *(v.name for v in covariates if v.name in self.kept_covariates),
            *(name for name in (self.genotypes.attrs if self.genotypes else ()) if name in self.kept_genotypes),
            *(v.name for v in (self.subjects.variables if self.subjects else ())),
            *(v.name for v in self.independent),
            *(v.name for block in self.linked for v in block.variables),
            *(name for block in self.joint for name in block.names),
            *(v.name for v in self.derived),
        )

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """What each variable is drawn together with or reads, beside demographics."""
        found: dict[str, tuple[str, ...]] = {v.name: v.reads for v in self.independent}
        for linked in self.linked:
            together = (*(v.name for v in linked.variables), *linked.reads)
            found |= {v.name: together for v in linked.variables}
        for joint in (*self.joint, *(j for one in self.uncertain for j in one.joint)):
            together = (*(g.variable for g in joint.given), *joint.names)
            found |= {name: together for name in joint.names}
        return found | {v.name: names(v.expression) for v in self.derived}

    @property
    def described(self) -> dict[str, dict[str, Any]]:
        """Attributes of every variable."""
        found: dict[str, dict[str, Any]] = {}
        if (people := self.demographics) is not None:
            table = {"source": people.source, "provenance": people.provenance}
            found["age"] = {"units": "year", "long_name": "age, whole years", **table}
            found["sex"] = {"units": "1", "long_name": "sex", **table}
            found["race_ethnicity"] = {"units": "1", "long_name": "race and ethnicity", **table}
            found |= {name: v.attrs for name, v in (("age", people.age), ("sex", people.sex)) if v is not None}
        members: list[Described] = [*(self.covariates.described if self.covariates else ()), *self.independent]
        members += [*self.derived, *(self.subjects.variables if self.subjects else ())]
        members += [v for linked in self.linked for v in linked.variables]
        members += [v for one in self.uncertain for v in one.variables]
        found |= {v.name: v.attrs for v in members}
        found |= self.genotypes.attrs if self.genotypes else {}
        for joint in (*self.joint, *(j for one in self.uncertain for j in one.joint)):
            found |= joint.attrs
        return found
