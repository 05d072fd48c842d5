"""Drive a block of twins through their records and samples, each by itself."""

import numpy as np
from numba import njit

from .rhs import STATES
from .tsit5 import COMPLETED, WORK_ROWS, advance


@njit(error_model="numpy", nogil=True, cache=True)
def ensemble(y, p, u, start, stop, time, target, value, samples, out, rtol, atol, max_steps, status, failed_at, steps):
    """Integrate every row of y from start to stop, in place; out (twin, sample, state) is filled on the way.

    Records at `stop` itself are applied by the next call, unless start == stop; a sample at a record's time reads the
    state after it. Rows of `samples` belong to twins.
    """
    work = np.empty((WORK_ROWS, STATES))
    memory = np.zeros(3)
    records = time.shape[1]
    for k in range(y.shape[0]):
        t = start[k]
        memory[:] = 0.0
        record = 0
        sample = 0
        row_samples = samples[k]
        while sample < row_samples.size and row_samples[sample] < t:
            sample += 1
        while record < records and time[k, record] < t:
            record += 1
        code = COMPLETED
        while True:
            while record < records and time[k, record] <= t:
                where = target[k, record]
                if where < STATES:
                    y[k, where] += value[k, record]
                else:
                    u[k, where - STATES] = value[k, record]
                record += 1
                memory[0] = 0.0
            while sample < row_samples.size and row_samples[sample] <= t:
                for i in range(STATES):
                    out[k, sample, i] = y[k, i]
                sample += 1
            if t >= stop[k]:
                break
            until = stop[k]
            if record < records and time[k, record] < until:
                until = time[k, record]
            t, sample, code = advance(
                t, until, y[k], p[k], u[k], work, memory, row_samples, out, k, sample, rtol, atol, max_steps
            )
            if code != COMPLETED:
                break
        status[k] = code
        steps[k] = memory[2]
        if code != COMPLETED:
            failed_at[k] = t
