"""Give twins to lanes: records, stops, ends and failures; the steps between are taken by a compiled function.

A lane that has landed on its stop or failed is served at once and, if its twin is done, given the next twin of the
queue; the others go on from where they are. Nothing a lane does depends on its neighbours.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Values of models.model.Status, spelled out because a kernel imports nothing.
COMPLETED = 1
NON_FINITE = 4

# Rows of the block, in the order of `lanes.block.CONTROL`.
TIME, STOP, WANTED, ERROR, STEPS, FRESH, ACTIVE, STATUS, SAMPLE, SAMPLE_AT, OUT_AT, STIFF, STATE = range(13)


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


@njit(error_model="numpy", cache=True)
def serve(lane, k, block, whole, sizes, record, stop, time, target, value, samples, out):
    """Apply the records and write the samples that are due, and set the next stop; whether the twin is done."""
    states, parameters = sizes[0], sizes[1]
    t = block[TIME, lane]
    records = time.shape[1]
    inputs_at = STATE + states + parameters
    while record[lane] < records and time[k, record[lane]] <= t and time[k, record[lane]] < stop[k]:
        where = target[k, record[lane]]
        if where < states:
            block[STATE + where, lane] += value[k, record[lane]]
        else:
            block[inputs_at + where - states, lane] = value[k, record[lane]]
        record[lane] += 1
        block[WANTED, lane] = 0.0
    row = samples[k if samples.shape[0] > 1 else 0]
    base = row.ctypes.data
    at = (whole[SAMPLE_AT, lane] - base) // 8
    while row[at] <= t:
        for i in range(states):
            out[k, at, i] = block[STATE + i, lane]
        at += 1
    block[SAMPLE, lane] = row[at]
    whole[SAMPLE_AT, lane] = base + 8 * at
    whole[OUT_AT, lane] = out.ctypes.data + 8 * states * (k * out.shape[1] + at)
    until = stop[k]
    if record[lane] < records and time[k, record[lane]] < until:
        until = time[k, record[lane]]
    block[STOP, lane] = until
    block[FRESH, lane] = 1.0
    return t >= stop[k]


@njit(error_model="numpy", cache=True)
def give(lane, k, block, whole, sizes, record, y, p, u, start, time, samples):
    """Set a lane to the beginning of a twin."""
    states, parameters, inputs = sizes[0], sizes[1], sizes[2]
    for i in range(states):
        block[STATE + i, lane] = y[k, i]
    for i in range(parameters):
        block[STATE + states + i, lane] = p[k, i]
    for i in range(inputs):
        block[STATE + states + parameters + i, lane] = u[k, i]
    t = start[k]
    block[TIME, lane] = t
    block[WANTED, lane] = block[STEPS, lane] = block[STATUS, lane] = block[STIFF, lane] = 0.0
    block[ACTIVE, lane] = 1.0
    record[lane] = 0
    while record[lane] < time.shape[1] and time[k, record[lane]] < t:
        record[lane] += 1
    row = samples[k if samples.shape[0] > 1 else 0]
    at = 0
    while row[at] < t:
        at += 1
    whole[SAMPLE_AT, lane] = row.ctypes.data + 8 * at


@njit(error_model="numpy", cache=True)
def leave(lane, k, block, sizes, y, u, status, failed_at, steps):
    """Read what became of a twin from its lane."""
    states, parameters = sizes[0], sizes[1]
    for i in range(states):
        y[k, i] = block[STATE + i, lane]
    for i in range(sizes[2]):
        u[k, i] = block[STATE + states + parameters + i, lane]
    steps[k] = block[STEPS, lane]
    code = int(block[STATUS, lane])
    status[k] = code if code > 0 else COMPLETED
    if code > 0:
        failed_at[k] = block[TIME, lane]


@njit(error_model="numpy", nogil=True, cache=True)
def drive(
    address, block, whole, sizes, settings, twins, y, p, u, start, stop, time, target, value, samples, out, status,
    failed_at, steps,
):  # fmt: skip
    """Integrate the rows `twins` of y from start to stop, in place; out (twin, sample, state) is filled on the way.

    `whole` is `block` seen as integers. Each row of `samples` ends with inf. Records at `stop` itself are applied by
    the next call, which begins there; a sample at a record's time reads the state after it.
    """
    lanes = block.shape[1]
    twin = np.full(lanes, -1, np.int64)
    record = np.zeros(lanes, np.int64)
    queue = 0
    active = 0
    waiting = (1 << lanes) - 1
    while True:
        for lane in range(lanes):
            if not (waiting >> lane) & 1:
                continue
            k = twin[lane]
            done = True
            if k >= 0:
                done = block[STATUS, lane] > 0.0
                if not done:
                    done = serve(lane, k, block, whole, sizes, record, stop, time, target, value, samples, out)
                if done:
                    leave(lane, k, block, sizes, y, u, status, failed_at, steps)
                    active -= 1
            while done and queue < twins.size:
                k = twins[queue]
                queue += 1
                twin[lane] = k
                give(lane, k, block, whole, sizes, record, y, p, u, start, time, samples)
                done = serve(lane, k, block, whole, sizes, record, stop, time, target, value, samples, out)
                if done:
                    leave(lane, k, block, sizes, y, u, status, failed_at, steps)
                else:
                    active += 1
            if done:
                twin[lane] = -1
                block[ACTIVE, lane] = block[FRESH, lane] = block[STATUS, lane] = block[STEPS, lane] = 0.0
                block[STOP, lane] = block[TIME, lane]
        if active == 0:
            return
        waiting = take_steps(address, block, settings)
