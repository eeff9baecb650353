"""Statistics against hand-computed numbers, scipy, and rliable's published inputs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from rlsuite.analysis.stats import bootstrap, stats
from rlsuite.analysis.stats.bands import bands
from rlsuite.analysis.stats.improvement import probability_of_improvement
from rlsuite.contracts.errors import UsageError


def test_iqm_drops_a_quarter_at_either_end() -> None:
    assert stats.iqm([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -50.0]) == pytest.approx(3.5)
    # Five runs: one is dropped at either end.
    assert stats.iqm([0.0, 1.0, 2.0, 6.0, 9.0]) == pytest.approx(3.0)
    # Three runs: none is.
    assert stats.iqm([0.0, 0.0, 9.0]) == pytest.approx(3.0)


def test_iqm_of_nothing_is_nan() -> None:
    assert np.isnan(stats.iqm([]))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 17, 100])
def test_iqm_is_scipys_trimmed_mean(size: int) -> None:
    x = np.random.default_rng(size).normal(-800, 300, size)
    assert stats.iqm(x) == pytest.approx(scipy.stats.trim_mean(x, 0.25))
    assert stats.estimate(x).value == pytest.approx(scipy.stats.trim_mean(x, 0.25))


def test_statistics_over_environments() -> None:
    scores = {"a": [0.0, 1.0], "b": [0.4, 0.6, 2.0]}
    # Means 0.5 and 1.0; environments count the same, whatever their number of runs.
    assert stats.estimate(scores, "mean").value == pytest.approx(0.75)
    assert stats.estimate(scores, "median").value == pytest.approx(0.75)
    # Clipped at 1: means 0.5 and 2/3.
    gap = stats.estimate(scores, "optimality_gap").value
    assert gap == pytest.approx(1 - (0.5 + 2 / 3) / 2)
    # Pooled 0, 0.4, 0.6, 1, 2 without the ends.
    assert stats.estimate(scores, "iqm").value == pytest.approx(2 / 3)
    assert stats.estimate([3.0, 1.0, 2.0, 10.0], "median").value == pytest.approx(2.5)


def test_a_lost_seed_is_left_out_and_counted() -> None:
    found = stats.estimate({"a": [1.0, np.nan, 3.0], "b": [np.inf, 5.0, 7.0]}, "mean")
    assert (found.value, found.n, found.n_nan) == (4.0, 4, 2)
    assert found.has_interval
    gone = stats.estimate({"a": [np.nan, np.nan]})
    assert np.isnan(gone.value)
    assert (gone.n, gone.n_nan, gone.has_interval) == (0, 2, False)


def test_one_seed_has_no_interval() -> None:
    found = stats.estimate([-200.0])
    assert (found.value, found.n, found.has_interval) == (-200.0, 1, False)
    # Nor have environments of which one has a single run: its spread would go unseen.
    assert not stats.estimate({"a": [1.0, 2.0, 3.0], "b": [1.0]}).has_interval


def test_ties_have_an_interval_of_no_width() -> None:
    found = stats.estimate([500.0] * 10)
    assert (found.value, found.low, found.high) == (500.0, 500.0, 500.0)


def test_intervals_are_deterministic_and_seeded() -> None:
    x = np.random.default_rng(0).normal(size=20)
    assert stats.estimate(x) == stats.estimate(x)
    assert stats.estimate(x, seed=1).low != stats.estimate(x, seed=0).low


def test_trimmed_is_the_trimmed_mean_of_each_resample() -> None:
    x = np.random.default_rng(0).normal(-900, 100, 11).round(-1)
    (counts,) = bootstrap.resample([11], 50, seed=3)
    expected = [scipy.stats.trim_mean(np.repeat(x, row), 0.25) for row in counts]
    np.testing.assert_allclose(bootstrap.trimmed(counts, x, 2), expected)


def test_resamples_stay_within_their_stratum() -> None:
    (counts,) = bootstrap.resample([3, 5], 40, seed=0)
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3:].sum(axis=1) == 5).all()


def test_blocks_hold_all_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 70)
    blocks = list(bootstrap.resample([4, 6], 23, seed=0))
    assert [len(block) for block in blocks] == [7, 7, 7, 2]


@pytest.mark.parametrize("statistic", ["iqm", "mean", "median"])
def test_interval_agrees_with_scipys_bootstrap(statistic: stats.StatisticName) -> None:
    x = np.random.default_rng(7).gamma(2.0, 100.0, 60)
    function = {"iqm": stats.iqm, "mean": np.mean, "median": np.median}[statistic]
    theirs = scipy.stats.bootstrap(
        (x,), function, n_resamples=4000, method="percentile", vectorized=False, rng=0
    ).confidence_interval
    ours = stats.estimate(x, statistic, reps=4000)
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        found = stats.estimate(rng.normal(-3.0, 1.0, 50), reps=300)
        covered += found.low <= -3.0 <= found.high
    # 95 % of 200 is 190; the percentile interval is a little short with 50 runs.
    assert 178 <= covered <= 199


def test_profile_counts_runs_above_each_threshold() -> None:
    scores = {"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 1.0, np.nan]}
    found = stats.performance_profile(scores, [-1.0, 0.0, 1.0, 2.5, 3.0])
    # a: 1, 3/4, 1/2, 1/4, 0; b: 1, 1, 0, 0, 0.
    np.testing.assert_allclose(found.value, [1.0, 0.875, 0.25, 0.125, 0.0])
    assert (found.n, found.n_nan) == (6, 1)
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    assert found.low[2] < found.high[2]


def test_profile_of_nothing_and_of_one_run() -> None:
    assert np.isnan(stats.performance_profile({}, [0.0]).value).all()
    one = stats.performance_profile({"a": [1.0]}, [0.0, 2.0])
    np.testing.assert_array_equal(one.value, [1.0, 0.0])
    assert np.isnan(one.low).all()


def test_probability_of_improvement_by_hand() -> None:
    # 1 beats nothing and ties one of three; 3 beats two and ties none: (0.5 + 2) / 6.
    found = probability_of_improvement({"a": [1.0, 3.0]}, {"a": [1.0, 2.0, 5.0]})
    assert found.value == pytest.approx(2.5 / 6)
    assert 0 <= found.low < found.value < found.high <= 1
    both = probability_of_improvement({"a": [1, 3], "b": [9, 9]}, {"a": [1, 2, 5], "b": [0, 1]})
    assert both.value == pytest.approx((2.5 / 6 + 1) / 2)


def test_probability_of_improvement_is_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, 30).round(1), rng.normal(0, 1, 40).round(1)
    u = scipy.stats.mannwhitneyu(x, y).statistic
    assert probability_of_improvement({"e": x}, {"e": y}).value == pytest.approx(u / 1200)


def test_probability_of_improvement_edges() -> None:
    assert np.isnan(probability_of_improvement({"a": [1.0]}, {"b": [1.0]}).value)
    single = probability_of_improvement({"a": [1.0]}, {"a": [0.0, np.nan]})
    assert (single.value, single.n, single.n_nan) == (1.0, 2, 1)
    assert not single.has_interval


def test_bands_follow_the_runs_present() -> None:
    runs = np.array([[1.0, 1.0, np.nan], [3.0, np.nan, np.nan], [5.0, 9.0, np.nan]])
    value, low, high = bands(runs, "mean")
    np.testing.assert_allclose(value, [3.0, 5.0, np.nan])
    assert np.isfinite(low).tolist() == [True, True, False]
    assert low[0] < value[0] < high[0]


def test_bands_are_the_estimates_of_their_columns() -> None:
    runs = np.random.default_rng(0).normal(size=(9, 4))
    value, low, high = bands(runs, reps=500)
    for column in range(4):
        found = stats.estimate(runs[:, column], reps=500)
        assert (value[column], low[column], high[column]) == pytest.approx(
            (found.value, found.low, found.high)
        )


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(UsageError, match="no statistic 'iqr': did you mean 'iqm'"):
        stats.check_statistic("iqr")
