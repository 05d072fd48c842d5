"""What a body, a drug and a device do: the model contract, the ensemble engine, the model library."""
