"""The aggregates of rliable's Atari 100k runs: 26 games, 100 runs of each of four agents."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from rlsuite.analysis.stats import stats
from rlsuite.analysis.stats.bootstrap import Floats

# Data of others stays beside the checkout, never in it.
BESIDE = Path(__file__).parents[3] / "shared" / "data" / "curves" / "rliable_atari100k"
FOLDER = Path(os.environ.get("RLSUITE_RLIABLE_DATA", BESIDE))
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="rliable's inputs are absent: shared/data beside the checkout, or RLSUITE_RLIABLE_DATA",
)

# (random, human) scores by which Atari scores are normalised (Mnih et al., 2015; DQN Zoo).
REFERENCES = {
    "Alien": (227.8, 7127.7),
    "Amidar": (5.8, 1719.5),
    "Assault": (222.4, 742.0),
    "Asterix": (210.0, 8503.3),
    "BankHeist": (14.2, 753.1),
    "BattleZone": (2360.0, 37187.5),
    "Boxing": (0.1, 12.1),
    "Breakout": (1.7, 30.5),
    "ChopperCommand": (811.0, 7387.8),
    "CrazyClimber": (10780.5, 35829.4),
    "DemonAttack": (152.1, 1971.0),
    "Freeway": (0.0, 29.6),
    "Frostbite": (65.2, 4334.7),
    "Gopher": (257.6, 2412.5),
    "Hero": (1027.0, 30826.4),
    "Jamesbond": (29.0, 302.8),
    "Kangaroo": (52.0, 3035.0),
    "Krull": (1598.0, 2665.5),
    "KungFuMaster": (258.5, 22736.3),
    "MsPacman": (307.3, 6951.6),
    "Pong": (-20.7, 14.6),
    "PrivateEye": (24.9, 69571.3),
    "Qbert": (163.9, 13455.0),
    "RoadRunner": (11.5, 7845.0),
    "Seaquest": (68.4, 42054.7),
    "UpNDown": (533.4, 11693.2),
}
# Mean, median, IQM and optimality gap as later papers quote them for these runs.
QUOTED = {
    "DrQ(eps)": (0.465, 0.313, 0.280, 0.631),
    "SPR": (0.616, 0.396, 0.337, 0.577),
}
NAMES: tuple[stats.StatisticName, ...] = ("mean", "median", "iqm", "optimality_gap")


def load(agent: str) -> dict[str, Floats]:
    raw = json.loads((FOLDER / f"atari_100k_{agent}.json").read_text(encoding="utf-8"))
    return {
        game: (np.array(raw[game]) - low) / (high - low) for game, (low, high) in REFERENCES.items()
    }


@pytest.mark.parametrize("agent", QUOTED)
def test_point_estimates_are_the_quoted_ones(agent: str) -> None:
    scores = load(agent)
    found = tuple(stats.estimate(scores, name, reps=2).value for name in NAMES)
    assert found == pytest.approx(QUOTED[agent], abs=5.1e-4)


@pytest.mark.parametrize("agent", ["DER", "DrQ", "DrQ(eps)", "SPR"])
def test_iqm_and_its_stratified_interval(agent: str) -> None:
    scores = load(agent)
    matrix = np.stack(list(scores.values()))
    found = stats.estimate(scores, reps=500)
    assert found.value == pytest.approx(scipy.stats.trim_mean(matrix.ravel(), 0.25))
    # The same bootstrap, written the slow way.
    rng = np.random.default_rng(1)
    drawn = [
        scipy.stats.trim_mean(
            np.take_along_axis(matrix, rng.integers(0, 100, matrix.shape), 1).ravel(), 0.25
        )
        for _ in range(500)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_spr_is_better_than_der() -> None:
    taus = [0.1, 0.5, 1.0]
    spr, der = (stats.performance_profile(load(agent), taus) for agent in ("SPR", "DER"))
    assert (spr.low > der.high).all()
