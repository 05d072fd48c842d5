"""Turn published allele frequencies into the table behind the genotypes of `adult-us` and `child-us`.

    python benchmarks/calibration/allele_figures.py pgx_allele_freq.csv

Adds what an allele is worth (the activity scores of CPIC and DPWG, Caudle 2020, PMC6951851; for VKORC1, CYP4F2 and
SLCO1B1 the number of variant alleles) and fills the ancestries that the first table lacks.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

OUT = Path(__file__).parents[2] / "cohorts" / "populations" / "data" / "pgx_alleles.csv"
HALF = {"CYP2D6": ("*17", "*29", "*41"), "CYP2C9": ("*2", "*5", "*8", "*11")}
QUARTER = ("*10", "*36+*10")
GLOBAL = "derived: frequency of all of 1000 Genomes (PMC8492395 table 2) less that of the other four ancestries"
MORE = [  # gene, allele, ancestry, per cent, source, provenance
    ("CYP2C9", "*2", "SAS", 3.5, GLOBAL, "derived"),
    ("CYP2C9", "*3", "SAS", 11.7, "Cespedes-Garro 2015, abstract (doi 10.1517/17425255.2015.1111871)", "read"),
    ("VKORC1", "-1639A", "SAS", 14.5, GLOBAL, "derived"),
    ("CYP4F2", "*3", "SAS", 41.0, "1000 Genomes phase 3", "recalled"),
    ("SLCO1B1", "*5", "SAS", 4.3, "1000 Genomes phase 3", "recalled"),
    ("SLCO1B1", "*5", "AMR", 13.4, GLOBAL + ", with the recalled SAS", "derived"),
    *[("CYP2C19", allele, ancestry, share, "PMC5872082 table 3 (1000 Genomes)", "read") for allele, ancestry, share in
      [("*2", "AMR", 10.1), ("*3", "AMR", 0.0), ("*17", "AMR", 12.0),
       ("*2", "SAS", 34.0), ("*3", "SAS", 0.4), ("*17", "SAS", 13.6)]],
]  # fmt: skip
SHORT = {"-1639A (rs9923231)": "-1639A", "rs4149056 (*5 tag; *5 and *15)": "*5"}


def main() -> None:
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as lines:
        found = [_row(row) for row in csv.DictReader(lines) if row["population"] != "KOR"]
    rows = [*found, *MORE]
    with OUT.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["gene", "allele", "ancestry", "frequency", "value", "provenance", "source"])
        for gene, allele, ancestry, percent, source, provenance in sorted(rows):
            if not (gene == "CYP2D6" and allele == "*1"):  # what the other alleles leave over
                frequency, value = f"{percent / 100:.4f}", f"{_value(gene, allele):g}"
                lines.writerow([gene, allele, ancestry, frequency, value, provenance, source])


def _row(row: dict[str, str]) -> tuple[str, str, str, float, str, str]:
    ancestry = row["population"].replace("AFR_AMERICAN", "AFR")
    provenance = "derived" if row["source"].startswith("derived") else "read"
    allele = SHORT.get(row["allele"], row["allele"])
    return row["gene"], allele, ancestry, float(row["allele_freq_pct"]), row["source"], provenance


def _value(gene: str, allele: str) -> float:
    """What one copy adds to the score of the gene; *1 (and what no allele claims) adds 1, or 0 where variants count."""
    if gene in ("VKORC1", "CYP4F2", "SLCO1B1"):
        return 1.0
    if gene == "CYP2C19":
        return 1.25 if allele == "*17" else 0.0  # more than normal, less than two halves of it
    if gene == "CYP2C9":
        return 0.5 if allele in HALF[gene] else 0.0
    if allele in ("*1x2", "*2x2"):
        return 2.0
    if allele in ("*2", "*45"):
        return 1.0
    return 0.25 if allele in QUARTER else 0.5 if allele in HALF[gene] else 0.0


if __name__ == "__main__":
    main()
