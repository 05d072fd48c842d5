"""Endpoints: one file a measure, found by its name.

Trajectories of a block of twins in, one number a twin (and visit) out.

A module holds `KIND`, `Settings`, `reads(settings)`, `compute(trajectories, schedule, settings)`, and
`COMBINE` ("mean" | "sum"): how visit periods make one number;
`PER_VISIT` (false where absent): whether the value has a visit dimension;
`UNIT`: of the value, or None for the unit of the first output it reads.
"""
