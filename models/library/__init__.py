"""The model library: one file or folder a model, found by its name."""
