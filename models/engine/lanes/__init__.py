"""Compile a system for SIMD lanes: every lane is one twin with its own time, step, error and stop.

`values` are numbers that write instructions instead of computing, `elementary` the functions of mathematics on them,
`program` writes a traced graph with them, `scalar` offers it to Numba, and `machine` turns what was written into a
function and keeps it on disk. Nothing here knows a model, and a model knows nothing of lanes.
"""
