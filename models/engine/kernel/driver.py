"""Give twins to lanes: records, stops, events, ends; the steps between are taken by a compiled function.

A lane that has landed on its stop, met an event or failed is served at once and, if its twin is done, given the next
twin of the queue; the others go on from where they are. Nothing a lane does depends on its neighbours.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .twins import HANDED_OVER

# Called by compiled code alone (`engine.native`), so without what lets Python call it.
machine_code = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)

# Values of models.model.Status, spelled out because a kernel imports nothing.
COMPLETED = 1
ROOT_NOT_FOUND = 6

# Rows of the block, in the order of `lanes.block.CONTROL`.
(
    TIME, STOP, WANTED, ERROR, STEPS, FRESH, ACTIVE, STATUS, SAMPLE, SAMPLE_AT, OUT_AT,
    STIFF, COVERED, JUDGED, PATIENCE, PACE, ACTION, GIVEN, STATE,
) = range(19)  # fmt: skip

INFINITE = 1e308
AT_ONCE = 1000  # events of a twin at one time, after which they will never come to rest


@intrinsic
def take_steps(typing, address, block, settings):
    """Call the compiled function at `address`: the bits of the lanes that need the driver."""

    def instructions(context, builder, signature, arguments):
        pointer = ir.DoubleType().as_pointer()
        kind = ir.FunctionType(ir.IntType(64), [pointer, pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        data = [
            context.make_array(t)(context, builder, a).data
            for t, a in zip(signature.args[1:], arguments[1:], strict=True)
        ]
        return builder.call(function, data)

    return types.int64(types.int64, block, settings), instructions


@machine_code
def next_sample(lane, k, whole, orders):
    """Sample times of the lane's twin, and the number of the next."""
    row = orders.samples[k if orders.samples.shape[0] > 1 else 0]
    return row, (whole[SAMPLE_AT, lane] - row.ctypes.data) // 8


@machine_code
def give(lane, k, block, whole, sizes, record, twins, orders):
    """Set a lane to the beginning of a twin."""
    for i in range(sizes.states):
        block[STATE + i, lane] = twins.y[k, i]
    for i in range(sizes.parameters):
        block[STATE + sizes.states + i, lane] = twins.p[k, i]
    for i in range(sizes.inputs):
        block[STATE + sizes.states + sizes.parameters + i, lane] = twins.u[k, i]
    for i in range(sizes.events):
        block[sizes.armed + i, lane] = twins.armed[k, i]
        block[sizes.fired + i, lane] = 0.0
    t = twins.start[k]
    block[TIME, lane] = t
    block[STATUS, lane] = block[ACTION, lane] = block[STIFF, lane] = block[COVERED, lane] = block[JUDGED, lane] = 0.0
    block[STEPS, lane] = twins.steps[k]
    for i, row in enumerate((WANTED, ERROR, PATIENCE, PACE)):
        block[row, lane] = twins.pace[k, i]
    block[ACTIVE, lane] = 1.0
    record[lane] = 0
    while record[lane] < orders.time.shape[1] and orders.time[k, record[lane]] < t:
        record[lane] += 1
    row = orders.samples[k if orders.samples.shape[0] > 1 else 0]
    at = 0
    while row[at] < t:
        at += 1
    whole[SAMPLE_AT, lane] = row.ctypes.data + 8 * at


@machine_code
def serve(lane, k, block, whole, sizes, record, twins, orders):
    """Carry out the records that are due and set the next stop; whether the twin has reached its own."""
    t, stop = block[TIME, lane], twins.stop[k]
    records = orders.time.shape[1]
    inputs_at = STATE + sizes.states + sizes.parameters
    while record[lane] < records and orders.time[k, record[lane]] <= t and orders.time[k, record[lane]] < stop:
        where, value = orders.target[k, record[lane]], orders.value[k, record[lane]]
        record[lane] += 1
        block[WANTED, lane] = 0.0
        if where < sizes.states:
            block[STATE + where, lane] += value
        elif where < sizes.states + sizes.inputs:
            block[inputs_at + where - sizes.states, lane] = value
        else:
            block[ACTION, lane] = where - sizes.states - sizes.inputs + 1
            block[GIVEN, lane] = value
            break  # the lane performs it and comes back
    row, at = next_sample(lane, k, whole, orders)
    block[SAMPLE, lane] = row[at]
    whole[OUT_AT, lane] = orders.out.ctypes.data + 8 * sizes.states * (k * orders.out.shape[1] + at)
    until = stop
    if record[lane] < records and orders.time[k, record[lane]] < until:
        until = orders.time[k, record[lane]]
    block[STOP, lane] = until
    block[FRESH, lane] = 1.0
    return t >= stop


@machine_code
def note(lane, k, block, sizes, twins, orders, held):
    """Keep the events that have happened in a lane; the status with which they end the twin, 0 if they do not."""
    t, code, happened = block[TIME, lane], 0, False
    for i in range(sizes.events):
        if block[sizes.fired + i, lane] > 0.0:
            block[sizes.fired + i, lane] = 0.0
            happened = True
            if twins.counts[k, i] < twins.times.shape[2]:
                twins.times[k, i, twins.counts[k, i]] = t
            twins.counts[k, i] += 1
            if code == 0:
                code = orders.ends[i]
    if happened:
        held.rounds[lane] = held.rounds[lane] + 1 if held.last[lane] == t else 0
        held.last[lane] = t
        if held.rounds[lane] > AT_ONCE and code == 0:
            code = ROOT_NOT_FOUND
    return code


@machine_code
def leave(lane, k, block, whole, sizes, twins, orders):
    """Read what became of a twin from its lane."""
    for i in range(sizes.states):
        twins.y[k, i] = block[STATE + i, lane]
    for i in range(sizes.inputs):
        twins.u[k, i] = block[STATE + sizes.states + sizes.parameters + i, lane]
    for i in range(sizes.events):
        twins.armed[k, i] = block[sizes.armed + i, lane]
    twins.steps[k] = block[STEPS, lane]
    twins.ended[k] = block[TIME, lane]
    code = int(block[STATUS, lane])
    twins.status[k] = code if code != 0 else COMPLETED
    if code == HANDED_OVER:
        twins.start[k] = block[TIME, lane]
        for i, row in enumerate((WANTED, ERROR, PATIENCE, PACE)):
            twins.pace[k, i] = block[row, lane]
        return
    row, at = next_sample(lane, k, whole, orders)
    while row[at] <= block[TIME, lane]:
        for i in range(sizes.states):
            orders.out[k, at, i] = block[STATE + i, lane]
        at += 1


@machine_code
def drive(address, block, whole, sizes, settings, queue, twins, orders, held):
    """Integrate the twins of `queue` (their rows) from start to stop.

    `whole` is `block` seen as integers, `held` what is remembered of each lane. Records at `stop` itself are left to
    the next call, which begins there; a sample at the time of a record or an event reads the state after it.
    """
    lanes = block.shape[1]
    twin, record = held.twin, held.record
    given = 0
    active = 0
    waiting = (1 << lanes) - 1
    while True:
        for lane in range(lanes):
            if not (waiting >> lane) & 1:
                continue
            k = twin[lane]
            done = True
            if k >= 0:
                if block[STATUS, lane] == 0.0:
                    block[STATUS, lane] = note(lane, k, block, sizes, twins, orders, held)
                done = block[STATUS, lane] != 0.0 or serve(lane, k, block, whole, sizes, record, twins, orders)
                if done:
                    leave(lane, k, block, whole, sizes, twins, orders)
                    active -= 1
            while done and given < queue.size:
                k = queue[given]
                given += 1
                twin[lane] = k
                held.last[lane] = -INFINITE
                give(lane, k, block, whole, sizes, record, twins, orders)
                if sizes.events > 0 and twins.armed[k, 0] < 0.0:  # the lane first looks on which side the twin is
                    block[FRESH, lane] = 1.0
                    done = False
                else:
                    done = serve(lane, k, block, whole, sizes, record, twins, orders)
                if done:
                    leave(lane, k, block, whole, sizes, twins, orders)
                else:
                    active += 1
            if done:
                twin[lane] = -1
                block[ACTIVE, lane] = block[FRESH, lane] = block[STATUS, lane] = block[STEPS, lane] = 0.0
                block[STOP, lane] = block[TIME, lane]
        if active == 0:
            return
        waiting = take_steps(address, block, settings)
