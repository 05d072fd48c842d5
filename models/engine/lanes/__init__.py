"""Compile a system for SIMD lanes: every lane is one twin with its own time, step, error and stop.

`values` are numbers that write instructions instead of computing, `elementary` the functions of mathematics on them,
`program` writes a traced graph with them and `equations` the right-hand side and its Jacobian. `block` is the memory of
the lanes. `step` says what a method is given and gives back: `explicit` (with its numbers in `tableau`), or
`rosenbrock` (with `sparse` elimination). `control` judges a step and chooses the next, `switches` ends steps at kinks,
`sampling` writes samples, `advance` is the loop around them, `function` its compiled form, `machine` turns text into
functions and keeps them on disk, and `scalar` offers a right-hand side to Numba. Nothing here knows a model, and a
model knows nothing of lanes.
"""
