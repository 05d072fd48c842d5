"""What is asked and what the answers mean: protocol, allocation, endpoints, estimands, analysis."""
