"""Fits in a run folder: the posterior as Zarr, everything else of a fit as JSON beside it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from . import store
from .run_folder import RunError, RunFolder, json_bytes, write_atomic

if TYPE_CHECKING:
    from ..trials.analysis.fit import Fit

PLAIN = ConfigDict(ser_json_inf_nan="strings")  # a probability that is not known is NaN, which JSON lacks


def save_fit(folder: RunFolder, endpoint: str, fit: Fit) -> str:
    """Write a fit under its endpoint's name; returns the digest of the posterior."""
    folder.posterior.mkdir(exist_ok=True)
    store.save(folder.posterior / f"{endpoint}.zarr", fit.posterior, 1)
    digest = store.digest(fit.posterior)
    plain = {name: json.loads(kind.dump_json(getattr(fit, name))) for name, kind in _kinds().items()}
    write_atomic(folder.posterior / f"{endpoint}.json", json_bytes({"format": 1, "digest": digest, "fit": plain}))
    return digest


def load_fit(folder: RunFolder, endpoint: str) -> Fit:
    """Read a fit back.

    Raises
    ------
    RunError
        It is not there, or is not what was written: run again.
    """
    from ..trials.analysis.fit import Fit

    try:
        text = json.loads((folder.posterior / f"{endpoint}.json").read_bytes())
        posterior = store.load(folder.posterior / f"{endpoint}.zarr")
        plain = {name: kind.validate_python(text["fit"][name]) for name, kind in _kinds().items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder.posterior}: the fit of {endpoint!r} cannot be read ({error}); run again") from None
    if store.digest(posterior) != text["digest"]:
        raise RunError(f"{folder.posterior}: the posterior of {endpoint!r} is not what was written; run again")
    return Fit(posterior=posterior, **plain)


def _kinds() -> dict[str, TypeAdapter[Any]]:
    """How each field of a fit but the posterior is written and read."""
    from ..trials.analysis.fit import Fit

    hints = get_type_hints(Fit)
    return {f.name: TypeAdapter(hints[f.name], config=PLAIN) for f in fields(Fit) if f.name != "posterior"}
