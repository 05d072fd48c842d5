"""What a population is: ordered blocks read from one YAML file, each with its sources.

A twin's variables are drawn in this order: uncertain population parameters, demographics, covariates (copula),
genotypes, rows of a table of subjects, independent variables, linked variables, joint variables, derived variables, and
last what the population's model derives. Plausibility rules are applied by `screening`, criteria (`where`) by
`criteria`. A population that is `based_on` another takes over its blocks as far as it keeps their variables.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from ..models.expressions import ExpressionError, names
from .blocks import Blocks, Derived, Rule, Subjects
from .blocks.copula import Covariates
from .blocks.demographics import Demographics
from .blocks.genotypes import Genotypes
from .blocks.joint import Joint
from .blocks.laws import Variable
from .blocks.linked import Linked
from .blocks.parts import Part
from .blocks.uncertain import Uncertain

Place = tuple[str | int, ...]
PopulationName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]


class Source(Part):
    """A publication or data set, and the licence of the figures taken from it."""

    citation: str
    licence: str


def _load_base(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    from .population_file import PopulationError, load_within

    context = info.context or {}
    try:
        return load_within(value, context.get("folder", Path()), context.get("inside", ()))
    except PopulationError as error:
        raise PydanticCustomError("population", "{reason}", {"reason": str(error)}) from None


class BasedOn(Part):
    """Another population, and which of its variables are kept (age, sex and race always are)."""

    population: Annotated[Population, BeforeValidator(_load_base), PlainSerializer(lambda p: p.digest, return_type=str)]
    keep: tuple[str, ...] = ()


class Population(Part):
    """A population of twins. `limits` says in plain words what it does not represent.

    With `where` its twins are those of the population at large who meet the criteria, drawn from the conditional law.
    """

    format: Literal[1]
    name: PopulationName
    title: str
    period: str
    method: str
    limits: str
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    model: str | None = None
    based_on: BasedOn | None = None
    uncertain: Uncertain | None = None
    demographics: Demographics | None = None
    covariates: Covariates | None = None
    genotypes: Genotypes | None = None
    subjects: Subjects | None = None
    independent: tuple[Variable, ...] = ()
    linked: tuple[Linked, ...] = ()
    joint: tuple[Joint, ...] = ()
    derived: tuple[Derived, ...] = ()
    plausibility: tuple[Rule, ...] = ()
    where: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        problems = _problems(self)
        if problems:
            raise PydanticCustomError("parts", "{first}", {"first": problems[0][1], "problems": problems})
        return self

    @cached_property
    def people(self) -> Demographics | None:
        """Own demographics; where the population is based on another, those with what is stated here put in."""
        there = self.based_on.population.blocks.demographics if self.based_on else None
        if there is None or self.demographics is None:
            return self.demographics or there
        stated = {name: value for name, value in self.demographics.fields().items() if value is not None}
        return there.changed(**stated)

    @cached_property
    def blocks(self) -> Blocks:
        """Own blocks, with those of the population this one is based on in front."""
        uncertain = () if self.uncertain is None else (self.uncertain,)
        if self.based_on is None:
            covariates = self.covariates.described if self.covariates else ()
            return Blocks(
                uncertain,
                self.demographics,
                self.demographics,
                self.covariates,
                frozenset(v.name for v in covariates),
                self.subjects,
                self.genotypes,
                frozenset(self.genotypes.attrs if self.genotypes else ()),
                self.independent,
                self.linked,
                self.joint,
                self.derived,
                self.plausibility,
                self.where,
            )
        base = self.based_on.population.blocks.keeping(set(self.based_on.keep))
        return Blocks(
            base.uncertain + uncertain,
            self.people,
            base.surveyed,
            base.covariates,
            base.kept_covariates,
            base.subjects,
            self.genotypes or base.genotypes,
            frozenset(self.genotypes.attrs) if self.genotypes else base.kept_genotypes,
            base.independent + self.independent,
            base.linked + self.linked,
            base.joint + self.joint,
            base.derived + self.derived,
            base.plausibility + self.plausibility,
            base.where + self.where,
        )

    @cached_property
    def at_large(self) -> Population:
        """The same population without the criteria of `where`, its own and those of what it is based on."""
        base = self.based_on
        if base is not None:
            base = base.changed(population=base.population.at_large)
        return self.changed(where=(), based_on=base) if self.blocks.where else self

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all that a twin carries, with what the population's model derives: those of a sample of no twins."""
        from .sampling import sample_twins

        return tuple(str(name) for name in sample_twins(self, [], seed=0).data_vars)

    @cached_property
    def digest(self) -> str:
        """sha256 of the population's meaning, its tables and the population it is based on."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _problems(population: Population) -> list[tuple[Place, str]]:
    """What does not fit between the blocks: (place in the file, in words)."""
    found: list[tuple[Place, str]] = []
    if (base := population.based_on) is not None:
        there = base.population.blocks.names
        unknown = [(i, name) for i, name in enumerate(base.keep) if name not in there]
        found += [
            (("based_on", "keep", i), f"{name!r} is no variable of {base.population.name}; it has {', '.join(there)}")
            for i, name in unknown
        ]
        if not unknown:
            found += _keep_problems(base)
        for block in ("covariates", "subjects"):
            if getattr(population, block) is not None:
                found.append(((block,), "cannot stand beside based_on; drop one of them"))
    try:
        population.people  # noqa: B018 - computed once, and refused here if it does not fit that of the base
    except ValidationError as error:
        return found + [(("demographics",), str(fault["msg"])) for fault in error.errors()]
    blocks = population.blocks
    if blocks.demographics is not None and blocks.demographics.table is None:
        found.append((("demographics",), "has no table; give one, or base the population on one that has"))
    if blocks.demographics is not None:
        found += _table_problems(blocks.demographics, blocks.genotypes if blocks.kept_genotypes else None)
    if blocks.covariates is not None:
        found += _people_problems(blocks.demographics, blocks.covariates)
    if blocks.genotypes is not None and blocks.demographics is None:
        found.append((("genotypes",), "needs demographics: alleles are drawn given race/ethnicity"))
    if blocks.subjects is not None and blocks.demographics is not None:
        found.append((("subjects",), "a table of subjects brings its own age and sex; drop demographics or based_on"))
    # A joint law draws from the stream of a member's name at all occasions: nobody else may have it.
    streams = tuple(v.name for joint in blocks.joint if joint.occasions is not None for v in joint.variables)
    all_names = (*blocks.names, *streams)
    for name in sorted({n for n in all_names if all_names.count(n) > 1}):
        found.append(((), f"two variables are called {name!r}; rename or drop one"))
    found += _reading_problems(population, blocks)
    found += _where_problems(population, blocks)
    return found


def _table_problems(demographics: Demographics, genotypes: Genotypes | None) -> list[tuple[Place, str]]:
    """Ages that the table of people does not have, and races in it of unknown ancestry."""
    if demographics.table is None:
        return []
    found: list[tuple[Place, str]] = []
    table, ages = demographics.table.columns, demographics.ages
    first, last = float(table["age_from"].min()), float(table["age_to"].max())
    if ages is not None and not first <= ages[0] <= ages[1] <= last:
        said = f"are {list(ages)}; the table has {first:g} to {last:g}: keep within"
        found.append((("demographics", "ages"), said))
    known = {row.race_ethnicity for row in genotypes.ancestry} if genotypes else set()
    if genotypes and (unknown := sorted(set(table["race_ethnicity"].tolist()) - known)):
        said = f"has no row for {', '.join(unknown)}; add the shares of their ancestries"
        found.append((("genotypes", "ancestry"), said))
    return found


def _people_problems(demographics: Demographics | None, covariates: Covariates) -> list[tuple[Place, str]]:
    """People that the covariates' tables do not know."""
    if demographics is None:
        return [(("covariates",), "needs demographics: the curves are given age, sex and race")]
    if demographics.table is None:
        return []
    table = demographics.table.columns
    known = {str(sex) for sex in table["sex"]} & {sex for (sex,) in covariates.quantiles.grid.groups}
    drawn = {str(sex) for sex in table["sex"]}
    if demographics.sex is not None and demographics.sex.choice is not None:
        drawn |= {str(sex) for sex in demographics.sex.choice.values}
    if drawn - known:
        others = ", ".join(sorted(drawn - known))
        return [(("demographics",), f"has sex {others}; the covariates' tables know {', '.join(sorted(known))}")]
    pairs = set(zip(table["sex"].tolist(), table["race_ethnicity"].tolist(), strict=True))
    missing = [] if covariates.races is None else sorted(pairs - set(covariates.races.grid.groups))
    if missing:
        text = ", ".join(f"{sex} {race}" for sex, race in missing[:5])
        return [(("covariates", "race_margins"), f"has no row for {text} ({len(missing)} of {len(pairs)}); add them")]
    return []


def _reading_problems(population: Population, blocks: Blocks) -> list[tuple[Place, str]]:
    """Expressions that cannot be read, or that read a variable that is not drawn before."""
    own: list[tuple[str, int, tuple[str, ...], tuple[str, ...]]] = []
    own += [("independent", i, (v.name,), v.reads) for i, v in enumerate(population.independent)]
    own += [("linked", i, tuple(v.name for v in b.variables), b.reads) for i, b in enumerate(population.linked)]
    own += [("joint", i, j.names, tuple(g.variable for g in j.given)) for i, j in enumerate(population.joint)]
    own_names = {name for _, _, drawn, _ in own for name in drawn} | {v.name for v in population.derived}
    known = [name for name in blocks.names if name not in own_names]
    found: list[tuple[Place, str]] = []

    def check(place: Place, reads: tuple[str, ...]) -> None:
        there = ", ".join(known)
        found.extend(
            (place, f"reads {name!r}, which is not drawn before it; known there: {there}")
            for name in reads
            if name not in known
        )

    for block, i, drawn, reads in own:
        check((block, i), reads)
        known.extend(drawn)
    for i, v in enumerate(population.derived):
        try:
            check(("derived", i, "expression"), names(v.expression))
        except ExpressionError as error:
            found.append((("derived", i, "expression"), str(error)))
        known.append(v.name)
    rules: list[tuple[Place, str]] = [
        (("plausibility", i, "rule"), r.rule) for i, r in enumerate(population.plausibility)
    ]
    for place, text in [*rules, *((("where", i), text) for i, text in enumerate(population.where))]:
        try:
            reads = names(text)
        except ExpressionError as error:
            found.append((place, str(error)))
            continue
        if population.model is None or place[0] == "where":  # a model may derive further variables
            check(place, reads)
    return found


def _where_problems(population: Population, blocks: Blocks) -> list[tuple[Place, str]]:
    """Criteria that cannot be drawn for, or that read a variable which is not kept."""
    found: list[tuple[Place, str]] = []
    if blocks.where and (
        blocks.subjects is not None or (blocks.demographics is not None and blocks.demographics.quota)
    ):
        kind = "subjects" if blocks.subjects is not None else "quota"
        found.append((("where",), f"cannot stand beside {kind}, which leave nothing to draw; drop one of them"))
    return found


def _keep_problems(based_on: BasedOn) -> list[tuple[Place, str]]:
    """Variables that are not kept and that what is kept cannot be drawn without."""
    base, kept = based_on.population, based_on.population.blocks.keeping(set(based_on.keep))
    there = {"age", "sex", "race_ethnicity", *kept.names} if kept.demographics else set(kept.names)
    needs = [(f"the criteria of {base.name} read", names(text)) for text in base.blocks.where]
    needs += [(f"{v.name} reads", v.reads) for v in kept.independent]
    needs += [(f"{block.name} reads", block.reads) for block in kept.linked]
    needs += [(f"{block.name} is conditioned on", tuple(g.variable for g in block.given)) for block in kept.joint]
    needs += [(f"{v.name} reads", names(v.expression)) for v in kept.derived]
    found = {name: why for why, read in needs[::-1] for name in read if name not in there}
    return [(("based_on", "keep"), f"lacks {name}, which {why}; keep it too") for name, why in sorted(found.items())]
