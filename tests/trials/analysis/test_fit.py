"""What a fit promises: the same bytes, honest refusals, and no answer where a gate fails."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinarm.trials.analysis.data import DataError
from twinarm.trials.analysis.fit import fit, seed_of
from twinarm.trials.analysis.priors import DEFAULT_PRIORS, PriorError
from twinarm.trials.analysis.sampling import Effort
from twinarm.trials.protocol import Prior

ROOT = Path(__file__).parents[3]
SHORT = Effort(draws=400, tune=400, most_draws=1600)
KINDS = {
    "continuous": "continuous",
    "binary": "binary",
    "count": "count",
    "piecewise-exponential": "time-to-event",
    "weibull": "time-to-event",
}


def digest(posterior):
    sha = hashlib.sha256()
    for name in sorted(posterior.data_vars):
        sha.update(name.encode() + np.ascontiguousarray(posterior[name].values).tobytes())
    return sha.hexdigest()


@pytest.mark.analysis
@pytest.mark.parametrize("model", KINDS)
def test_same_bytes_on_one_core_and_on_two(trial, rule, model):
    data = trial(KINDS[model], n=60)
    one, two = (fit(data, rule(model), 5, replace(SHORT, cores=cores)) for cores in (1, 2))
    assert digest(one.posterior) == digest(two.posterior)
    assert one.summary == two.summary
    assert one.ppc == two.ppc
    assert digest(fit(data, rule(model), 6, SHORT).posterior) != digest(one.posterior)


@pytest.mark.analysis
def test_a_fit_does_not_depend_on_what_ran_before(trial, rule):
    data = trial("continuous", n=60)
    first = fit(data, rule("continuous"), 5, SHORT)
    fit(trial("continuous", n=90, seed=2, covariates=False), rule("continuous"), 9, SHORT)
    assert digest(fit(data, rule("continuous"), 5, SHORT).posterior) == digest(first.posterior)


PROCESS = """
import sys
sys.path.insert(0, {folder!r})
from conftest import analysis_of, simulate_trial
from test_fit import SHORT, digest
from twinarm.trials.analysis.fit import fit
print(digest(fit(simulate_trial("time-to-event", n=60), analysis_of("piecewise-exponential"), 5, SHORT).posterior))
"""


@pytest.mark.analysis
@pytest.mark.slow
def test_same_bytes_in_every_process_and_from_every_cache(tmp_path):
    """PyTensor orders its graphs by hashes; the draws may not follow. The second process finds what is compiled."""
    code = PROCESS.format(folder=str(Path(__file__).parent))
    found = set()
    for hash_seed, cache in (("1", "a"), ("1", "a"), ("2", "b")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TWINARM_CACHE": str(tmp_path / cache)}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        found.add(run.stdout.strip())
    assert len(found) == 1


@pytest.mark.analysis
def test_an_unresolved_decision_asks_for_more_draws_and_then_says_so(trial, rule):
    data = trial("continuous", n=60, effect=0.3)
    p = fit(data, rule("continuous"), 5, SHORT).decision.probability
    assert 0.5 < p < 1  # a threshold at the probability itself can never be resolved
    found = fit(data, rule("continuous", probability=p), 5, Effort(draws=400, tune=400, most_draws=6400))
    assert found.posterior.sizes["draw"] == 1600
    assert found.decision.outcome == "not resolved"
    assert [gate.name for gate in found.gates if not gate.passed] == ["decision: |P - threshold| in MCSE"]


@pytest.mark.analysis
def test_too_few_draws_withhold_the_decision(trial, rule):
    data = trial("continuous", n=400, effect=1.0)
    found = fit(data, rule("continuous"), 5, Effort(draws=50, tune=300, most_draws=200))
    assert {"bulk ESS", "tail ESS"} <= {gate.name for gate in found.gates if not gate.passed}
    assert found.decision.probability > 0.99
    assert found.decision.outcome == "not resolved"
    assert not found.passed


@pytest.mark.analysis
def test_low_effective_sample_size_is_mended_by_more_draws(trial, rule):
    found = fit(trial("continuous"), rule("continuous"), 5, Effort(draws=100, tune=500))
    assert found.posterior.sizes["draw"] > 100
    assert found.passed


@pytest.mark.analysis
@pytest.mark.parametrize("model", KINDS)
def test_a_trial_of_six_subjects_has_an_answer_or_none(trial, rule, model):
    found = fit(trial(KINDS[model], n=6), rule(model), 5, SHORT)
    assert all(np.isfinite(row.mean) for row in found.summary)
    assert found.passed or found.decision.outcome == "not resolved"


@pytest.mark.analysis
@pytest.mark.parametrize("model", ["binary", "count", "piecewise-exponential"])
def test_no_event_in_either_arm_leaves_the_effect_at_its_prior(trial, rule, model):
    data = trial(KINDS[model], n=60, covariates=False)
    none = np.zeros(60)
    data = replace(data, event=none) if data.event is not None else replace(data, y=none)
    found = fit(data, rule(model), 5, replace(SHORT, most_draws=6400))
    effect = found.posterior["effect"].values
    better = (effect > (0 if model == "binary" else 1)).mean()
    assert better == pytest.approx(0.5, abs=0.06)


def test_an_outcome_without_variation_fails_a_gate(trial, rule):
    data = replace(trial("continuous", n=8), y=np.zeros(8))
    found = fit(data, rule("continuous"), 5)
    assert not found.passed
    assert found.decision.outcome == "not resolved"
    assert "nothing to analyse" in found.flags[0]
    assert found.posterior["effect"].dims == ("chain", "draw")


@pytest.mark.analysis
def test_a_covariate_that_does_not_vary_is_left_out_and_said(trial, rule):
    data = trial("continuous", n=60)
    found = fit(replace(data, covariates={**data.covariates, "sex=male": np.ones(60)}), rule("continuous"), 5, SHORT)
    assert "covariate 'sex=male' does not vary and was left out" in found.flags
    assert found.posterior["coefficient"].coords["covariate"].values.tolist() == ["age"]


@pytest.mark.analysis
def test_a_wrong_model_is_flagged_by_the_posterior_predictive_check(trial, rule):
    """Hazards far from proportional: in one arm events come all the time, in the other in two months alone."""
    data = trial("time-to-event", n=400, covariates=False)
    rng = np.random.default_rng(3)
    y = np.where(data.treated == 1, rng.uniform(270, 330, 400), rng.uniform(1, 500, 400))
    crossing = replace(data, y=y, event=np.ones(400))
    assert not fit(data, rule("piecewise-exponential"), 5, SHORT).flags
    flags = fit(crossing, rule("piecewise-exponential"), 5, SHORT).flags
    assert any(flag.startswith("posterior-predictive check: events") for flag in flags)


@pytest.mark.analysis
def test_a_stated_prior_replaces_the_default_and_is_printed(trial, rule):
    data = trial("continuous", effect=1.0)
    sceptical = rule("continuous", priors={"treatment": Prior(normal=(0.0, 0.1))})
    found, default = fit(data, sceptical, 5, SHORT), fit(data, rule("continuous"), 5, SHORT)
    # Precisions of about 100 (prior) and 100 (400 subjects): half of the effect is left.
    ratio = found.posterior["effect"].values.mean() / default.posterior["effect"].values.mean()
    assert ratio == pytest.approx(0.5, abs=0.1)
    assert found.priors["treatment"].startswith("Normal(0, 0.1); difference in means 95 % between -")
    assert default.flags == ()
    assert found.priors.keys() == DEFAULT_PRIORS["continuous"].keys()
    assert any(flag.startswith("prior-data conflict") and "'treatment'" in flag for flag in found.flags)


def test_the_model_must_fit_the_data(trial, rule):
    with pytest.raises(DataError, match="outcome is binary; model 'count' is for count endpoints"):
        fit(trial("binary"), rule("count"), 5)


def test_an_event_at_time_zero_has_no_weibull_likelihood(trial, rule):
    data = trial("time-to-event", n=10)
    data = replace(data, y=data.y * (np.arange(10) > 0), event=np.ones(10))
    with pytest.raises(DataError, match="1 events are at time 0"):
        fit(data, rule("weibull"), 5)


def test_an_unknown_prior_is_refused_with_the_known_ones(trial, rule):
    stated = rule("binary", priors={"treatmnt": Prior(normal=(0.0, 1.0))})
    with pytest.raises(PriorError, match="no parameter 'treatmnt'; its priors are intercept, treatment, covariates"):
        fit(trial("binary"), stated, 5)


def test_a_prior_of_the_wrong_family_is_refused(trial, rule):
    stated = rule("continuous", priors={"sigma": Prior(normal=(0.0, 1.0))})
    with pytest.raises(PriorError, match="'sigma' must be half_normal: sd or half_student_t"):
        fit(trial("continuous"), stated, 5)


def test_seeds_belong_to_endpoints():
    assert seed_of(1, "hba1c") == seed_of(1, "hba1c")
    assert len({seed_of(1, "hba1c"), seed_of(1, "weight"), seed_of(2, "hba1c")}) == 3
    assert 0 <= seed_of(2**63 - 1, "x") < 2**63


def test_loading_the_analysis_loads_no_bayesian_library():
    code = (
        "import sys, twinarm.trials.analysis.fit, twinarm.trials.analysis.survival;"
        "print([m for m in ('pymc', 'arviz', 'nutpie', 'pytensor', 'scipy.stats') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
