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
# # Bring your own model
#
# A model is one file of your own: a class that declares what it needs and gives, and one function that turns a block of
# twins into trajectories. A protocol names it by its dotted path. This page takes `clinic/urate.py`, which lies beside
# it: a drug that lowers uric acid, three ordinary differential equations solved by twinarm's engine. Its numbers are
# chosen, not read from a study; the page shows how a model is brought in, not what the drug does.

# %%
import inspect
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, "notebooks")  # the page is executed from the root of the project

from clinic import urate

import twinarm
from twinarm.models.model import Conditions
from twinarm.workflows.run import read_outcomes
from twinarm.workflows.run_folder import RunFolder

# %% [markdown]
# ## The equations
#
# They are written once, for one twin, with named states and parameters. The engine compiles them, and integrates every
# twin with its own step size.

# %%
print(inspect.getsource(urate.rates))

# %% [markdown]
# ## A check before any trial
#
# Two limits are known without a computer. Without a dose nothing changes. With a dose far above the half-maximal
# concentration, production falls by `imax`, so uric acid ends at `1 - imax` of where it began.

# %%
twins = twinarm.sample_twins(twinarm.load_population("adult-us"), np.arange(200), seed=5)
schedule = twinarm.Schedule(run_in=7.0, duration=56.0, visits=(28.0, 56.0), visit_names=("week 4", "week 8"))


def course(dose: float) -> np.ndarray:
    """Serum urate over its start, (twin, day)."""
    conditions = Conditions(schedule, seed=5)
    found = urate.MODEL.simulate(twins, urate.Treatment(dose=dose), None, conditions)
    return (found["urate"] / twins["uric_acid"]).values


untreated, flooded = course(0.0), course(1e6)
assert np.allclose(untreated, 1.0)
assert np.allclose(flooded[:, -1], 1.0 - urate.TYPICAL["imax"], atol=1e-3)
print(f"no dose: {untreated[:, -1].mean():.4f} of the start; an enormous dose: {flooded[:, -1].mean():.4f}")

# %% [markdown]
# ## The same twins at three doses
#
# The random draws of a twin do not depend on its dose, so the curves differ by the dose alone.

# %%
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
days = np.arange(-7, 57)
for dose, style in ((20.0, ":"), (80.0, "--"), (240.0, "-")):
    middle = np.median(100 * course(dose), axis=0)
    axes.plot(days, middle, style, color="#0072b2", label=f"{dose:g} mg once a day")
axes.set(xlabel="day from randomisation", ylabel="serum urate, % of its start", ylim=(0, 110))
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## A trial with it
#
# The population is one that comes with twinarm; the eligibility rule reads its variables. Two of ten doses are missed
# in both arms. The folder in which a protocol's model lies must be importable: for the command line that is the folder
# in which `twinarm` is started.

# %%
PROTOCOL = """
format: 1
name: urate-trial
title: Two doses of a drug against high uric acid
question: Does 80 mg once a day lower serum urate further than 20 mg?
seed: 5
model: {name: clinic.urate}
population:
  name: adult-us
  twins: 120
  eligibility:
    - {rule: uric_acid >= 7, reason: uric acid below 7 mg/dL}
subjects: 60
arms:
  - {name: low, label: 20 mg, role: control, adherence: 0.8, treatment: {dose: 20 mg}}
  - {name: high, label: 80 mg, role: experimental, adherence: 0.8, treatment: {dose: 80 mg}}
allocation: {ratio: [1, 1]}
schedule:
  run_in: 1 week
  duration: 8 week
  visits: [{name: week 4, at: 4 week}, {name: week 8, at: 8 week}]
endpoints:
  - name: urate
    label: Serum urate
    measure: mean-level
    settings: {output: urate}
    role: primary
    direction: lower
estimands:
  - name: urate
    endpoint: urate
    population: Adults with uric acid of 7 mg/dL or more, all randomised
    summary: difference in means
    none_expected: because the example has no events after randomisation
analyses:
  - {endpoint: urate, model: continuous, estimand: urate, adjust: [baseline], decision: {margin: 0, probability: 0.975}}
"""
folder = tempfile.TemporaryDirectory()
file = Path(folder.name, "urate-trial.yaml")
file.write_text(PROTOCOL)
protocol = twinarm.load_protocol(file)  # every fault by line and column, if there were one

# %%
run = twinarm.run_trial(protocol, Path(folder.name, "run"), twinarm.Cluster(workers=1, processes=False))
primary = run.results["analyses"][0]
effect = primary["effect"]
print(f"exit code {run.exit_code}, {run.failed_twins} failed twins, report written: {run.report.exists()}")
print(f"{effect['median']:.2f} mg/dL ({effect['eti_low']:.2f} to {effect['eti_high']:.2f}), 95 % credible interval")
print(f"{primary['decision']['outcome']}, P = {primary['decision']['probability']:.4f}")

# %% [markdown]
# What the trial of 60 subjects estimates can be set beside what is true in the model, because every twin was simulated
# at both doses. No real trial has this column.

# %%
outcomes = read_outcomes(RunFolder(run.folder))
true = twinarm.true_effects(protocol, outcomes)
print(f"true difference in the bank of 120 twins: {float(true['value'][0]):.2f} mg/dL")
folder.cleanup()
