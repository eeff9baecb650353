"""Experiments: one folder per paper or study, with grid.toml, targets.csv and figure.py."""
