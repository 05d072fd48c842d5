"""Docetaxel in previously treated non-small-cell lung cancer.

`pharmacology` (plasma and neutrophils), `tumour` (size), `survival` (RECIST and death) hold equations;
`regimen` the dose rules, `disease` a block's tumours, `course` the loop of treatment, `parameters` the
sources, `model` the contract.
"""

from .model import MODEL

__all__ = ["MODEL"]
