"""The tasks by name and version."""

from __future__ import annotations

from rlsuite.envs.mujoco import ant, arms, humanoids, pendulums, runners
from rlsuite.envs.mujoco.task import Task

_BOTH = (4, 5)
_BY_NAME: dict[str, dict[int, Task]] = {
    "HalfCheetah": dict.fromkeys(_BOTH, runners.HALF_CHEETAH),
    "Hopper": dict.fromkeys(_BOTH, runners.HOPPER),
    "Walker2d": dict.fromkeys(_BOTH, runners.WALKER2D),
    "Swimmer": dict.fromkeys(_BOTH, runners.SWIMMER),
    "Ant": dict.fromkeys(_BOTH, ant.ANT),
    "Humanoid": dict.fromkeys(_BOTH, humanoids.HUMANOID),
    "HumanoidStandup": humanoids.STANDUP,
    "Reacher": dict.fromkeys(_BOTH, arms.REACHER),
    "Pusher": dict.fromkeys(_BOTH, arms.PUSHER),
    "InvertedPendulum": pendulums.INVERTED_PENDULUM,
    "InvertedDoublePendulum": pendulums.INVERTED_DOUBLE_PENDULUM,
}
TASKS = {(name, v): task for name, versions in _BY_NAME.items() for v, task in versions.items()}
