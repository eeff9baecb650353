"""The light rows of brax's tasks; loads neither jax nor brax.

The physics backend is part of the id: brax's four engines are different simulators, and a result
without the engine's name cannot be repeated.
"""

from rlsuite.contracts.registry import EnvRow, Space

PREFIX = "brax:"
BACKENDS = ("generalized", "spring", "positional", "mjx")
# Observations, actions.
TASKS = {
    "ant": (27, 8),
    "halfcheetah": (17, 6),
    "hopper": (11, 3),
    "humanoid": (244, 17),
    "humanoidstandup": (244, 17),
    "inverted_double_pendulum": (8, 1),
    "inverted_pendulum": (4, 1),
    "pusher": (23, 7),
    "reacher": (11, 2),
    "swimmer": (8, 2),
    "walker2d": (17, 6),
}
# brax has no other engine for it.
ONLY = {"swimmer": ("generalized",)}
TIME_LIMIT = 1000
_MOVES = (
    "forward_reward_weight", "ctrl_cost_weight", "reset_noise_scale",
    "exclude_current_positions_from_observation",
)  # fmt: skip
_STANDS = (*_MOVES, "healthy_reward", "terminate_when_unhealthy", "healthy_z_range")
OPTIONS = {
    "ant": (
        "ctrl_cost_weight", "reset_noise_scale", "exclude_current_positions_from_observation",
        "healthy_reward", "terminate_when_unhealthy", "healthy_z_range",
        "use_contact_forces", "contact_cost_weight", "contact_force_range",
    ),
    "halfcheetah": _MOVES,
    "swimmer": _MOVES,
    "hopper": (*_STANDS, "healthy_state_range", "healthy_angle_range"),
    "walker2d": (*_STANDS, "healthy_angle_range"),
    "humanoid": _STANDS,
}  # fmt: skip


def _row(task: str, backend: str) -> EnvRow:
    observations, actions = TASKS[task]
    return EnvRow(
        f"{PREFIX}{task}-{backend}",
        "rlsuite.envs.brax_adapter:make",
        Space("box", (observations,)),
        Space("box", (actions,), low=-1, high=1),
        TIME_LIMIT,
        "brax",
        ("time_limit", *OPTIONS.get(task, ())),
    )


ROWS = [_row(task, backend) for task in TASKS for backend in ONLY.get(task, BACKENDS)]
