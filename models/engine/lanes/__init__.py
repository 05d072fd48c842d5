"""Compile a system for SIMD lanes: every lane is one twin with its own time, step, error and stop.

`values` are numbers that write instructions instead of computing, `elementary` the functions of mathematics on them,
`program` writes a traced graph with them and `equations` the right-hand side and its Jacobian. `block` is the memory of
the lanes. `step` says what a method is given and gives back: `explicit` (with its numbers in `tableau`), or
`rosenbrock` (with `sparse` elimination). `control` judges a step and chooses the next, `switches` holds each step on
one side of every kink and `landing` ends it there, `events` finds what a model waits for, `choice` hands twins from one
kind of method to the other, `sampling` writes samples, `advance` is the loop around them, `function` its compiled form,
and `machine` turns text into functions and keeps them on disk. Nothing here knows a model, and a model knows nothing of
lanes.
"""
