"""The light rows of the suite's own environments."""

from rlsuite.registry import EnvRow, Space

ROWS = [
    EnvRow(
        "CartPole-v1", "rlsuite.envs.gymnax_adapter:make",
        Space("box", (4,)), Space("discrete", n=2), 500, "classic control",
    ),
]
