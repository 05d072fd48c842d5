"""Gates: what must hold before a posterior may speak.

R-hat, effective sample sizes and their Monte Carlo errors are computed here, so that they are the same numbers on every
version of the Bayesian libraries (tests set them beside ArviZ).

Source
------
Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021, Rank-normalization, folding, and localization: an improved R-hat,
Bayesian Analysis 16:667, doi 10.1214/20-BA1221. E-BFMI: Betancourt 2016, arXiv 1604.00695.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .data import Array

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400.0
MCSE_LIMIT = 0.05
DEPTH_LIMIT = 0.01
EBFMI_LIMIT = 0.3
RESOLVED_AT = 4.0  # Monte Carlo errors between the probability and its threshold
SAMPLER = ("diverging", "tree_depth", "energy")


@dataclass(frozen=True)
class Gate:
    """One condition, the worst value found, and its limit in words."""

    name: str
    value: float
    limit: str
    passed: bool


@dataclass(frozen=True)
class Row:
    """Summary of one monitored quantity; the interval is equal-tailed and holds `ci_prob`."""

    name: str
    unit: str
    mean: float
    sd: float
    median: float
    eti_low: float
    eti_high: float
    ci_prob: float
    r_hat: float
    ess_bulk: float
    ess_tail: float
    mcse: float


def r_hat(draws: Array) -> float:
    """Rank-normalised split R-hat of (chain, draw): the larger of the bulk's and the tails'."""
    halves = _split(draws)
    folded = np.abs(halves - np.median(halves))
    return max(_r_hat(_rank_normalised(halves)), _r_hat(_rank_normalised(folded)))


def ess_bulk(draws: Array) -> float:
    """Effective sample size of the rank-normalised draws (chain, draw)."""
    return _ess(_rank_normalised(_split(draws)))


def ess_tail(draws: Array) -> float:
    """The smaller effective sample size of the two 5 % tails."""
    low, high = np.quantile(draws, [0.05, 0.95])
    return min(ess_mean((draws <= low).astype(float)), ess_mean((draws <= high).astype(float)))


def ess_mean(draws: Array) -> float:
    """Effective sample size for the mean."""
    return _ess(_split(draws))


def e_bfmi(energy: Array) -> float:
    """Energy Bayesian fraction of missing information, the smallest of the chains."""
    steps, spread = (np.diff(energy, axis=1) ** 2).mean(axis=1), energy.var(axis=1)
    return float(np.min(steps / spread))


def _split(draws: Array) -> Array:
    """Each chain as two: its first and its last half."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _rank_normalised(draws: Array) -> Array:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(draws, method="average").reshape(draws.shape)
    normal: Array = ndtri((ranks - 0.375) / (draws.size + 0.25))
    return normal


def _r_hat(chains: Array) -> float:
    n = chains.shape[1]
    within = chains.var(axis=1, ddof=1).mean()
    between = n * chains.mean(axis=1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else np.inf
    return float(np.sqrt((n - 1) / n + between / within / n))


def _ess(chains: Array) -> float:
    """Geyer's initial monotone sequence over the autocorrelations of several chains."""
    m, n = chains.shape
    if np.ptp(chains) < 1e-300:  # constant: every draw says the same
        return float(m * n)
    centred = chains - chains.mean(axis=1, keepdims=True)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n] / n
    mean_variance = covariance[:, 0].mean() * n / (n - 1)
    total = mean_variance * (n - 1) / n
    if m > 1:
        total += chains.mean(axis=1).var(ddof=1)
    rho = 1.0 - (mean_variance - covariance.mean(axis=0)) / total
    rho[0] = 1.0
    pairs = rho[: 2 * (n // 2)].reshape(-1, 2).sum(axis=1)[: max(1, (n - 3) // 2)]
    negative = np.flatnonzero(pairs < 0)
    stop = int(negative[0]) if negative.size else len(pairs)
    monotone = np.minimum.accumulate(pairs[:stop])
    extra = rho[2 * stop] if 2 * stop < n and rho[2 * stop] > 0 else 0.0
    tau = max(-1.0 + 2.0 * monotone.sum() + extra, 1.0 / np.log10(m * n))
    return float(m * n / tau)


def summarise(posterior: xr.Dataset, ci_prob: float) -> tuple[Row, ...]:
    """One row for each scalar of each monitored quantity: all of the posterior but the sampler's own statistics."""
    return tuple(
        _row(name, str(posterior[variable].attrs.get("units", "1")), values, ci_prob)
        for variable in map(str, posterior.data_vars)
        if variable not in SAMPLER
        for name, values in _scalars(posterior[variable])
    )


def _scalars(quantity: xr.DataArray) -> list[tuple[str, Array]]:
    """(name, draws) of each element of a quantity over (chain, draw[, dim])."""
    values = np.asarray(quantity.transpose("chain", "draw", ...).values, dtype=np.float64)
    if values.ndim == 2:
        return [(str(quantity.name), values)]
    labels = quantity.coords[quantity.dims[-1]].values
    shown = [f"{label:.4g}" if isinstance(label, float) else str(label) for label in labels.tolist()]
    return [(f"{quantity.name}[{label}]", values[..., i]) for i, label in enumerate(shown)]


def _row(name: str, unit: str, draws: Array, ci_prob: float) -> Row:
    if not np.isfinite(draws).all():
        nan = float("nan")
        return Row(name, unit, nan, nan, nan, nan, nan, ci_prob, np.inf, 0.0, 0.0, np.inf)
    tail = (1 - ci_prob) / 2
    low, median, high = np.quantile(draws, [tail, 0.5, 1 - tail])
    sd = float(draws.std(ddof=1))
    return Row(
        name=name,
        unit=unit,
        mean=float(draws.mean()),
        sd=sd,
        median=float(median),
        eti_low=float(low),
        eti_high=float(high),
        ci_prob=ci_prob,
        r_hat=r_hat(draws),
        ess_bulk=ess_bulk(draws),
        ess_tail=ess_tail(draws),
        mcse=sd / np.sqrt(ess_mean(draws)),
    )


def gates_of(posterior: xr.Dataset, rows: Sequence[Row], max_depth: int) -> tuple[Gate, ...]:
    """Every gate but the decision's own, with the worst value over the monitored quantities."""
    worst_r = max(row.r_hat for row in rows)
    bulk, tail = min(row.ess_bulk for row in rows), min(row.ess_tail for row in rows)
    error = max(row.mcse / row.sd if row.sd > 0 else np.inf for row in rows)
    divergent = float(posterior["diverging"].values.sum())
    saturated = float((posterior["tree_depth"].values >= max_depth).mean())
    fraction = e_bfmi(np.asarray(posterior["energy"].values, dtype=np.float64))
    return (
        Gate("R-hat", worst_r, f"< {R_HAT_LIMIT:g}", worst_r < R_HAT_LIMIT),
        Gate("bulk ESS", bulk, f"> {ESS_LIMIT:g}", bulk > ESS_LIMIT),
        Gate("tail ESS", tail, f"> {ESS_LIMIT:g}", tail > ESS_LIMIT),
        Gate("divergences", divergent, "0", divergent == 0),
        Gate("share of draws at the largest tree depth", saturated, f"< {DEPTH_LIMIT:g}", saturated < DEPTH_LIMIT),
        Gate("E-BFMI", fraction, f"> {EBFMI_LIMIT:g}", fraction > EBFMI_LIMIT),
        Gate("MCSE of the mean over posterior sd", error, f"< {MCSE_LIMIT:g}", error < MCSE_LIMIT),
    )
