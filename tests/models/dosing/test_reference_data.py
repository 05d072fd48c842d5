"""Three real data sets run as they are, and the engine agrees with closed forms on every row of them."""

from pathlib import Path

import numpy as np
import pytest

from twinarm.models.closed_form import Mammillary, mammillary
from twinarm.models.dosing import Compartment, Layout, check_events, predict, read_events
from twinarm.models.engine import System
from twinarm.models.model import Status, Tolerance

pytestmark = pytest.mark.reference
TIGHT = Tolerance(1e-9, 1e-11)


def one(t, y, p, u):
    return -p.ka * y.depot, p.ka * y.depot - p.CL / p.V * y.central


ORAL = System("oral one", ("depot", "central"), ("ka", "CL", "V", "tlag"), (), one, "hour")
ORAL_LAYOUT = Layout((Compartment("depot", lag="tlag"), Compartment("central")))


def two(t, y, p, u):
    out = p.Q / p.V * y.central - p.Q / p.Vp * y.peripheral
    return u.rate - p.CL / p.V * y.central - out, out


IV = System("iv two", ("central", "peripheral"), ("CL", "V", "Q", "Vp"), ("rate",), two, "hour")
IV_LAYOUT = Layout((Compartment("central", "rate"), Compartment("peripheral")))


@pytest.fixture(scope="module")
def folder(reference_data: Path) -> Path:
    return reference_data / "pkpd_nlmixr2data"


def first_rows(events):
    return np.flatnonzero(np.r_[True, events.id[1:] != events.id[:-1]])


def correlation(events, central, V, rows):
    return np.corrcoef(central[rows] / V[rows], events.dv[rows])[0, 1]


def test_theophylline_of_twelve_people(folder):
    """Population values of Pinheiro & Bates 2000 (recalled): ka 1.57 1/h, CL 0.0402 L/h/kg, V 0.457 L/kg."""
    events = read_events(folder / "theo_sd.csv")
    check_events(events, ORAL_LAYOUT)
    assert len(list(events.subjects())) == 12 and (events.evid == 1).sum() == 12 and (events.evid == 0).sum() == 132
    weight = events.covariates["WT"][first_rows(events)]
    p = np.stack([np.full(12, 1.57), 0.0402 * weight, 0.457 * weight, np.zeros(12)], axis=1)
    found = predict(ORAL, ORAL_LAYOUT, events, p, tolerance=TIGHT)
    assert (found.status == Status.COMPLETED).all()
    volume = 0.457 * events.covariates["WT"]
    assert correlation(events, found.samples[:, 1], volume, events.evid == 0) > 0.85
    for k, subject in enumerate(events.subjects()):
        body = Mammillary(CL=p[k, 1], V=p[k, 2], ka=p[k, 0])
        exact = mammillary(body, subject, subject.time).samples[0]
        mine = found.samples[events.id == subject.id[0]]
        assert np.abs(mine[1:] - exact[1:]).max() < 1e-7 * exact.max()


def test_warfarin_of_thirty_two_people(folder):
    """Typical values of the public analyses of these data (recalled): ka 1 1/h, CL 0.134 L/h, V 8 L, lag 0.8 h."""
    events = read_events(folder / "warfarin.csv")
    check_events(events, ORAL_LAYOUT)
    assert len(list(events.subjects())) == 32 and set(events.covariates["dvid"].tolist()) == {"cp", "pca"}
    p = np.tile([1.0, 0.134, 8.0, 0.8], (32, 1))
    found = predict(ORAL, ORAL_LAYOUT, events, p, tolerance=TIGHT)
    assert (found.status == Status.COMPLETED).all() and np.isfinite(found.samples).all()
    rows = (events.covariates["dvid"] == "cp") & (events.mdv == 0) & (events.evid == 0)
    assert rows.sum() == 251
    assert correlation(events, found.samples[:, 1], np.full(len(events), 8.0), rows) > 0.75
    body = Mammillary(CL=0.134, V=8.0, ka=1.0)
    lagged = Layout((Compartment("depot", lag="tlag"),))
    for subject in events.subjects():
        exact = mammillary(body, subject, subject.time, layout=lagged, values={"tlag": 0.8}).samples[0]
        mine = found.samples[events.id == subject.id[0]]
        assert np.abs(mine - exact).max() < 1e-7 * exact.max()


def test_mavoglurant_of_a_hundred_and_twenty_people_on_one_or_two_occasions(folder):
    """The clock of the second occasion starts at 0 again; RATE stands on the doses, which last 10 or 20 minutes."""
    events = read_events(folder / "mavoglurant.csv", IV_LAYOUT, occasion="OCC")
    assert len(list(events.subjects())) == 120
    assert (events.evid == 3).sum() == 78 and (events.evid == 1).sum() == 198
    minutes = 60 * events.amt[events.evid == 1] / events.rate[events.evid == 1]
    assert set(np.round(minutes, 9)) == {10.0, 20.0}
    CL, V, Q, Vp = 30.0, 20.0, 40.0, 120.0  # of the size the data suggest; only the arithmetic is tested here
    found = predict(IV, IV_LAYOUT, events, np.tile([CL, V, Q, Vp], (120, 1)), tolerance=TIGHT)
    assert (found.status == Status.COMPLETED).all()
    measured = (events.evid == 0) & (events.mdv == 0)
    assert correlation(events, found.samples[:, 0], np.full(len(events), V), measured) > 0.5
    for subject in events.subjects():
        mine = found.samples[events.id == subject.id[0]]
        starts = np.flatnonzero(subject.evid == 1)
        for a, b in zip(starts, [*starts[1:], len(subject)], strict=True):
            rows = np.arange(a, b)[subject.evid[a:b] != 3]
            part = subject.take(rows)
            part.cmt[part.evid == 0] = "1"  # which compartment is observed does not matter to the doses
            exact = mammillary(
                Mammillary(CL=CL, V=V, Q=Q, Vp=Vp), part, part.time,
                layout=Layout((Compartment("central", "rate"),)), states=("central",),
            ).samples[0, :, 0]  # fmt: skip
            assert np.abs(mine[rows, 0] - exact).max() < 1e-7 * exact.max()
