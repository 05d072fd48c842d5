"""Learn a population from a table of people: margins and dependence, with survey weights and missing values.

A table with age and sex becomes demographics and covariates, the structure of `adult-us` (`fit_people`). Any other
table becomes variables linked by a Gaussian copula (`fit_linked`). Missing values are taken to be missing at random.
"""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from ..population import Population
from ..population_file import load_population
from .linked import linked_block
from .people import People
from .prior import Prior
from .scores import Rows
from .surveyed import people_blocks

BEYOND = 0.1  # of the range of the table's values, on either side


@dataclass(frozen=True)
class Fitted:
    """A population file and the tables that stand beside it, by the end of their names (`curves`: NAME-curves.csv)."""

    name: str
    document: dict[str, Any]
    tables: dict[str, Rows]

    @cached_property
    def files(self) -> dict[str, str]:
        """Text of every file by its name, the population's last."""
        found = {table_name(self.name, kind): _csv(rows) for kind, rows in self.tables.items()}
        text = io.StringIO()
        writer = YAML()
        writer.width, writer.default_flow_style = 120, None
        writer.dump(self.document, text)
        return found | {f"{self.name}.yaml": text.getvalue()}

    def write(self, folder: Path) -> Path:
        """Write the population and its tables into a folder, once it is known to load; the path of the population."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fit-") as scratch:
            for name, text in self.files.items():
                (Path(scratch) / name).write_text(text, encoding="utf-8")
            load_population(Path(scratch) / f"{self.name}.yaml")
            for name in self.files:
                (Path(scratch) / name).replace(folder / name)
        return folder / f"{self.name}.yaml"


def fit_population(people: People, name: str, citation: str, towards: Population | None = None) -> Fitted:
    """A population whose twins are like the people of the table.

    Where people are few the figures are drawn `towards` those of another population, for variables of the same name.

    Raises
    ------
    PeopleError
        A column that cannot be used, or a population that the people cannot be drawn towards; says what to do.
    """
    head: dict[str, Any] = {
        "format": 1,
        "name": name,
        "title": f"People like those of {people.file}",
        "period": "that of the table",
        "method": "Learned from the rows of a table: weighted margins and pairwise (Gaussian) dependence.",
        "limits": (
            f"The {people.rows} people of the table and whom they stand for; values missing there are taken to be "
            "missing at random. Dependence is pairwise, and words are put in one order. Figures of few people are "
            "uncertain, and nothing here says so."
        ),
        "sources": [{"citation": citation, "licence": "that of the table"}],
    }
    prior = Prior.of(people, towards)
    if towards is not None:
        head["method"] += f" Drawn towards {towards.name}, which counts as {prior.people:g} people."
        head["sources"].append({"citation": f"population {towards.name}, and its sources", "licence": "as there"})
    blocks, tables = people_blocks(people, prior) if people.has_age_and_sex else linked_block(people)
    for block, kinds in TABLES.items():
        for key, kind in kinds.items():
            if kind in tables:
                part = blocks[block][0] if isinstance(blocks[block], list) else blocks[block]
                part[key] = table_name(name, kind)
    rules = [_range_rule(people, column) for column in people.numbers if column != "age"]
    return Fitted(name, {**head, **blocks, "plausibility": rules}, tables)


# Which field of which block names which table.
TABLES = {
    "demographics": {"table": "demographics"},
    "covariates": {"curves": "curves", "prevalence": "prevalence", "copula": "copula", "race_margins": "margins"},
    "linked": {"table": "correlations"},
}


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_name(name: str, kind: str) -> str:
    return f"{name}-{kind}.csv"


def _range_rule(people: People, column: str) -> dict[str, str]:
    """Values far beyond what the table shows are extrapolated tails."""
    low, high = float(np.nanmin(people.columns[column])), float(np.nanmax(people.columns[column]))
    beyond = BEYOND * (high - low)
    bottom = low - beyond if low < 0 else max(low - beyond, 0.5 * low)
    rule = f"{bottom:.6g} <= {column} <= {high + beyond:.6g}"
    return {"rule": rule, "reason": f"{column.replace('_', ' ')} far beyond the values of the table"}
