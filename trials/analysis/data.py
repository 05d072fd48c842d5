"""The data of one analysis: who got what, what was observed, and what it is adjusted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["continuous", "binary", "count", "time-to-event"]
Array = npt.NDArray[np.float64]


class DataError(ValueError):
    """The data of an analysis contradict its kind; the text says which subjects and what was expected."""


@dataclass(frozen=True)
class AnalysisData:
    """Observed subjects of one endpoint in two arms.

    Attributes
    ----------
    treated : array (subject,)
        0 in the control arm, 1 in the experimental arm.
    arms : (name of control, name of experimental)
    y : array (subject,)
        The outcome in `unit`; 0 or 1 where binary; a whole number where a count; a time where time-to-event.
    event : array (subject,), time-to-event only
        1 where the event was seen at `y`, 0 where follow-up ended without it.
    exposure : array (subject,), day, counts only
        Time during which events were counted.
    covariates : name -> array (subject,)
        Numbers; a word stands here as columns of 0 and 1.
    n_missing : int
        Subjects left out because the outcome or a covariate is unknown.
    """

    endpoint: str
    label: str
    kind: Kind
    direction: Literal["higher", "lower"]
    unit: str
    treated: Array
    arms: tuple[str, str]
    y: Array
    event: Array | None = None
    exposure: Array | None = None
    covariates: Mapping[str, Array] = field(default_factory=dict)
    n_missing: int = 0

    def __post_init__(self) -> None:
        for name, column in self._columns().items():
            values = np.asarray(column, dtype=np.float64)
            if values.shape != np.shape(self.y):
                raise DataError(f"{self.endpoint}: {name} has shape {values.shape}, the outcome {np.shape(self.y)}")
            self._refuse(~np.isfinite(values), name, "not a finite number; leave such subjects out and count them")
        self._refuse(~np.isin(self.treated, (0, 1)), "treated", "neither 0 nor 1")
        for arm, name in enumerate(self.arms):
            if not np.any(self.treated == arm):
                raise DataError(f"{self.endpoint}: arm {name!r} has no observed subject; no comparison can be made")
        self._check_kind()

    def _columns(self) -> dict[str, Array]:
        optional = {"event": self.event, "exposure": self.exposure}
        present = {name: values for name, values in optional.items() if values is not None}
        return {"y": self.y, "treated": self.treated, **present, **self.covariates}

    def _check_kind(self) -> None:
        if (self.event is not None) != (self.kind == "time-to-event"):
            raise DataError(f"{self.endpoint}: `event` is given for time-to-event data and for no other kind")
        if (self.exposure is not None) != (self.kind == "count"):
            raise DataError(f"{self.endpoint}: `exposure` is given for counts and for no other kind")
        if self.kind == "binary":
            self._refuse(~np.isin(self.y, (0, 1)), "the outcome", "neither 0 nor 1")
        if self.kind == "count":
            self._refuse((self.y < 0) | (self.y % 1 != 0), "the outcome", "not a count 0, 1, 2, ...")
        if self.exposure is not None:
            self._refuse(self.exposure <= 0, "exposure", "not above 0 days")
        if self.event is not None:
            self._refuse(self.y < 0, "time", "negative")
            self._refuse(~np.isin(self.event, (0, 1)), "event", "neither 0 nor 1")

    def _refuse(self, wrong: npt.NDArray[np.bool_], name: str, why: str) -> None:
        rows = np.flatnonzero(wrong)
        if rows.size:
            first = ", ".join(str(row) for row in rows[:5])
            raise DataError(f"{self.endpoint}: {name} of subjects {first} ({rows.size} of {np.size(self.y)}) is {why}")

    @property
    def n(self) -> int:
        """Subjects that are analysed."""
        return int(np.size(self.y))
