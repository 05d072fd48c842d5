"""Genotypes by ancestry: allele frequencies of the table, Hardy-Weinberg equilibrium, phenotypes as published."""

from collections import Counter

import numpy as np
import pytest

from twinarm.cohorts import load_population, sample_twins
from twinarm.cohorts.blocks import genotypes
from twinarm.models.randomness import uniforms

SIZE = 40_000
GENES = ("CYP2D6", "CYP2C9", "CYP2C19", "CYP4F2", "VKORC1", "SLCO1B1")


@pytest.fixture(scope="module")
def adults():
    return load_population("adult-us")


@pytest.fixture(scope="module")
def twins(adults):
    return sample_twins(adults, np.arange(SIZE), 7)


@pytest.mark.parametrize("gene", GENES)
def test_alleles_have_the_frequencies_of_the_table_and_pair_at_random(adults, twins, gene):
    t = adults.genotypes.alleles.columns
    for race, ancestry in (("nh_white", "EUR"), ("nh_black", "AFR"), ("hispanic", "AMR")):
        pairs = [tuple(g.split("/")) for g in twins[f"{gene}_genotype"].values[twins["race_ethnicity"] == race]]
        count = Counter(allele for pair in pairs for allele in pair)
        for row in np.flatnonzero((t["gene"] == gene) & (t["ancestry"] == ancestry)):
            allele, p = str(t["allele"][row]), float(t["frequency"][row])
            n = len(pairs)
            assert abs(count[allele] / (2 * n) - p) < 4.5 * np.sqrt(p * (1 - p) / (2 * n)) + 1e-9, (race, allele)
            both = sum(pair == (allele, allele) for pair in pairs) / n
            assert abs(both - p**2) < 4.5 * np.sqrt(p**2 * (1 - p**2) / n) + 1e-9, (race, allele)


def test_phenotypes_follow_from_the_two_alleles(twins):
    """Two alleles without function make a poor metaboliser of CYP2C19; *1/*17 a rapid one (CPIC)."""
    genotype, phenotype = twins["CYP2C19_genotype"].values, twins["CYP2C19"].values
    assert set(phenotype[np.isin(genotype, ["*2/*2", "*2/*3"])]) == {"poor"}
    assert set(phenotype[genotype == "*1/*2"]) == {"intermediate"}
    assert set(phenotype[genotype == "*1/*1"]) == {"normal"}
    assert set(phenotype[np.isin(genotype, ["*1/*17", "*17/*1"])]) == {"rapid"}
    assert set(phenotype[genotype == "*17/*17"]) == {"ultrarapid"}
    poor = twins["CYP2D6"].values == "poor"
    assert (twins["CYP2D6_score"].values[poor] == 0).all() and (twins["CYP2D6_score"].values[~poor] > 0).all()


def test_shares_of_phenotypes_are_near_those_published(twins):
    """Poor metabolisers of CYP2D6: 5 to 10 % of Europeans, of CYP2C19 2 to 5 % (recalled)."""
    white = twins["race_ethnicity"] == "nh_white"
    assert 0.04 < float((twins["CYP2D6"][white] == "poor").mean()) < 0.10
    assert 0.015 < float((twins["CYP2C19"][white] == "poor").mean()) < 0.05


def test_only_wanted_genes_are_drawn_and_each_is_the_same_alone(adults, twins, monkeypatch):
    """Each gene has its own stream: the bits of one do not depend on which others are drawn."""
    asked = []

    def noted(seed, purpose, ids, count=1):
        asked.append(purpose)
        return uniforms(seed, purpose, ids, count)

    monkeypatch.setattr(genotypes, "uniforms", noted)
    people = {"race_ethnicity": twins["race_ethnicity"].values}
    wanted = frozenset({"CYP2C9_score", "VKORC1"})
    drawn = adults.genotypes.draw(people, wanted, np.arange(SIZE), 7)
    assert set(drawn) == wanted and all((drawn[name] == twins[name].values).all() for name in wanted)
    assert asked == ["population.ancestry", "population.CYP2C9", "population.VKORC1"]
