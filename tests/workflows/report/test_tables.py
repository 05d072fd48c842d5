"""Tables: baseline by arm, published beside simulated, provenance with the weak values first."""

from dataclasses import replace

import numpy as np
import pytest

from twinarm.workflows.report.design import baseline_table
from twinarm.workflows.report.drawing import Datum, Table
from twinarm.workflows.report.published import published_tables, simulated_value, verdict
from twinarm.workflows.report.sources import parameter_rows, parameter_tables


def test_baseline_is_that_of_the_randomised(t1d):
    table = baseline_table(t1d, ("age", "sex"))
    subjects = t1d.subjects
    is_control = subjects["arm"].values == "open-loop"
    own = subjects["covariate_age"].values[is_control]
    age = next(row for row in table.rows if str(row[0]).startswith("Age"))
    assert age[1].value == own.mean()
    female = next(row for row in table.rows if row[0] == "Sex: female")
    assert female[1].value == (subjects["covariate_sex"].values[is_control] == "female").sum()


def test_verdict_needs_a_range(t1d):
    value = next(v for v in t1d.protocol.published[0].values if v.accept is not None)
    assert verdict(value, value.accept[0]) == "met"
    assert verdict(value, value.accept[1] + 0.01) == "MISSED"
    assert verdict(value.model_copy(update={"accept": None}), value.value + 1.0) == "no range set; +1"
    assert verdict(value, float("nan")) == "not available"


def test_published_values_are_set_beside_ours_in_their_unit(t1d, docetaxel):
    effect = next(
        v for v in t1d.protocol.published[0].values if v.quantity == "effect" and v.endpoint == "time_in_range"
    )
    assert simulated_value(t1d, effect)[0] == pytest.approx(t1d.fits["time_in_range"].summary[0].median)
    share = next(v for p in docetaxel.protocol.published for v in p.values if v.endpoint == "response")
    data = docetaxel.data["response"]
    own = data.y[data.treated == data.arms.index(share.arm)]
    assert simulated_value(docetaxel, share)[0] == pytest.approx(100 * own.mean())


def test_calibration_is_told_from_validation(t1d):
    (table,) = published_tables(t1d)
    uses = [row[5] for row in table.rows]
    assert "calibration (fit)" in uses
    assert "validation (prediction)" in uses
    assert table.mark(uses.index("calibration (fit)")) == "warn"


def test_effect_is_withheld_where_a_gate_failed(failed):
    effect = next(v for v in failed.protocol.published[0].values if v.quantity == "effect")
    assert np.isnan(simulated_value(failed, effect)[0])


def test_every_parameter_is_listed_and_the_weak_come_first(t1d):
    from twinarm.models.model import find_model

    rows = parameter_rows(t1d)
    names = [row[0] for _, row in rows]
    assert {p.name for p in find_model(t1d.protocol.model.name).parameters} <= set(names)
    assert {str(name) for name in t1d.cohort.data_vars} <= set(names)
    tags = [tag for tag, _ in rows]
    order = ["recalled", "chosen", "derived", "read"]
    assert [order.index(tag) for tag in tags] == sorted(order.index(tag) for tag in tags)
    weak, firm, _ = parameter_tables(t1d)
    assert len(weak.rows) + len(firm.rows) == len(rows)
    assert all(weak.mark(k) == "warn" for k in range(len(weak.rows)))


def test_numeric_columns_are_those_of_numbers():
    table = Table("t", ("a", "b", "c"), (("x", Datum(1.0, "1"), "–"), ("y", "–", "–")))
    assert table.numeric == (False, True, False)
    assert Table("t", ("a",), ()).numeric == (False,)


def test_a_published_median_survival_is_read_from_the_curve(docetaxel):
    values = [v for p in docetaxel.protocol.published for v in p.values if v.quantity == "median"]
    assert values
    ours, _ = simulated_value(docetaxel, values[0])
    assert 0 < ours < 60


def test_nothing_is_compared_without_an_observation(docetaxel):
    value = docetaxel.protocol.published[0].values[0]
    assert np.isnan(simulated_value(replace(docetaxel, data={}, outcomes=None), value)[0])
