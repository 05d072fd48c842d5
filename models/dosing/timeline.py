"""From event records to what happens to each twin, in order: openings of stages, amounts, rates and covariates.

A stage begins where the state is changed as a whole (reset, replacement, steady state), or where a row that is read
stands before a dose of the same time and must not see it. Within a stage everything is an amount added to a
compartment, or a rate or a covariate that is set. The rules, where NONMEM's help leaves them open or where they are
easily got wrong:

- rows of one time are carried out in the order in which they stand; a further dose (ADDL) or a lagged one that arrives
  at the time of a row is there before that row is read;
- a reset and a steady state of SS 1 cancel running infusions, doses under way (lag) and further doses (ADDL);
- infusions into one compartment add up; the end of one changes nothing but the rate;
- with a lag the periodic state is that of a long run of doses, all of them lagged: what is still to arrive or still
  runs at TIME does so afterwards;
- bioavailability multiplies the amount, so that at a given RATE it changes how long the infusion lasts.

Tables of any number of subjects are done at once, without a loop over rows, doses or subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .events import (
    MODELLED_DURATION,
    MODELLED_RATE,
    REPLACE,
    RESET,
    RESET_AND_DOSE,
    DosingError,
    Events,
)  # fmt: skip
from .layout import Layout, Modifiers

# What an entry of a timeline is; those of one time and row stand in this order.
STAGE, EMPTIED, REPLACED, STEADY, INPUT, DECISION, BOLUS, RATE, INFUSION, NOTHING = range(10)


@dataclass(frozen=True)
class Rows:
    """A table as the timeline reads it; arrays (row,) unless said otherwise.

    `subject` counts from 0 and `first` (subject,) is where its rows begin; `compartment` is a position in the layout;
    `opens` marks rows that change the state as a whole, `epoch` counts stretches between resets. Of each stage (stage,)
    there are `stage_row`, its first row, `stage_start` and `stage_stop`; `stage_first` (subject + 1,) says where the
    stages of a subject begin. A clock that starts anew shows as a start before the stop of the stage before.
    """

    events: Events
    subject: np.ndarray
    first: np.ndarray
    compartment: np.ndarray
    resets: np.ndarray
    steady: np.ndarray
    epoch: np.ndarray
    epoch_stop: np.ndarray
    stage_row: np.ndarray
    stage_start: np.ndarray
    stage_stop: np.ndarray
    stage_first: np.ndarray


def read_rows(events: Events, layout: Layout, sampled: np.ndarray) -> Rows:
    """Find subjects, stages and stretches between resets in checked records; `sampled` (row,) are read."""
    e = events
    new = np.r_[True, e.id[1:] != e.id[:-1]]
    resets = np.isin(e.evid, (RESET, RESET_AND_DOSE))
    steady = e.is_dose & (e.ss > 0)
    cancels = resets | (steady & (e.ss == 1))
    seen = np.r_[False, sampled[:-1] & (e.time[1:] == e.time[:-1])]
    begins = new | cancels | steady | (e.evid == REPLACE) | (e.is_dose & seen)
    back = np.r_[False, e.time[1:] < e.time[:-1]]
    before = np.r_[0.0, e.time[:-1]]
    stage_row = np.flatnonzero(begins)
    # Where a stretch ends: at the row that begins the next, or before the clock starts anew, or with the subject.
    ends = np.where(new | back, before, e.time)
    stop = np.r_[ends[stage_row[1:]], e.time[-1:]]
    epoch = np.cumsum(new | cancels) - 1
    head = np.flatnonzero(new | cancels)
    epoch_stop = np.r_[ends[head[1:]], e.time[-1:]]
    subject = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    return Rows(
        events, subject, first, layout.positions(e.cmt), resets, steady, epoch, epoch_stop, stage_row,
        e.time[stage_row], stop, np.searchsorted(stage_row, np.append(first, len(e))),
    )  # fmt: skip


@dataclass(frozen=True)
class Doses:
    """What rows give to twins, one entry (dose,) for each pair; `rate` is 0 for a bolus, `interval` that of ADDL or SS.

    Of a long run of such doses: `late` earlier ones are still to arrive, because the lag is so many intervals long, one
    of them `phase` into each interval; `running` infusions run where an interval begins. The duration is a whole number
    of intervals and `rest`; `wraps` says that an infusion begun in one interval ends its rest in the next.
    """

    compartment: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    duration: np.ndarray
    lag: np.ndarray
    interval: np.ndarray
    infused: np.ndarray
    late: np.ndarray
    phase: np.ndarray
    running: np.ndarray
    rest: np.ndarray
    wraps: np.ndarray


def doses_of(rows: Rows, modified: Modifiers, twin: np.ndarray, row: np.ndarray) -> Doses:
    """The dose of each `row` as it is for each `twin`."""
    e, c = rows.events, rows.compartment[row]
    given, interval = e.rate[row], e.ii[row]
    amount = e.amt[row] * modified.bioavailability[twin, c]
    infused = given != 0
    rate = np.where(given == MODELLED_RATE, modified.rate[twin, c], given)
    with np.errstate(divide="ignore", invalid="ignore"):  # boluses have no rate, single doses no interval
        rate = np.where(given == MODELLED_DURATION, amount / modified.duration[twin, c], rate)
        modelled = np.where(given == MODELLED_DURATION, modified.duration[twin, c], amount / rate)
        duration = np.where(infused, modelled, 0.0)
        lag = modified.lag[twin, c]
        regular = interval > 0
        late = np.where(regular, np.floor(lag / interval), 0.0)
        whole = np.where(regular, np.floor(duration / interval), 0.0)
    phase = np.maximum(lag - late * interval, 0.0)
    rest = np.maximum(duration - whole * interval, 0.0)
    wraps = regular & (phase + rest > interval)
    return Doses(c, amount, rate, duration, lag, interval, infused, late, phase, whole + wraps, rest, wraps)


@dataclass(frozen=True)
class Timeline:
    """What happens, in order, one line (line, entry) for each twin or one for all of them; unused at inf, NOTHING.

    STAGE opens the stage of a `row`; EMPTIED, REPLACED (`place` compartment, `value` amount) and STEADY (`place`
    compartment) follow where it does so; BOLUS adds `value` to `place`, RATE is the sum of all infusions that run into
    `place` from then on, INPUT sets covariate number `place`. Where doses are decided upon, DECISION stands at the time
    of a dose and INFUSION begins one at the rate `value`, while RATE only ends it.
    """

    time: np.ndarray
    kind: np.ndarray
    place: np.ndarray
    value: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Settings:
    """Covariates that change: at each `row`, number `place` becomes `value`."""

    row: np.ndarray
    place: np.ndarray
    value: np.ndarray


def timeline(
    rows: Rows, modified: Modifiers, subject: np.ndarray, settings: Settings | None = None, decided: bool = False
) -> Timeline:
    """The timelines of twins whose records are those of `subject` (line,), with modifiers of the same length.

    Raises
    ------
    DosingError
        Doses that overlap, so that a decision (`decided`) about one would change another.
    """
    lines = len(subject)
    parts = [_openings(rows, subject), *_given(rows, modified, subject, decided)]
    if settings is not None:
        line, i = _pairs(subject, rows.subject[settings.row], len(rows.first))
        parts.append(_entries(rows, line, settings.row[i], INPUT, settings.place[i], settings.value[i]))
    line, epoch, time, kind, place, value, row = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((row * NOTHING + kind, time, epoch, line))
    line = line[order]
    count = np.bincount(line, minlength=lines)
    at = (line, np.arange(len(line)) - (np.cumsum(count) - count)[line])
    shape = (lines, int(count.max(initial=0)))

    def laid_out(values: np.ndarray, unused: float | int) -> np.ndarray:
        out = np.full(shape, unused, values.dtype)
        out[at] = values[order]
        return out

    return Timeline(
        laid_out(time, np.inf), laid_out(kind, NOTHING), laid_out(place, 0), laid_out(value, 0.0), laid_out(row, 0)
    )


def ranges(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0 ... n - 1 for each n of `counts`, one after the other, and which n each number belongs to."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts), owner


_Part = tuple[np.ndarray, ...]  # line, epoch, time, kind, place, value, row of some entries


def _entries(
    rows: Rows, line: np.ndarray, row: np.ndarray, kind: int, place: np.ndarray, value: np.ndarray,
    time: np.ndarray | None = None,
) -> _Part:  # fmt: skip
    time = rows.events.time[row] if time is None else time
    return line, rows.epoch[row], time, np.full(len(line), kind), place, np.asarray(value, np.float64), row


def _pairs(subject: np.ndarray, owner: np.ndarray, subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """(line, i) for every line and every i whose `owner` (sorted) is the subject of that line."""
    first = np.searchsorted(owner, np.arange(subjects + 1))
    number, line = ranges((first[1:] - first[:-1])[subject])
    return line, first[subject[line]] + number


def _openings(rows: Rows, subject: np.ndarray) -> _Part:
    e, row = rows.events, rows.stage_row
    made = [
        (row, STAGE, 0.0 * e.amt[row]),
        *((row[mask[row]], kind, e.amt[row[mask[row]]])
          for mask, kind in ((rows.resets, EMPTIED), (e.evid == REPLACE, REPLACED), (rows.steady, STEADY))),
    ]  # fmt: skip
    parts = []
    for which, kind, value in made:
        line, i = _pairs(subject, rows.subject[which], len(rows.first))
        parts.append(_entries(rows, line, which[i], kind, rows.compartment[which[i]], value[i]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _given(rows: Rows, modified: Modifiers, subject: np.ndarray, decided: bool) -> list[_Part]:
    """Boluses and running sums of rates of all doses: those of the rows, further ones, and those still under way."""
    e = rows.events
    dosed = np.flatnonzero(e.is_dose & ~(rows.steady & (e.ii == 0)))  # a constant infusion ends at its row
    line, i = _pairs(subject, rows.subject[dosed], len(rows.first))
    row = dosed[i]
    d = doses_of(rows, modified, line, row)
    past = np.where(rows.steady[row], d.late + d.running, 0.0).astype(np.int64)
    number, of = ranges(past + e.addl[row] + 1)
    number = number - past[of]
    line, row, infused, place = line[of], row[of], d.infused[of], d.compartment[of]
    time, amount, rate = e.time[row], d.amount[of], d.rate[of]
    planned = time + number * d.interval[of]
    start = time + (number * d.interval[of] + d.lag[of])  # a lag of whole intervals ends exactly where a dose is due
    stop = np.where(number < 0, np.maximum(start + d.duration[of], time), start + d.duration[of])
    start = np.maximum(start, time)
    kept = start <= rows.epoch_stop[rows.epoch[row]]
    b, r = kept & ~infused, kept & infused
    bolus = _entries(rows, line[b], row[b], BOLUS, place[b], amount[b], start[b])
    if decided:
        asked = kept & (number >= 0)
        decisions = _decisions(rows, line[asked], row[asked], place[asked], planned[asked], start[asked])
        return [bolus, decisions, *_single_infusions(rows, line[r], row[r], place[r], start[r], stop[r], rate[r])]
    line, row, place = (np.repeat(a[r], 2) for a in (line, row, place))
    time = np.stack([start[r], stop[r]], axis=1).ravel()
    return [bolus, _running_rates(rows, line, row, place, time, rate[r])]


def _running_rates(
    rows: Rows, line: np.ndarray, row: np.ndarray, place: np.ndarray, time: np.ndarray, rate: np.ndarray
) -> _Part:
    """The summed rate into a compartment from each start and end (in turn) of infusions at `rate` on."""
    step = np.stack([rate, -rate], axis=1).ravel()
    epoch = rows.epoch[row]
    order = np.lexsort((row, time, place, epoch, line))
    same = [np.diff(a[order]) == 0 for a in (line, epoch, place)]
    segment = np.cumsum(np.r_[True, ~np.logical_and.reduce(same)][: len(order)]) - 1
    number, _ = ranges(np.bincount(segment)) if len(order) else (segment, segment)
    # Laid out by compartment and stretch, so that a sum never depends on what stands beside it.
    steps = np.zeros((int(segment.max(initial=-1)) + 1, int(number.max(initial=-1)) + 1))
    steps[segment, number] = step[order]
    total = np.cumsum(steps, axis=1)[segment, number]
    steps[segment, number] = np.where(order % 2 == 0, 1.0, -1.0)
    running = np.cumsum(steps, axis=1)[segment, number]
    # Where nothing runs the rate is 0, not what rounding left of the sum.
    value = np.where(running == 0, 0.0, total)
    kept = time[order] <= rows.epoch_stop[epoch[order]]
    order, value = order[kept], value[kept]
    return _entries(rows, line[order], row[order], RATE, place[order], value, time[order])


def _decisions(
    rows: Rows, line: np.ndarray, row: np.ndarray, place: np.ndarray, planned: np.ndarray, start: np.ndarray
) -> _Part:
    """One decision for all doses into a compartment at one time, before any of them arrives."""
    order = np.lexsort((row, planned, place, rows.epoch[row], line))
    line, row, place, planned, start = (a[order] for a in (line, row, place, planned, start))
    same = _same_before(line, rows.epoch[row], place)
    first = ~(same & np.r_[False, np.diff(planned) == 0][: len(line)])
    late = same & first & np.r_[False, (start > planned)[:-1] & (start[:-1] >= planned[1:])][: len(line)]
    _refuse(rows, row[late], "comes before an earlier one has arrived (lag)")
    line, row, place, planned = (a[first] for a in (line, row, place, planned))
    return _entries(rows, line, row, DECISION, place, np.zeros(len(row)), planned)


def _single_infusions(
    rows: Rows, line: np.ndarray, row: np.ndarray, place: np.ndarray, start: np.ndarray, stop: np.ndarray,
    rate: np.ndarray,
) -> list[_Part]:  # fmt: skip
    """Beginnings and ends of infusions that follow one another; one that begins where another ends takes its place."""
    order = np.lexsort((row, start, place, rows.epoch[row], line))
    line, row, place, start, stop, rate = (a[order] for a in (line, row, place, start, stop, rate))
    same = _same_before(line, rows.epoch[row], place)
    rounding = 1e-9 * np.maximum(stop - start, 0.0)
    gap = np.r_[np.inf, start[1:] - stop[:-1]][: len(line)]
    _refuse(rows, row[same & (gap < -np.r_[0.0, rounding[:-1]][: len(line)])], "overlaps the infusion before it")
    follows = same & (gap <= np.r_[0.0, rounding[:-1]][: len(line)])
    ends = ~np.r_[follows[1:], False][: len(line)] & (stop <= rows.epoch_stop[rows.epoch[row]])
    return [
        _entries(rows, line, row, INFUSION, place, rate, start),
        _entries(rows, line[ends], row[ends], RATE, place[ends], np.zeros(int(ends.sum())), stop[ends]),
    ]


def _same_before(*columns: np.ndarray) -> np.ndarray:
    """Whether an entry agrees in all columns with the one before."""
    equal = [np.r_[False, np.diff(a) == 0][: len(a)] for a in columns]
    same: np.ndarray = np.logical_and.reduce(equal)
    return same


def _refuse(rows: Rows, row: np.ndarray, why: str) -> None:
    """Refuse doses that a rule could not decide upon one by one."""
    if row.size:
        e = rows.events
        fix = "so that rules cannot decide about one alone; lengthen the interval, or leave the rules out"
        raise DosingError([f"row {e.row[i]}: a dose into compartment {e.cmt[i]} {why}, {fix}" for i in np.unique(row)])


@dataclass(frozen=True)
class Planned:
    """Doses as the table plans them, (dose,): the row that asks for each, and its time."""

    row: np.ndarray
    time: np.ndarray


def planned_doses(rows: Rows) -> Planned:
    """Every dose and further dose that a reset or the end of the table does not cancel."""
    e = rows.events
    dosed = np.flatnonzero(e.is_dose & ~(rows.steady & (e.ii == 0)))
    number, of = ranges(e.addl[dosed] + 1)
    row = dosed[of]
    time = e.time[row] + number * e.ii[row]
    epoch = rows.epoch[row]
    last = np.append(np.flatnonzero(np.diff(rows.epoch)), len(e) - 1)[epoch]  # row of the epoch
    final = np.append(rows.subject[1:] != rows.subject[:-1], True)[last]  # of the subject
    stop = rows.epoch_stop[epoch]
    kept = (time < stop) | ((time == stop) & final)
    return Planned(row[kept], time[kept])
