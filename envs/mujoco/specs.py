"""What the MuJoCo tasks are, in plain numbers: loads neither jax nor a simulator.

Options and their defaults are Gymnasium's. v5 lets more be chosen than v4, and `frame_skip`
(physics steps an action lasts) in every task. `time_limit` is ours: steps until `truncated`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlsuite.contracts.registry import EnvRow, Space

PREFIX = "mujoco:"
MJX_PREFIX = "mjx:"
# Their models name the PGS solver, which MJX does not have.
NOT_ON_MJX = ("Humanoid", "HumanoidStandup")
INF = float("inf")


@dataclass(frozen=True)
class Spec:
    """One task in one version.

    Attributes:
      task, version: 'Hopper', 4 or 5.
      xml: file name among Gymnasium's models.
      frame_skip: physics steps an action lasts.
      obs_size: numbers in an observation, under the default options.
      actions: how many, each within +-`bound`.
      time_limit: steps.
      defaults: every option of the task's own and its default.
    """

    task: str
    version: int
    xml: str
    frame_skip: int
    obs_size: int
    actions: int
    time_limit: int
    defaults: Mapping[str, Any]
    bound: float = 1.0

    @property
    def id(self) -> str:
        """The registry's name."""
        return f"{PREFIX}{self.task}-v{self.version}"

    @property
    def options(self) -> dict[str, Any]:
        """Every option and its default, those that all tasks have included."""
        skip = {"frame_skip": self.frame_skip} if self.version >= 5 else {}
        return {"time_limit": self.time_limit, **skip, **self.defaults}


_RUN = {
    "forward_reward_weight": 1.0,
    "ctrl_cost_weight": 0.1,
    "reset_noise_scale": 0.1,
    "exclude_current_positions_from_observation": True,
}
_HEALTH = {"healthy_reward": 1.0, "terminate_when_unhealthy": True}
_WALK = _RUN | _HEALTH | {"ctrl_cost_weight": 1e-3, "reset_noise_scale": 5e-3}
_HOPPER = _WALK | {
    "healthy_state_range": (-100.0, 100.0),
    "healthy_z_range": (0.7, INF),
    "healthy_angle_range": (-0.2, 0.2),
}
_WALKER = _WALK | {"healthy_z_range": (0.8, 2.0), "healthy_angle_range": (-1.0, 1.0)}
_SWIMMER = _RUN | {"ctrl_cost_weight": 1e-4}
_ANT = _HEALTH | {
    "ctrl_cost_weight": 0.5,
    "contact_cost_weight": 5e-4,
    "healthy_z_range": (0.2, 1.0),
    "contact_force_range": (-1.0, 1.0),
    "reset_noise_scale": 0.1,
    "exclude_current_positions_from_observation": True,
}
_ANT_5 = _ANT | {
    "forward_reward_weight": 1.0,
    "main_body": 1,
    "include_cfrc_ext_in_observation": True,
}
_HUMANOID = _HEALTH | {
    "forward_reward_weight": 1.25,
    "ctrl_cost_weight": 0.1,
    "healthy_reward": 5.0,
    "healthy_z_range": (1.0, 2.0),
    "reset_noise_scale": 1e-2,
    "exclude_current_positions_from_observation": True,
}
_INCLUDE = dict.fromkeys(
    (f"include_{name}_in_observation" for name in ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")),
    True,
)
_HUMANOID_5 = (
    _HUMANOID
    | {"contact_cost_weight": 5e-7, "contact_cost_range": (-INF, 10.0)}
    | _INCLUDE
)  # fmt: skip
_STANDUP_5 = {
    "ctrl_cost_weight": 0.1,
    "impact_cost_weight": 5e-7,
    "impact_cost_range": (-INF, 10.0),
    "reset_noise_scale": 1e-2,
    "exclude_current_positions_from_observation": True,
    **_INCLUDE,
}
_REACHER_5 = {"reward_dist_weight": 1.0, "reward_control_weight": 1.0}
_PUSHER_5 = {"reward_near_weight": 0.5, "reward_dist_weight": 1.0, "reward_control_weight": 0.1}
_DOUBLE_5 = {"healthy_reward": 10.0, "reset_noise_scale": 0.1}

SPECS: dict[str, Spec] = {
    spec.id: spec
    for spec in (
        Spec("HalfCheetah", 4, "half_cheetah.xml", 5, 17, 6, 1000, _RUN),
        Spec("HalfCheetah", 5, "half_cheetah.xml", 5, 17, 6, 1000, _RUN),
        Spec("Hopper", 4, "hopper.xml", 4, 11, 3, 1000, _HOPPER),
        Spec("Hopper", 5, "hopper.xml", 4, 11, 3, 1000, _HOPPER),
        Spec("Walker2d", 4, "walker2d.xml", 4, 17, 6, 1000, _WALKER),
        Spec("Walker2d", 5, "walker2d_v5.xml", 4, 17, 6, 1000, _WALKER),
        Spec("Swimmer", 4, "swimmer.xml", 4, 8, 2, 1000, _SWIMMER),
        Spec("Swimmer", 5, "swimmer.xml", 4, 8, 2, 1000, _SWIMMER),
        Spec("Ant", 4, "ant.xml", 5, 27, 8, 1000, _ANT | {"use_contact_forces": False}),
        Spec("Ant", 5, "ant.xml", 5, 105, 8, 1000, _ANT_5),
        Spec("Humanoid", 4, "humanoid.xml", 5, 376, 17, 1000, _HUMANOID, 0.4),
        Spec("Humanoid", 5, "humanoid.xml", 5, 348, 17, 1000, _HUMANOID_5, 0.4),
        Spec("HumanoidStandup", 4, "humanoidstandup.xml", 5, 376, 17, 1000, {}, 0.4),
        Spec("HumanoidStandup", 5, "humanoidstandup.xml", 5, 348, 17, 1000, _STANDUP_5, 0.4),
        Spec("Reacher", 4, "reacher.xml", 2, 11, 2, 50, {}),
        Spec("Reacher", 5, "reacher.xml", 2, 10, 2, 50, _REACHER_5),
        Spec("Pusher", 4, "pusher.xml", 5, 23, 7, 100, {}, 2.0),
        Spec("Pusher", 5, "pusher_v5.xml", 5, 23, 7, 100, _PUSHER_5, 2.0),
        Spec("InvertedPendulum", 4, "inverted_pendulum.xml", 2, 4, 1, 1000, {}, 3.0),
        Spec(
            "InvertedPendulum", 5, "inverted_pendulum.xml", 2, 4, 1, 1000,
            {"reset_noise_scale": 0.01}, 3.0,
        ),
        Spec("InvertedDoublePendulum", 4, "inverted_double_pendulum.xml", 5, 11, 1, 1000, {}),
        Spec("InvertedDoublePendulum", 5, "inverted_double_pendulum.xml", 5, 9, 1, 1000, _DOUBLE_5),
    )
}  # fmt: skip


def rows() -> list[EnvRow]:
    """A registry row for each task and version, on the C library and on MJX."""
    own = [_row(spec, spec.id, "env", "mujoco") for spec in SPECS.values()]
    mjx = [
        _row(spec, MJX_PREFIX + spec.id.removeprefix(PREFIX), "mjx_env", "mjx")
        for spec in SPECS.values()
        if spec.task not in NOT_ON_MJX
    ]
    drawn = [dataclasses.replace(row, render="rlsuite.envs.render:record") for row in own]
    return [*drawn, *mjx]


def _row(spec: Spec, env_id: str, module: str, family: str) -> EnvRow:
    return EnvRow(
        env_id,
        f"rlsuite.envs.mujoco.{module}:make",
        Space("box", (spec.obs_size,)),
        Space("box", (spec.actions,), low=-spec.bound, high=spec.bound),
        spec.time_limit,
        family,
        tuple(spec.options),
    )
