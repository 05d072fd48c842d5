"""When a twin goes on with the other kind of method: explicit while accuracy bounds its steps, stiff where that pays.

An explicit method estimates |h lambda| in every step; a twin that has stayed at the edge of stability goes to the
stiff method, which must cover as much time in a step as makes up for its dearer steps. If it does not, the twin
returns, and is sent again only after eight times the patience. All of it is the twin's own, whatever its neighbours do.
"""

from __future__ import annotations

from .block import Block
from .step import Taken
from .values import Number, Truth, maximum, select

PATIENCE = 15.0  # steps at the edge of stability, less those away from it (Hairer & Wanner II, IV.2)
IMPATIENT = 8.0  # the factor on it after a try in vain
SETTLING, TRIED = 10.0, 40.0  # trials of the stiff method before it is timed, and at which it is judged
WORTH = 2.0  # a stiff step costs 1.5 to 1.7 explicit ones on the workloads of benchmarks/


def leaves_explicit(block: Block, taken: Taken, h: Number, accepted: Truth) -> Truth:
    """Twins that have become stiff; the pace that the stiff method has to beat is kept."""
    assert taken.stretch is not None
    patience = maximum(block.get("patience"), PATIENCE)
    score = maximum(block.get("stiff") + select(taken.stretch >= 1.0, 1.0, -1.0), 0.0)
    block.put(select(accepted, score, block.get("stiff")), "stiff")
    goes = accepted & (score >= patience)
    block.put(patience, "patience")
    block.put(select(goes, h / select(goes, taken.stretch, 1.0), block.get("pace")), "pace")
    return goes


def leaves_stiff(block: Block, h: Number, accepted: Truth) -> Truth:
    """Twins for which the stiff method has not paid."""
    trials, judged = block.get("stiff") + 1.0, block.get("judged") > 0.0
    covered = select(trials <= SETTLING, 0.0, block.get("covered") + select(accepted, h, 0.0))
    block.put(trials, "stiff")
    block.put(covered, "covered")
    due = accepted & ~judged & (trials >= TRIED)
    goes = due & (covered < WORTH * (trials - SETTLING) * block.get("pace"))
    block.put(select(due, 1.0, block.get("judged")), "judged")
    block.put(select(goes, IMPATIENT * block.get("patience"), block.get("patience")), "patience")
    return goes
