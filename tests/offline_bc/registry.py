"""The row of the tests' offline agent."""

from rlsuite.contracts.registry import AgentRow

ROWS = [
    AgentRow(
        name="test-bc", module="offline_bc", summary="behaviour cloning, for tests",
        actions=("box",), data="dataset",
    ),
]  # fmt: skip
