"""The light rows of the suite's own environments; loads neither jax nor a simulator.

A row's spaces are those without options. gymnax's MNISTBandit-bsuite is left out: it downloads its
images when it is built.
"""

from rlsuite.contracts.registry import EnvFamily, EnvRow, Parameter, Space
from rlsuite.envs import brax_rows
from rlsuite.envs.mujoco import specs

_GYMNAX = "rlsuite.envs.gymnax_adapter:make"
_PROBES = "rlsuite.envs.probes:make"
_LIMIT = "max_steps_in_episode"
_RECORD = "rlsuite.envs.render:record"
# Of the families below those whose pictures `rlsuite.envs.drawing` knows.
_DRAWN = {"Catch", "DeepSea", "FourRooms", "MetaMaze", "Pong"}


def _actions(n: int) -> Space:
    return Space("discrete", n=n)


def _box(shape: tuple[int, ...], low: float = float("-inf"), high: float = float("inf")) -> Space:
    return Space("box", shape, low=low, high=high)


def _control(
    name: str, size: int, action: Space, limit: int, *options: str, **usual: float
) -> EnvRow:
    """Classic control; `usual` are parameters of the dynamics, from a tenth to ten times of it."""
    return EnvRow(
        name, _GYMNAX, _box((size,)), action, limit, "classic control", (_LIMIT, *options),
        render=_RECORD, params=tuple(Parameter(n, v, v / 10, v * 10) for n, v in usual.items()),
    )  # fmt: skip


def _minatar(name: str, channels: int, actions: int, limit: int = 1000) -> EnvRow:
    return EnvRow(
        f"{name}-MinAtar", _GYMNAX, _box((10, 10, channels), 0, 1), _actions(actions), limit,
        "minatar", (_LIMIT, "use_minimal_action_set"), render=_RECORD,
    )  # fmt: skip


def _bsuite(name: str, obs: Space, actions: int, limit: int, *options: str) -> EnvRow:
    return _other("bsuite", name, obs, _actions(actions), limit, options)


def _misc(name: str, obs: Space, action: Space, limit: int, *options: str) -> EnvRow:
    return _other("misc", name, obs, action, limit, options)


def _other(
    family: str, name: str, obs: Space, action: Space, limit: int, options: tuple[str, ...]
) -> EnvRow:
    return EnvRow(
        f"{name}-{family}", _GYMNAX, obs, action, limit, family, (_LIMIT, *options),
        render=_RECORD if name in _DRAWN else "",
    )  # fmt: skip


def _probe(name: str, size: int, limit: int | None, *options: str) -> list[EnvRow]:
    observation, discrete = _box((size,), -1, 1), _actions(2)
    continuous = _box((1,), -1, 1)
    return [
        EnvRow(f"Probe-{name}", _PROBES, observation, discrete, limit, "probe", options),
        EnvRow(
            f"Probe-{name}-Continuous", _PROBES, observation, continuous, limit, "probe", options
        ),
    ]


ROWS: list[EnvRow | EnvFamily] = [
    # Not its masses and length: gymnax keeps what follows from them as parameters of their own.
    _control("CartPole-v1", 4, _actions(2), 500, gravity=9.8, force_mag=10.0, tau=0.02),
    _control(
        "Pendulum-v1", 3, _box((1,), -2, 2), 200, "max_speed", "max_torque", "g", "m", "l",
        g=10.0, m=1.0, l=1.0,
    ),
    _control(
        "Acrobot-v1", 6, _actions(3), 500, "torque_noise_max",
        link_length_1=1.0, link_mass_1=1.0, link_mass_2=1.0,
    ),
    _control(
        "MountainCar-v0", 2, _actions(3), 200, "force", "gravity", force=0.001, gravity=0.0025
    ),
    _control(
        "MountainCarContinuous-v0", 2, _box((1,), -1, 1), 999, "power", "gravity",
        power=0.0015, gravity=0.0025,
    ),
    _minatar("Asterix", 4, 5),
    _minatar("Breakout", 4, 3),
    _minatar("Freeway", 7, 3, 2500),
    _minatar("Seaquest", 10, 6),
    _minatar("SpaceInvaders", 6, 4),
    _bsuite("Catch", _box((10, 5), 0, 1), 3, 1000, "rows", "columns"),
    _bsuite(
        "DeepSea", _box((8, 8), 0, 1), 2, 8,
        "size", "deterministic", "sample_action_map", "unscaled_move_cost", "randomize_actions",
    ),
    _bsuite("MemoryChain", _box((3,)), 2, 1000, "num_bits", "memory_length"),
    _bsuite("UmbrellaChain", _box((3,), 0, 1), 2, 100, "n_distractor", "chain_length"),
    _bsuite("DiscountingChain", _box((2,), -1, 5), 5, 100, "n_actions", "mapping_seed"),
    _bsuite("SimpleBandit", _box((1, 1), 1, 1), 11, 100, "num_actions"),
    _misc(
        "FourRooms", _box((4,), 1, 11), _actions(4), 500,
        "use_visual_obs", "goal_fixed", "pos_fixed",
        "fail_prob", "resample_init_pos", "resample_goal_pos",
    ),
    _misc(
        "MetaMaze", _box((15,)), _actions(4), 200,
        "maze_size", "rf_size", "reward", "punishment", "normalize_time",
    ),
    _misc(
        "PointRobot", _box((6,)), _box((2,), -0.1, 0.1), 100,
        "max_force", "circle_radius", "dense_reward", "goal_radius", "center_init",
        "normalize_time",
    ),
    _misc("BernoulliBandit", _box((4,)), _actions(2), 100, "reward_prob", "normalize_time"),
    _misc(
        "GaussianBandit", _box((4,)), _actions(2), 100,
        "mean_mu", "sigma_p", "sigma_l", "normalize_time",
    ),
    _misc("Reacher", _box((8,)), _box((2,), -1, 1), 100, "num_joints", "torque_scale", "dt"),
    _misc("Swimmer", _box((16,)), _box((2,), -1, 1), 500, "num_urchins", "dt"),
    _misc(
        "Pong", _box((30, 40, 3), 0, 2), _actions(3), 1000,
        "width", "height", "paddle_half_height", "use_ai_policy",
    ),
    _misc(
        "FrozenLake", _box((16,), 0, 1), _actions(4), 100,
        "desc", "map_name", "is_slippery", "success_rate", "reward_schedule",
    ),
    *_probe("ConstantReward", 1, 10, "time_limit", "limit_is_terminal"),
    *_probe("ObservationValue", 1, None),
    *_probe("TwoStepDiscount", 1, None),
    *_probe("BestAction", 1, None),
    *_probe("ObservationAction", 1, None),
    *_probe("DelayedReward", 2, None),
    *_probe("Memory", 2, None, "delay"),
    *specs.rows(),
    *brax_rows.ROWS,
    EnvFamily("gym:", "rlsuite.envs.gym_rows:row"),
]  # fmt: skip
