"""The report of a run: one HTML file that refers to nothing outside itself."""
