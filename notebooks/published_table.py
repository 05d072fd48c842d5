# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A published table 1, and a published baseline
#
# A trial is read before it is repeated. Here a cohort of people with heart failure is made to look like the people of
# DAPA-HF by its published table, and a cohort with type 1 diabetes like the people of a closed-loop trial by what their
# sensors showed before randomisation, which is simulated. Both say what it costs: the effective number of twins.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import twinarm
from twinarm.cohorts.calibration import calibrate, select
from twinarm.cohorts.calibration.targets import load_targets
from twinarm.trials.baseline import with_baseline

PUBLISHED = Path(twinarm.cohorts.__file__).parent / "populations" / "published"


def show(found):
    for m in found.matches:
        mark = "" if m.is_matched else "   NOT REACHED"
        print(f"{m.label:34s} {m.published:8.3g} {m.before:8.3g} {m.after:8.3g}{mark}")


# %% [markdown]
# ## From people in hospital to the people of a trial
#
# `heart-failure-reduced` holds to the US registry GWTG-HF. The people of DAPA-HF are younger, more often men and Asian,
# with slower hearts and better kidneys. Of all weights with which the twins have the trial's table, calibration takes
# those nearest to equal ones.

# %%
twins = twinarm.screen(twinarm.load_population("heart-failure-reduced"), 20_000, seed=3).cohort
targets = load_targets(PUBLISHED / "dapa-hf.yaml")
found = calibrate(twins, targets)
print(f"{'statistic':34s} {'trial':>8s} {'before':>8s} {'after':>8s}")
show(found)
print(f"effective number {found.effective:.0f} of {twins.sizes['twin']}")

# %% [markdown]
# Every statistic is met. The price is paid for race above all: the trial has 18 times as many Asian people as the
# registry. Without that line of the table the effective number is several times larger.

# %%
without_race = targets.changed(targets=tuple(t for t in targets.targets if t.variable != "race_ethnicity"))
print(f"effective number without race {calibrate(twins, without_race).effective:.0f}")

# %% [markdown]
# A selection accepts each twin with its weight over the largest one. It has fewer twins, each counted once, and meets
# the table within its sampling error.

# %%
chosen = select(twins, found.weights, seed=1)
print(f"{chosen.sizes['twin']} twins; ejection fraction {float(chosen['lvef'].mean()):.1f} %, published 31 %")

# %% [markdown]
# What no weights can reach is left, and said; the others are still met.

# %%
beyond = {"variable": "lvef", "unit": "%", "mean": 55.0}
show(calibrate(twins, targets.changed(targets=(*targets.targets[:2], beyond))))

# %% [markdown]
# ## A simulated baseline
#
# No covariate says how well glucose is controlled: that follows from model parameters, meals and behaviour. So the two
# weeks of run-in are simulated, and their sensor glucose becomes a variable of the cohort.

# %%
protocol = twinarm.load_protocol("t1d-closed-loop")
adults = twinarm.screen(twinarm.load_population("t1d-adults"), 1000, seed=1).cohort
adults = with_baseline(protocol, adults)
adults = adults.isel(twin=np.isfinite(adults["baseline_mean_glucose"].values))
weighted = calibrate(adults, load_targets(PUBLISHED / "control-iq-baseline.yaml"))
show(weighted)
print(f"effective number {weighted.effective:.0f} of {adults.sizes['twin']}")

# %%
figure, axes = plt.subplots(figsize=(7, 3))
bins = np.arange(0, 105, 5)
value = adults["baseline_time_in_range"].values
axes.hist(value, bins, histtype="step", density=True, label="twins as drawn")
axes.hist(value, bins, weights=weighted.weights, histtype="step", density=True, label="weighted to the trial")
axes.set_xlabel("time in range at baseline (%)")
axes.set_yticks([])
axes.legend()

# %% [markdown]
# On the command line the same is `twinarm cohort calibrate COHORT TARGETS --simulate t1d-closed-loop --out FILE`.
