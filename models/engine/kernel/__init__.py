"""Modules that are compiled together with a model's right-hand side; `compile` copies them beside it."""
