"""Closed forms of linear bodies: exact between events, a million twins a second and core.

`body` holds the bodies and the two ways to solve them, `schedule` lays out records and samples, `kernel` (sums of
exponentials) and `matrix` (matrix exponential) are compiled. Equations are those of `Mammillary`; time and amounts in
any consistent units.
"""

from .body import ClosedForm, Mammillary, linear, mammillary

__all__ = ["ClosedForm", "Mammillary", "linear", "mammillary"]
