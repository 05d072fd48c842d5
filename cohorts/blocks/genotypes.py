"""Genotypes by ancestry: two alleles under Hardy-Weinberg equilibrium, their summed score, and the phenotype.

The score of a diplotype is the sum over its alleles (CPIC and DPWG activity scores; for genes without one, the number
of variant alleles); a phenotype is a range of scores. Genes are independent of each other given ancestry.

Source: Caudle 2020, Clin Transl Sci 13:116 (PMC6951851) for the scores; the tables state theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...models.randomness import Seed, uniforms
from .parts import Described, Part, VariableName
from .tables import TableError, TableFile


class Phenotype(Part):
    """The word for scores up to and including `up_to`, above those of the phenotype before it."""

    up_to: float
    word: str


class Gene(Described):
    """A gene's phenotype. An allele that no row claims is the `reference`, which adds `rest` to the score."""

    reference: str = "*1"
    rest: float
    phenotypes: Annotated[tuple[Phenotype, ...], Field(min_length=2)]


class Ancestry(Part):
    """Shares of ancestries among people of a race/ethnicity."""

    race_ethnicity: str
    shares: dict[str, Annotated[float, Field(ge=0)]]

    def __hash__(self) -> int:
        return hash((self.race_ethnicity, *sorted(self.shares.items())))


class Genotypes(Part):
    """Phenotypes of genes, with `NAME_genotype` and `NAME_score` of each, and the `ancestry` they are drawn from."""

    alleles: TableFile
    ancestry: Annotated[tuple[Ancestry, ...], Field(min_length=1)]
    ancestry_name: VariableName = "ancestry"
    source: str
    genes: Annotated[tuple[Gene, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _tables_fit(self) -> Self:
        fault = ""
        try:
            self.alleles.need("gene", "allele", "ancestry", "frequency", "value")
        except TableError as error:
            fault = str(error)
        else:
            fault = self._fault()
        if fault:
            raise PydanticCustomError("genotypes", "{fault}", {"fault": fault})
        return self

    def _fault(self) -> str:
        t, file = self.alleles.columns, self.alleles.name
        for row in self.ancestry:
            if abs(sum(row.shares.values()) - 1) > 1e-6:
                return f"ancestry of {row.race_ethnicity} has shares that sum to {sum(row.shares.values()):g}, not to 1"
        for gene in self.genes:
            for ancestry in self.ancestries:
                rows = (t["gene"] == gene.name) & (t["ancestry"] == ancestry)
                if not rows.any():
                    return f"{file} has no row of {gene.name} in {ancestry}; add its alleles"
                if (t["frequency"][rows] < 0).any() or t["frequency"][rows].sum() > 1:
                    return (
                        f"{file} has frequencies of {gene.name} in {ancestry} below 0 or above 1 in sum; correct them"
                    )
            ends = [phenotype.up_to for phenotype in gene.phenotypes]
            if ends != sorted(set(ends)):
                return f"{gene.name} has phenotypes whose up_to do not rise; put them in order"
        return ""

    @property
    def ancestries(self) -> tuple[str, ...]:
        return tuple(sorted({name for row in self.ancestry for name in row.shares}))

    @property
    def attrs(self) -> dict[str, dict[str, str]]:
        """Attributes of every variable that is drawn."""
        text = {"units": "1", "source": self.source, "provenance": "chosen"}
        found = {self.ancestry_name: {**text, "long_name": "genetic ancestry behind the genotypes"}}
        for gene in self.genes:
            found[gene.name] = gene.attrs
            found[f"{gene.name}_genotype"] = {**gene.attrs, "long_name": f"{gene.name}, the two alleles"}
            found[f"{gene.name}_score"] = {**gene.attrs, "long_name": f"{gene.name}, activity or variant alleles"}
        return found

    @cached_property
    def tables(self) -> dict[str, GeneTable]:
        """Of each gene what a draw looks up."""
        t = self.alleles.columns
        found = {}
        for gene in self.genes:
            ours = t["gene"] == gene.name
            names = [gene.reference, *dict.fromkeys(t["allele"][ours].tolist())]
            values = dict(zip(t["allele"][ours].tolist(), t["value"][ours].tolist(), strict=True))
            shares = np.zeros((len(self.ancestries), len(names)))
            for i, ancestry in enumerate(self.ancestries):
                rows = ours & (t["ancestry"] == ancestry)
                for allele, frequency in zip(t["allele"][rows], t["frequency"][rows], strict=True):
                    shares[i, names.index(allele)] = frequency
                shares[i, 0] = 1 - shares[i].sum()
            found[gene.name] = GeneTable(
                edges=np.cumsum(shares, axis=1),
                scores=np.array([gene.rest, *(values[name] for name in names[1:])]),
                genotypes=np.array([[f"{a}/{b}" for b in names] for a in names]),
                ends=np.array([phenotype.up_to for phenotype in gene.phenotypes[:-1]]),
                words=np.array([phenotype.word for phenotype in gene.phenotypes]),
            )
        return found

    def draw(self, people: Mapping[str, Any], wanted: frozenset[str], ids: np.ndarray, seed: Seed) -> dict[str, Any]:
        """Ancestry and, of the wanted genes, phenotype, alleles and score of people with `race_ethnicity`."""
        u = uniforms(seed, "population.ancestry", ids)[:, 0]
        number = np.zeros(ids.size, dtype=np.intp)
        for row in self.ancestry:
            edges = np.cumsum([row.shares.get(name, 0.0) for name in self.ancestries])
            there = people["race_ethnicity"] == row.race_ethnicity
            number[there] = np.minimum(np.searchsorted(edges, u[there], side="right"), edges.size - 1)
        drawn: dict[str, Any] = {self.ancestry_name: np.array(self.ancestries)[number]}
        for gene in self.genes:
            of_gene = gene.name, f"{gene.name}_genotype", f"{gene.name}_score"
            if not wanted.isdisjoint(of_gene):
                found = self.tables[gene.name].draw(number, uniforms(seed, f"population.{gene.name}", ids, 2))
                drawn |= dict(zip(of_gene, found, strict=True))
        return {name: values for name, values in drawn.items() if name in wanted}


@dataclass(frozen=True)
class GeneTable:
    """A gene's alleles: upper `edges` (ancestry, allele) of their shares, `scores` (allele,), `genotypes` of two.

    `words` (phenotype,) are those of scores up to and including `ends`, the last of all others.
    """

    edges: np.ndarray
    scores: np.ndarray
    genotypes: np.ndarray
    ends: np.ndarray
    words: np.ndarray

    def draw(self, ancestry: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Phenotype, genotype and score, each (twin,), by ancestry's number and two uniforms (twin, 2)."""
        alleles = np.sort([(one[:, None] >= self.edges[ancestry, :-1]).sum(axis=1) for one in u.T], axis=0)
        score = self.scores[alleles[0]] + self.scores[alleles[1]]
        word = self.words[np.searchsorted(self.ends, score, side="left")]
        return word, self.genotypes[tuple(alleles)], score
