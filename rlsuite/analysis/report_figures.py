"""The sections of a report that are figures: each drawn, saved and inlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from rlsuite.analysis import curves, figures, html, online, report_tables, scores, sweep
from rlsuite.analysis.distribution import MANY_SEEDS, with_many_seeds
from rlsuite.analysis.frames import Frames
from rlsuite.analysis.html import Section
from rlsuite.analysis.scores import Samples
from rlsuite.analysis.targets import Target
from rlsuite.engine import files

_MOST_HEAT_MAPS = 12
_BAND = (
    "Line: IQM over the seeds present at each point; band: pointwise 95 % bootstrap interval over "
    "seeds (none with a single seed). n counts seeds with data; lost ones turned to NaN or failed "
    "and are drawn until they did."
)


def draw(
    frames: Frames,
    scored: pl.DataFrame,
    folder: Path,
    targets: Sequence[Target],
    compared: pl.DataFrame,
    references: Mapping[str, tuple[float, float]] | None,
) -> list[Section]:
    """Draw what the store has data for.

    Args:
      frames: the store.
      scored: from `scores.final`.
      folder: where PNG and SVG files go.
      targets: published scores.
      compared: from `published.table`.
      references: see `report.write`.
    """
    metric = scores.return_metric(frames)
    name = scores.NAMES[metric or "eval/return"]
    samples = {s: envs for s, envs in scores.samples(scored).items() if envs}
    return [
        *_learning_curves(frames, folder, targets, name),
        *_final_scores(samples, folder, compared, name),
        *_profile(samples, folder, references),
        *report_tables.comparison_section(samples),
        *_online_cost(frames, folder, name),
        *_heat_maps(scored, folder),
        *_distributions(samples, folder),
    ]


def _learning_curves(
    frames: Frames, folder: Path, targets: Sequence[Target], name: str
) -> list[Section]:
    steps, seconds = curves.against_steps(frames), curves.against_seconds(frames)
    if not steps:
        note = "No returns have been recorded yet: there is nothing to draw."
        return [Section("Learning curves", html.paragraph(note))]
    by_steps = figures.learning_curves(steps, targets, unit=frames.step_name, y_label=name)
    by_time = figures.learning_curves(seconds, targets, x="seconds", y_label=name)
    drawn = set(frames.cells["env"].to_list())
    marks = _sources([target for target in targets if target.env in drawn])
    return [
        Section(
            "Learning curves",
            html.figure(figures.save(by_steps, folder, "curves_steps"), f"{_BAND} {marks}".strip()),
        ),
        Section(
            "Learning curves against time",
            html.figure(
                figures.save(by_time, folder, "curves_seconds"),
                "The same against each run's own training time, compilation excluded; a finished "
                "seed keeps its final score, and the axis ends at the median duration.",
            ),
        ),
    ]


def _sources(targets: Sequence[Target]) -> str:
    listed = [f"{t.series} on {t.env} {t.value:g} ({t.source})" for t in targets]
    return f"Dashed lines and diamonds are published scores: {'; '.join(listed)}." if listed else ""


def _final_scores(
    samples: Samples, folder: Path, compared: pl.DataFrame, name: str
) -> list[Section]:
    if not samples:
        return []
    figure = figures.interval_dots(samples, compared, f"IQM of the last {name.lower()}")
    caption = "IQM of the final scores of finished seeds with 95 % bootstrap intervals."
    if not compared.is_empty():
        caption += " Hollow diamonds: published scores."
    return [Section("Final scores", html.figure(figures.save(figure, folder, "final"), caption))]


def _profile(
    samples: Samples, folder: Path, references: Mapping[str, tuple[float, float]] | None
) -> list[Section]:
    shared = scores.comparable(samples)
    envs = sorted({env for by_env in shared.values() for env in by_env})
    if not envs or (len(shared) < 2 and len(envs) < 2):
        return []
    label, scale = "Final return τ", f"Scores on {envs[0]}."
    if len(envs) > 1:
        shared = scores.normalise(shared, references)
        label, scale = "Normalised final return τ", report_tables.scale_note(envs, references)
    figure = figures.performance_profiles(shared, label)
    caption = f"Fraction of runs that score above τ, with pointwise 95 % intervals. {scale}"
    body = html.figure(figures.save(figure, folder, "profile"), caption)
    if len(envs) > 1:
        body += report_tables.aggregate_table(shared)
    return [Section("Performance profile", body)]


def _online_cost(frames: Frames, folder: Path, name: str) -> list[Section]:
    """For runs on datasets, whose policies are chosen by trying them."""
    found = online.table(frames)
    if frames.step_name != "Gradient updates" or found["k"].n_unique() < 2:
        return []
    files.write_utf8(folder.parent / "online_cost.csv", found.write_csv())
    figure = figures.online_cost(found, name[0].lower() + name[1:])
    caption = (
        "Expected final score of the best of k policies, drawn with replacement from all that an "
        "agent trained here, over its settings and seeds: what choosing by k evaluations gives."
    )
    body = html.figure(figures.save(figure, folder, "online_cost"), caption)
    return [Section("Choosing a policy online", body)]


def _heat_maps(scored: pl.DataFrame, folder: Path) -> list[Section]:
    found = sweep.grids(scored)
    bodies = []
    for index, grid in enumerate(found[:_MOST_HEAT_MAPS]):
        path = figures.save(figures.heatmap(grid), folder, f"sweep_{index}")
        fewest, most = int(grid.n.min()), int(grid.n.max())
        seeds = f"{most}" if fewest == most else f"{fewest}–{most}"
        pooled = f" Pooled over {', '.join(grid.pooled)}." if grid.pooled else ""
        lost = f" {grid.lost.sum()} seeds were lost." if grid.lost.any() else ""
        caption = f"IQM of the final scores of {seeds} seeds a field; the best is framed."
        bodies.append(html.figure(path, caption + pooled + lost))
    if len(found) > _MOST_HEAT_MAPS:
        bodies.append(html.paragraph(f"{_MOST_HEAT_MAPS} of {len(found)} pairs are drawn."))
    return [Section("Sweep", "\n".join(bodies))] if bodies else []


def _distributions(samples: Samples, folder: Path) -> list[Section]:
    many = with_many_seeds(samples)
    if not many:
        return []
    path = figures.save(figures.distributions(many), folder, "distribution")
    caption = (
        f"Final scores of series with at least {MANY_SEEDS} seeds. Dashed: their IQM. Right: the "
        "fraction of seeds that score at most that much."
    )
    return [Section("Return distribution", html.figure(path, caption))]
