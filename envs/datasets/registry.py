"""The light rows of datasets known by name; loads neither jax nor h5py."""

from __future__ import annotations

from rlsuite.contracts.registry import DataKind, DatasetRow
from rlsuite.envs.datasets.scores import reference

_LEVELS = ("random", "medium", "expert", "medium-replay", "full-replay", "medium-expert")
_TASKS = {"halfcheetah": "HalfCheetah", "hopper": "Hopper", "walker2d": "Walker2d", "ant": "Ant"}
# D4RL's name of the maze, and whether starts and goals vary.
_MAZES = {
    "umaze": ("u-maze", False, False),
    "umaze-diverse": ("u-maze", True, True),
    "medium-play": ("big-maze", True, False),
    "medium-diverse": ("big-maze", True, True),
    "large-play": ("hardest-maze", True, False),
    "large-diverse": ("hardest-maze", True, True),
}


def _gym(task: str, level: str) -> DatasetRow:
    name = f"{task}-{level}-v2"
    file = f"{task}_{level.replace('-', '_')}-v2.hdf5"
    files = (file, f"{name}.hdf5", f"gym_mujoco_v2/{file}")
    env = f"mujoco:{_TASKS[task]}-v4"
    return DatasetRow(name, env, "d4rl", "D4RL Gym-MuJoCo", files, score=reference(task))


def _maze(level: str) -> DatasetRow:
    maze, starts, goals = _MAZES[level]
    name = f"antmaze-{level}-v2"
    file = f"Ant_maze_{maze}_noisy_multistart_{starts}_multigoal_{goals}_sparse_fixed.hdf5"
    return DatasetRow(
        name, "", "d4rl", "D4RL AntMaze (no environment here)", (file, f"{name}.hdf5"),
        score=reference("antmaze"),
    )  # fmt: skip


ROWS: list[DatasetRow | DataKind] = [
    DataKind("dataset", "rlsuite.envs.datasets.source", "rlsuite.envs.datasets.tools"),
    DatasetRow(
        "pendulum-replay", "Pendulum-v1", "own", "SAC's replay, recorded by the suite on first use",
        make="rlsuite.envs.datasets.replay:pendulum",
        kept="rlsuite.envs.datasets.replay:pendulum_path", score=reference("Pendulum"),
    ),
    *(_gym(task, level) for task in _TASKS for level in _LEVELS),
    *(_maze(level) for level in _MAZES),
]  # fmt: skip
