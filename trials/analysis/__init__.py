"""What the answers mean: the Bayesian analyses of the catalogue, their gates and decisions."""
