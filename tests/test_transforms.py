"""Named normalisations: worked numbers, and the return ranges of the papers' own loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from offline_tools import pendulum_like

from rlsuite.contracts.errors import UsageError
from rlsuite.data import dataset, transforms
from rlsuite.data.dataset import Dataset, Stats
from rlsuite.envs.datasets import view

STATS = Stats(
    *(jnp.asarray(x, jnp.float32) for x in ([1.0, -2.0], [2.0, 0.0], -10.0, 30.0, 0.0, 5.0))
)  # pyright: ignore[reportArgumentType]


def test_epsilon_is_added_to_the_deviation() -> None:
    seen = transforms.standardize(STATS, jnp.array([[5.0, -1.0], [1.0, -2.0]]))
    np.testing.assert_allclose(seen, [[4 / 2.001, 1 / 0.001], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(
        transforms.standardize(STATS, jnp.array([5.0, -2.0]), 1.0), [4 / 3, 0]
    )


REWARDS = {
    "none": [0.0, 1.0],
    "return-range": [0.0, 25.0],
    "return-range-legacy": [0.0, 200.0],
    "antmaze-iql": [-1.0, 0.0],
    "antmaze-odice": [-3.0, 0.0],
    "antmaze-cql": [-5.0, 5.0],
    "antmaze-prdc": [-1.0, 9999.0],
    "antmaze-rebrac": [0.0, 100.0],
}


@pytest.mark.parametrize("name", REWARDS)
def test_rewards_of_0_and_1(name: str) -> None:
    scale, shift = transforms.reward_affine(name, STATS)
    np.testing.assert_allclose(scale * jnp.array([0.0, 1.0]) + shift, REWARDS[name])
    assert transforms.REWARDS.keys() == REWARDS.keys()


def test_one_return_has_no_range() -> None:
    flat = STATS._replace(return_max=STATS.return_min)
    assert float(transforms.reward_affine("return-range", flat)[0]) == 1000.0


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'return-range'"):
        transforms.reward_affine("return-rnge", STATS)


def test_actions_stay_off_the_bounds() -> None:
    clipped = transforms.clip_actions(jnp.array([-1.0, 0.5, 1.0]))
    np.testing.assert_allclose(clipped, [-0.99999, 0.5, 0.99999])


def test_the_return_range_is_that_of_official_iql() -> None:
    """Its trajectories end at a terminal or where the next observation is not the next row's."""
    rec = pendulum_like(steps=95, length=20)
    rows = view.d4rl_rows(rec)
    obs, after = np.asarray(rows.obs), np.asarray(rows.next_obs)
    returns, total = [], 0.0
    for i in range(len(obs)):
        total += float(rows.reward[i])
        gap = i + 1 < len(obs) and np.linalg.norm(obs[i + 1] - after[i]) > 1e-6
        if rows.terminated[i] or gap or i + 1 == len(obs):
            returns.append(total)
            total = 0.0
    stats = view.statistics(rows, 20)
    assert len(returns) == 5
    np.testing.assert_allclose(
        [stats.return_min, stats.return_max], [min(returns), max(returns)], 1e-5
    )


def test_rows_are_drawn_uniformly_and_taken_whole() -> None:
    rows = view.known_rows(pendulum_like())
    data = jax.tree.map(jnp.asarray, Dataset(rows, view.statistics(rows, 20)))
    places = dataset.draw(data, jax.random.key(0), (6000,))
    counts = np.bincount(np.asarray(places), minlength=60)
    assert data.size == 60
    # Chi-squared with 59 degrees of freedom: beyond 100 once in a thousand.
    assert ((counts - 100) ** 2 / 100).sum() < 100
    taken = dataset.take(data, places[:7].reshape(7))
    np.testing.assert_array_equal(taken.action, rows.action[np.asarray(places[:7])])
    np.testing.assert_array_equal(taken.next_valid, rows.next_valid[np.asarray(places[:7])])
