"""The light rows of the suite's own experiments."""

from rlsuite.registry import ExperimentRow

ROWS: list[ExperimentRow] = []
