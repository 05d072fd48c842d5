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
# # A device trial
#
# Hybrid closed-loop insulin delivery against a sensor-augmented pump in adults with type 1 diabetes, after the trial
# of Brown et al. 2019 (N Engl J Med 381:1707). Here the shipped protocol is cut down to 24 twins and six weeks, so that
# the page is executed in under a minute; `twinarm run t1d-closed-loop` runs all of it.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import twinarm
from twinarm.workflows.run import read_outcomes
from twinarm.workflows.run_folder import RunFolder

# %% [markdown]
# ## The protocol, and what is changed
#
# A protocol is a value that cannot be changed; `model_copy` makes another one. Two weeks of run-in and 26 weeks become
# one and five, eight analyses become three, and the trajectories of every twin are kept for the last two days.

# %%
full = twinarm.load_protocol("t1d-closed-loop")
kept = ("time_in_range", "time_below_70", "level2_hypoglycaemia")
first, second = full.schedule.visits[:2]
protocol = full.model_copy(
    update={
        "population": full.population.model_copy(update={"twins": 24}),
        "subjects": 24,
        "schedule": full.schedule.model_copy(
            update={
                "run_in": 7.0,
                "duration": 35.0,
                "visits": (first, second.model_copy(update={"name": "week 5", "at": 35.0})),
            }
        ),
        "analyses": tuple(analysis for analysis in full.analyses if analysis.endpoint in kept),
        "keep": full.keep.model_copy(update={"start": 33.0, "end": 35.0}),
    }
)
print(protocol.question)
for arm in protocol.arms:
    print(f"{arm.name}: {arm.label}, {arm.treatment}")

# %% [markdown]
# ## The twins
#
# Candidates are drawn from the population by number and screened in that order; the first 24 that pass are the bank. A
# twin's covariates and model parameters depend on its number and the seed alone.

# %%
screening = twinarm.screen(
    twinarm.load_population(protocol.population.name),
    protocol.population.twins,
    protocol.seed,
    protocol.population.eligibility,
)
cohort = screening.cohort
print(f"{cohort.sizes['twin']} twins out of {screening.candidates} candidates")
for name in ("age", "weight", "bmi"):
    print(f"{name}: {cohort[name].values.mean():.1f} {cohort[name].attrs['units']} on average")

# %% [markdown]
# ## One twin's last two days, in both arms
#
# The same person, meals and sensor errors; the only difference is the device. This pair exists in a simulation alone:
# no trial sees both.

# %%
days = {}
for arm in protocol.arms:
    _, days[arm.name] = twinarm.simulate_block(protocol, arm.name, cohort.isel(twin=[0]), cohort["twin"].values[:1])

figure, axes = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
axes.axhspan(70, 180, color="#009e73", alpha=0.12, lw=0, label="70 to 180 mg/dL")
for arm, colour, style in zip(protocol.arms, ("#d55e00", "#0072b2"), ("--", "-"), strict=True):
    cgm = days[arm.name]["cgm"].isel(twin=0)
    axes.plot(cgm["time"], cgm, style, color=colour, lw=1.4, label=arm.label)
axes.set(xlabel="day from randomisation", ylabel="sensor glucose, mg/dL", ylim=(0, 400))
axes.legend(frameon=False, ncols=3, loc="upper center")
plt.show()

# %% [markdown]
# ## The run
#
# Screening, both arms of every twin, the trial drawn from them, its analysis and its report: one call, into a folder.
# A folder that was cut off goes on where it stopped.

# %%
folder = tempfile.TemporaryDirectory()
run = twinarm.run_trial(protocol, Path(folder.name, "run"), twinarm.Cluster(processes=False))
outcomes = read_outcomes(RunFolder(run.folder))
print(f"exit code {run.exit_code}; {run.failed_twins} of {outcomes.sizes['twin']} twins failed")

# %% [markdown]
# ## Endpoints
#
# Each endpoint is one number for every twin, arm and visit. `baseline` is the run-in, in which both arms carry the same
# pump, so their values there are equal to the last bit.

# %%
share = outcomes["time_in_range"]
for visit in share["visit"].values:
    values = share.sel(visit=visit).mean("twin")
    print(f"{visit:10}", "   ".join(f"{arm}: {float(values.sel(arm=arm)):.1f} %" for arm in share["arm"].values))
baseline = share.sel(visit="baseline")
assert np.array_equal(baseline.isel(arm=0), baseline.isel(arm=1), equal_nan=True)

# %% [markdown]
# ## Analysis
#
# The trial sees each subject in one arm only, one of three on the pump. Its estimate is a posterior; beside it stands
# the truth of this bank, which is known because every twin was simulated in both arms.

# %%
for row in run.results["analyses"]:
    effect = row["effect"]
    decision = "" if row["decision"] is None else f"; {row['decision']['outcome']}"
    print(
        f"{row['label']}: {effect['median']:.2f}{'' if effect['unit'] == '1' else ' ' + effect['unit']} "
        f"({effect['eti_low']:.2f} to {effect['eti_high']:.2f}, 95 %){decision}"
    )

true = twinarm.true_effects(protocol, outcomes)
row = int(np.flatnonzero(true["endpoint"].values == "time_in_range")[0])
value, error = float(true["value"][row]), float(true["se"][row])
print(f"true effect on time in range: {value:.2f} percent, standard error {error:.2f}")
folder.cleanup()

# %% [markdown]
# ## Beside the published trial
#
# Brown et al. report 59 % of time in range with the pump and 71 % with the closed loop over six months, an adjusted
# difference of 11 percentage points. The figures of the shipped protocol:

# %%
for published in full.published[0].values:
    print(
        f"{published.endpoint}, {published.quantity}, {published.arm or 'between the arms'}: {published.value:g}",
        end="",
    )
    print(f" {published.unit} ({published.use})")

# %% [markdown]
# How far this goes:
#
# - Daily life (meals, missed boluses) was set on the control arm of that trial. Agreement there is a fit; it shows
#   nothing.
# - The commercial algorithm is not public. The arm here follows its published thresholds, and the gain between them was
#   chosen with the result in view. The difference between the arms is therefore only partly a prediction.
# - The published trial found *less* time below 70 mg/dL with the closed loop (0.88 percentage points). The model does
#   not find that reliably: it is a known weak point, and the report prints both numbers.
# - 24 twins and five weeks carry a large Monte Carlo error. Nothing on this page says anything about a product.
