"""What the report states are the numbers of the fits; where a gate failed, it states no efficacy."""

import html as html_module
import re
from dataclasses import replace

import numpy as np
import pytest

from twinarm.workflows.report.answer import answer, failed_gates, tiles
from twinarm.workflows.report.build import page_of, render
from twinarm.workflows.report.tables import gates_table, results_table, summary_table


def text_of(html: str) -> str:
    return html_module.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)))


@pytest.mark.parametrize("name", ["t1d", "docetaxel"])
def test_results_are_the_numbers_of_the_fits(name, request):
    contents = request.getfixturevalue(name)
    table = results_table(contents.analyses)
    assert len(table.rows) == len(contents.fits)
    for row, (endpoint, fit) in zip(table.rows, contents.fits.items(), strict=True):
        effect = next(r for r in fit.summary if r.name == "effect")
        assert row[0] == contents.protocol.endpoint(endpoint).label
        assert row[3].value == pytest.approx(effect.median, rel=1e-12)
        scale = 100 if "risk difference" in row[2] else 1
        low, high = (float(end.replace("−", "-")) for end in re.findall(r"−?[\d.]+", row[4])[:2])
        half_a_digit = 0.5 * 10.0 ** -len(row[3].text.partition(".")[2])
        assert low == pytest.approx(scale * effect.eti_low, abs=1.01 * half_a_digit)
        assert high == pytest.approx(scale * effect.eti_high, abs=1.01 * half_a_digit)
        assert float(row[3].text.replace("−", "-")) == pytest.approx(scale * effect.median, abs=1.01 * half_a_digit)


def test_full_numbers_stand_behind_the_rounded_ones(t1d):
    html = render(page_of(t1d))
    effect = t1d.fits["time_in_range"].summary[0]
    assert f'<data value="{effect.median!r}">' in html
    assert f'<data value="{t1d.fits["time_in_range"].decision.probability!r}">' in html


def test_answer_names_arms_interval_probability_and_rule(t1d):
    text, tone = answer(t1d)
    assert tone == "good"
    for part in (
        "Hybrid closed loop against Sensor-augmented pump",
        "credible interval",
        "97.5",
        "success by the rule",
    ):
        assert part in text


def test_no_success_is_said_plainly(t1d):
    fit = t1d.fits["time_in_range"]
    decision = replace(fit.decision, probability=0.62, outcome="no success")
    text, tone = answer(replace(t1d, fits={**t1d.fits, "time_in_range": replace(fit, decision=decision)}))
    assert tone == "plain"
    assert "62.0" in text
    assert "no success by the rule" in text


def test_hazard_ratio_below_one_favours_treatment(docetaxel):
    result = docetaxel.primary
    assert not result.is_higher_better
    assert result.better == np.mean(result.draws < 1)
    assert "below 1" in answer(docetaxel)[0]


def test_failed_gate_leaves_no_efficacy_statement(failed):
    page = page_of(failed)
    assert page.tone == "bad"
    assert "no efficacy statement" in page.answer
    assert [t.label for t in page.tiles] == ["Diagnostic gates passed"]
    assert failed_gates(failed).rows[0][1] == "R-hat"
    html = render(page)
    text = text_of(html)
    assert "A gate failed: no efficacy statement" in text
    for word in (
        "favours treatment",
        "success by the rule",
        "True effect",
        "True in the bank",
        "posterior of the effect",
    ):
        assert word not in text
    for fit in failed.fits.values():
        for row in fit.summary:
            for value in (row.median, row.mean, row.eti_low, row.eti_high):
                assert repr(value) not in html


def test_one_failed_safety_analysis_is_enough(t1d):
    fit = t1d.fits["time_below_54"]
    gates = (replace(fit.gates[0], passed=False), *fit.gates[1:])
    contents = replace(t1d, fits={**t1d.fits, "time_below_54": replace(fit, gates=gates)})
    assert not contents.passed
    assert "Time below 54" in answer(contents)[0]
    assert len(tiles(contents)) == 1


def test_failed_rows_are_marked_and_worded(failed):
    table = gates_table(failed.analyses)
    assert table.rows[0][-1] == "FAILED"
    assert table.mark(0) == "fail"
    assert {row[-1] for row in table.rows[1:]} == {"passed"}
    assert "Mean" not in summary_table(failed.analyses[0]).columns
