"""Stores that were never run: frames with known shapes and known faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from rlsuite.analysis.load.frames import CELL_COLUMNS, Frames

PROVENANCE = {
    "rlsuite": "0.1.0",
    "commit": "0123456789ab",
    "jax": "0.10.2",
    "device": "a processor",
    "width": 1,
    "command": "rlsuite grid grid.toml",
}
CELL_SCHEMA: dict[str, Any] = {
    name: pl.Int64
    if name in ("seed", "total_steps")
    else pl.Float64
    if name.endswith("seconds")
    else pl.String
    for name in CELL_COLUMNS
}
ROW_SCHEMA: dict[str, Any] = {
    "cell": pl.String,
    "metric": pl.String,
    "step": pl.Int64,
    "seconds": pl.Float64,
    "value": pl.Float64,
}


def cell(name: str, **values: Any) -> dict[str, Any]:
    """One cell, finished unless said otherwise."""
    row: dict[str, Any] = {
        "cell": name,
        "agent": "ppo",
        "env": "CartPole-v1",
        "series": "ppo",
        "seed": 0,
        "status": "done",
        "total_steps": 1000,
        "sweep": "{}",
        "seconds": 10.0,
        "compile_seconds": 1.0,
        "provenance": json.dumps(PROVENANCE),
        "error": "",
    }
    return {**row, **values}


def rows(name: str, values: Sequence[float] | np.ndarray, **fields: Any) -> list[dict[str, Any]]:
    """Rows of a metric at even steps up to 1000 and seconds up to 10."""
    steps = fields.pop("steps", np.linspace(0, 1000, len(values)).astype(int))
    seconds = fields.pop("seconds", np.linspace(0.0, 10.0, len(values)))
    metric = fields.pop("metric", "eval/return")
    return [
        {"cell": name, "metric": metric, "step": int(s), "seconds": float(t), "value": float(v)}
        for s, t, v in zip(steps, seconds, values, strict=True)
    ]


def frames(cells: list[dict[str, Any]], lines: list[dict[str, Any]]) -> Frames:
    """Frames of the given rows."""
    return Frames(pl.DataFrame(lines, schema=ROW_SCHEMA), pl.DataFrame(cells, schema=CELL_SCHEMA))


def curve(rng: np.random.Generator, low: float, high: float, points: int) -> np.ndarray:
    """A noisy curve from low to about high."""
    x = np.linspace(0, 1, points)
    rate, top = rng.uniform(3, 9), high - abs(rng.normal(0, 0.12)) * (high - low)
    rise = (1 - np.exp(-rate * x)) / (1 - np.exp(-rate))
    return low + (top - low) * rise + rng.normal(0, 0.02 * (high - low), points)


def comparison(seeds: int = 16, points: int = 21) -> Frames:
    """Two agents on three environments, with a NaN seed, a failed one and one under way."""
    rng = np.random.default_rng(1)
    cells, lines = [], []
    ranges = {"CartPole-v1": (20, 500), "Pendulum-v1": (-1500, -150), "Hopper-v4": (10, 3200)}
    for agent, skill in (("ppo", 1.0), ("dpo", 0.85)):
        for env, (low, high) in ranges.items():
            for seed in range(seeds):
                name = f"{agent}-{env}-{seed}"
                values = curve(rng, low, low + skill * (high - low), points)
                values = np.minimum(values, high)
                steps = np.linspace(0, 500_000, points).astype(int)
                seconds = np.linspace(0, rng.uniform(50, 70) / skill, points)
                fault = {0: "nan", 1: "failed", 2: "running"}.get(seed, "done")
                if (agent, env) != ("dpo", "Hopper-v4"):
                    fault = "done"
                if fault == "nan":
                    values[points // 2 :] = np.nan
                kept = points if fault in ("done", "nan") else points // 2
                lines += rows(name, values[:kept], steps=steps[:kept], seconds=seconds[:kept])
                error = "FloatingPointError: <overflow> & more" if fault == "failed" else ""
                cells.append(
                    cell(
                        name,
                        agent=agent,
                        env=env,
                        series=agent,
                        seed=seed,
                        status=fault,
                        total_steps=499_712,
                        seconds=float(seconds[-1]),
                        error=error,
                    )
                )
    return frames(cells, lines)


def sweep(side: int = 5, seeds: int = 8) -> Frames:
    """A grid over learning rate and entropy cost."""
    rng = np.random.default_rng(2)
    cells, lines = [], []
    for i, rate in enumerate(np.geomspace(1e-4, 1e-2, side)):
        for j, cost in enumerate([0.0, 0.001, 0.01, 0.05, 0.1][:side]):
            high = 500 - 40 * (i - 2) ** 2 - 20 * (j - 1) ** 2
            rate = float(f"{rate:.3g}")
            fields = {"agent.learning_rate": rate, "agent.entropy_coef": cost}
            series = f"ppo learning_rate={rate:g} entropy_coef={cost:g}"
            for seed in range(seeds):
                name = f"{series}-{seed}"
                lines += rows(name, curve(rng, 20, high, 11))
                cells.append(cell(name, series=series, seed=seed, sweep=json.dumps(fields)))
    return frames(cells, lines)


def many_seeds(seeds: int = 1024, points: int = 20) -> Frames:
    """One configuration, many seeds, some of them stuck."""
    rng = np.random.default_rng(3)
    cells, lines = [], []
    for seed in range(seeds):
        high = 500 if rng.random() < 0.8 else 120
        lines += rows(f"s{seed}", np.minimum(curve(rng, 20, high, points), 500))
        cells.append(cell(f"s{seed}", seed=seed))
    return frames(cells, lines)
