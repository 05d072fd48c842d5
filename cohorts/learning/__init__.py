"""Populations learned from people: margins and dependence of a table, with survey weights and missing values."""
