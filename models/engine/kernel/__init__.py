"""Modules that `compile` copies and compiles: the lanes' driver alone, and for a model with a device, beside its own.

`driver` carries twins through records and samples, `loop` through whatever a `device` does; `device` and `rows` stand
for a model's own and show what they hold; `random` draws keyed numbers.
"""
