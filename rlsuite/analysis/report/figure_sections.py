"""The sections of a report that are figures: each drawn, saved and inlined."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from rlsuite.analysis.figures import catalogue, online, selection, style, training
from rlsuite.analysis.figures.distribution import MANY_SEEDS, with_many_seeds
from rlsuite.analysis.figures.heatmap import MOST_FRAMED
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import NAMES, Target
from rlsuite.analysis.report import drawings, html, table_sections
from rlsuite.analysis.report.html import Section
from rlsuite.analysis.stats import curves, scores, sweep
from rlsuite.analysis.stats.scores import Samples

_MOST_SWEEPS = 12
_MOST_TASKS = 12
_BAND = (
    "Line: IQM over the seeds present at each point; band: pointwise 95 % bootstrap interval over "
    "seeds (none with a single seed). n counts seeds with data; lost ones turned to NaN or failed "
    "and are drawn until they did."
)


@dataclass
class _Page:
    """What the sections of one report share.

    Attributes:
      looks: the colour of each series that is named, in every figure.
      metric: what scores are read from.
      saved: SVG files written so far.
    """

    frames: Frames
    scored: pl.DataFrame
    folder: Path
    targets: Sequence[Target]
    compared: pl.DataFrame
    references: Mapping[str, tuple[float, float]] | None
    metric: str
    looks: dict[str, Look]
    saved: list[Path] = field(default_factory=list)

    @functools.cached_property
    def samples(self) -> Samples:
        """The last scores of series that have some."""
        return {s: envs for s, envs in scores.of_frames(self.frames).items() if envs}

    @property
    def name(self) -> str:
        """What scores are: Evaluation return, Training return ..."""
        return NAMES[self.metric]

    @property
    def last(self) -> str:
        """The axis of final scores."""
        return f"IQM of the last {self.name.lower()}"

    def figure(self, figure: Figure, name: str, caption: str) -> str:
        """Save a figure and put it on the page."""
        path = catalogue.save(figure, self.folder, name)
        drawings.mark(path)
        self.saved.append(path)
        return html.figure(path, caption)


def draw(
    frames: Frames,
    scored: pl.DataFrame,
    folder: Path,
    targets: Sequence[Target],
    compared: pl.DataFrame,
    references: Mapping[str, tuple[float, float]] | None,
) -> list[Section]:
    """Draw what the store has data for, and remove figures of earlier reports that it has not.

    Args:
      frames: the store.
      scored: from `scores.final`.
      folder: where PNG and SVG files go.
      targets: published scores.
      compared: from `published.table`.
      references: see `report.write`.
    """
    metric = scores.return_metric(frames) or "eval/return"
    looks = selection.of_page(scored)
    page = _Page(frames, scored, folder, targets, compared, references, metric, looks)
    sections = [
        *_learning_curves(page),
        *_final_scores(page),
        *_published(page),
        *_profile(page),
        *table_sections.comparison_section(page.samples),
        *_online_cost(page),
        *_sweeps(page),
        *_distributions(page),
        *_training(page),
    ]
    drawings.remove_stale(folder, page.saved)
    return sections


def _beside(bodies: Sequence[str]) -> str:
    """Figures side by side where the page is wide enough."""
    return '<div class="figures">\n' + "\n".join(bodies) + "\n</div>"


def _learning_curves(page: _Page) -> list[Section]:
    steps, seconds = curves.against_steps(page.frames), curves.against_seconds(page.frames)
    if not steps:
        note = "No returns have been recorded yet: there is nothing to draw."
        return [Section("Learning curves", html.paragraph(note))]
    unit, name = page.frames.step_name, page.name
    drawn = set(page.frames.cells["env"].to_list())
    targets = [_told(page, target) for target in page.targets if target.env in drawn]
    shared = {"y_label": name, "metric": page.metric, "looks": page.looks}
    by_steps = catalogue.learning_curves(steps, targets, unit=unit, **shared)
    by_time = catalogue.learning_curves(seconds, targets, x="seconds", **shared)
    notes = [_BAND, _named(page), _without_scores(page), _sources(targets, page.metric)]
    return [
        Section(
            "Learning curves",
            _beside([page.figure(by_steps, "curves_steps", " ".join(filter(None, notes)))]),
        ),
        Section(
            "Learning curves against time",
            _beside([page.figure(
                by_time, "curves_seconds",
                f"{name} against each run's own training time, compilation excluded; a finished "
                "seed keeps its final score, and the axis ends at the median duration.",
            )]),
        ),
    ]  # fmt: skip


def _told(page: _Page, target: Target) -> Target:
    """A published score with the series of ours that it was compared with, whose colour it has."""
    same = page.compared.filter(
        (pl.col("env") == target.env)
        & (pl.col("published_series") == target.series)
        & (pl.col("published") == target.value)
        & (pl.col("source") == target.source)
    )
    return target if same.is_empty() else dataclasses.replace(target, ours=same["series"][0])


def _named(page: _Page) -> str:
    total = page.scored["series"].n_unique()
    if len(page.looks) == total:
        return ""
    return (
        f"Of {total} series {len(page.looks)} are in colour, here and below: those with the most "
        "seeds, of these the best by mean rank over environments (ties share a rank)."
    )


def _without_scores(page: _Page) -> str:
    """Runs that recorded returns of another kind than those drawn."""
    rows, cells = page.frames.rows.select("cell", "metric"), page.frames.cells
    having = rows.filter(pl.col("metric") == page.metric)
    others = rows.filter(pl.col("metric").is_in(list(NAMES)))
    left = cells.join(others, on="cell", how="semi", maintain_order="left")
    left = left.join(having, on="cell", how="anti", maintain_order="left")
    if left.is_empty():
        return ""
    names = ", ".join(left["series"].unique(maintain_order=True))
    return (
        f"Not drawn, since no {page.name.lower()} was recorded and other returns are not set "
        f"beside it: {names} ({left.height} run{'s' if left.height > 1 else ''})."
    )


def _sources(targets: Sequence[Target], metric: str) -> str:
    if not targets:
        return ""
    listed = []
    for target in targets:
        kind = target.kind_said(metric)
        listed.append(f"{target.series} on {target.env} {target.value:g}{kind} ({target.source})")
    unknown = list(dict.fromkeys(target.series for target in targets if not target.metric))
    said = f"Dashed lines and hollow diamonds are published scores: {'; '.join(listed)}."
    if unknown:
        said += (
            f" Whether they are training or evaluation returns is not recorded for "
            f"{', '.join(unknown)}; ours are {NAMES[metric].lower()}s."
        )
    return said


def _final_scores(page: _Page) -> list[Section]:
    if not page.samples:
        return []
    figure = catalogue.interval_dots(page.samples, page.compared, page.last, page.looks)
    caption = (
        f"IQM of the final scores ({page.name.lower()}) of finished seeds with 95 % bootstrap "
        "intervals."
    )
    if not page.compared.is_empty():
        caption += (
            " Hollow diamonds: published scores; the thin line is the 95 % interval of our mean, "
            "which they are compared with."
        )
    return [Section("Final scores", _beside([page.figure(figure, "final", caption)]))]


def _published(page: _Page) -> list[Section]:
    """The verdicts on published scores in words."""
    if page.compared.is_empty():
        return []
    rows = [
        [row["env"], row["series"], f"{row['verdict']}.", row["source"]]
        for row in page.compared.iter_rows(named=True)
    ]
    note = (
        "Our interval is the 95 % bootstrap interval of the mean over seeds of the last "
        f"{page.name.lower()}: published scores are mostly means."
    )
    unknown = page.compared.filter(pl.col("published_metric") == "")["published_series"]
    if names := ", ".join(unknown.unique(maintain_order=True)):
        note += f" It is not recorded whether these are training or evaluation returns: {names}."
    body = html.paragraph(note) + html.table(["Environment", "Series", "Verdict", "Source"], rows)
    return [Section("Beside published scores", body)]


def _profile(page: _Page) -> list[Section]:
    shared = scores.comparable(page.samples)
    envs = sorted({env for by_env in shared.values() for env in by_env})
    if not envs or (len(shared) < 2 and len(envs) < 2):
        return []
    label, scale = f"Final {page.name.lower()} τ", f"Scores on {envs[0]}."
    if len(envs) > 1:
        shared = scores.normalise(shared, page.references)
        label = f"Final {page.name.lower()} τ, rescaled"
        scale = table_sections.scale_note(envs, page.references)
    figure = catalogue.performance_profiles(shared, label, page.looks)
    caption = f"Fraction of runs that score above τ, with pointwise 95 % intervals. {scale}"
    body = _beside([page.figure(figure, "profile", caption)])
    if len(envs) > 1:
        body += table_sections.aggregate_table(shared)
    return [Section("Performance profile", body)]


def _online_cost(page: _Page) -> list[Section]:
    """For runs on datasets, whose policies are chosen by trying them."""
    found = online.choosing(page.frames)
    if found.is_empty():
        return []
    figure = catalogue.online_cost(found, page.name.lower(), page.looks)
    caption = (
        "Expected final score of the best of k policies, drawn with replacement from all seeds of "
        "a series, or all seeds and points of a sweep: what choosing by k evaluations gives."
    )
    body = _beside([page.figure(figure, "online_cost", caption)])
    return [Section("Choosing a policy online", body)]


def _sweeps(page: _Page) -> list[Section]:
    settings = sweep.settings_of_lines(page.scored)
    lines = sweep.lines(page.scored, settings[:_MOST_SWEEPS])
    grids = sweep.grids(page.scored)
    bodies = [
        _sensitivity(page, [line for line in lines if line.setting == setting], index)
        for index, setting in enumerate(settings[:_MOST_SWEEPS])
    ]
    bodies += [_heat_map(page, grid, index) for index, grid in enumerate(grids[:_MOST_SWEEPS])]
    if not bodies:
        return []
    left = max(0, len(settings) - _MOST_SWEEPS) + max(0, len(grids) - _MOST_SWEEPS)
    note = html.paragraph(f"{len(bodies)} are drawn, {left} are left out.") if left else ""
    return [Section("Sweep", _beside(bodies) + note)]


def _sensitivity(page: _Page, lines: Sequence[sweep.Line], index: int) -> str:
    figure = catalogue.sensitivity(lines, f"IQM of the last\n{page.name.lower()}", page.looks)
    runs = [estimate.n for line in lines for estimate in line.estimates]
    caption = (
        f"{page.last} against {lines[0].setting}, the one thing that differs; {_seeds(runs)} a "
        "point, 95 % bootstrap intervals. Each point has the colour of its series."
    )
    return page.figure(figure, f"sensitivity_{index}", caption)


def _heat_map(page: _Page, grid: sweep.Grid, index: int) -> str:
    best = len(catalogue.best_fields(grid))
    said = {0: "all fields are equal", 1: "the best is framed"}
    tie = f"{best} tie for the best" + (" and are framed" if best <= MOST_FRAMED else "")
    pooled = f" Pooled over {', '.join(grid.pooled)}." if grid.pooled else ""
    lost = f" {grid.lost.sum()} seeds were lost." if grid.lost.any() else ""
    caption = f"{page.last} of {_seeds(grid.n.ravel().tolist())} a field; {said.get(best, tie)}."
    return page.figure(
        catalogue.heatmap(grid, page.last), f"sweep_{index}", caption + pooled + lost
    )


def _seeds(counts: Sequence[int]) -> str:
    return f"{style.count_range(counts)} seed{'' if set(counts) == {1} else 's'}"


def _distributions(page: _Page) -> list[Section]:
    many = with_many_seeds(page.samples)
    if not many:
        return []
    figure = catalogue.distributions(many, f"Last {page.name.lower()}", page.looks)
    caption = (
        f"Final scores of series with at least {MANY_SEEDS} seeds, in an environment the four best "
        "at most. Dashed: their IQM. Below: the fraction of seeds that score at most that much."
    )
    return [Section("Return distribution", _beside([page.figure(figure, "distribution", caption)]))]


def _training(page: _Page) -> list[Section]:
    """Losses, entropy, KL and values of the named series, a figure for each task."""
    bodies, left = [], set()
    envs = page.frames.cells["env"].unique(maintain_order=True).to_list()
    names = file_names(envs)
    for env in envs[:_MOST_TASKS]:
        drawn, others = training.curves_of(page.frames, env, list(page.looks))
        if not drawn:
            continue
        left |= {*others}
        figure = catalogue.training_curves(drawn, page.looks, env, page.frames.step_name)
        caption = f"What was recorded while learning on {env}: {', '.join(drawn)}."
        bodies.append(page.figure(figure, f"training_{names[env]}", caption))
    if not bodies:
        return []
    note = (
        "IQM over seeds with pointwise 95 % intervals, each metric as its agent defines it: losses "
        "of different agents are different quantities. Training returns are those of the policy "
        "as it explores, evaluation returns stand above."
    )
    if left:
        note += f" Recorded too and not drawn: {', '.join(sorted(left))}."
    if len(envs) > _MOST_TASKS:
        note += f" The first {_MOST_TASKS} of {len(envs)} tasks are drawn."
    return [Section("During training", html.paragraph(note) + _beside(bodies))]


def file_names(envs: Sequence[str]) -> dict[str, str]:
    """A name for each task that any file system takes, no two alike."""
    names: dict[str, str] = {}
    for env in envs:
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", env).strip("-.") or "task"
        # Also where capitals do not count.
        taken = {name.lower() for name in names.values()}
        names[env] = plain
        for number in range(2, len(envs) + 2):
            if names[env].lower() not in taken:
                break
            names[env] = f"{plain}-{number}"
    return names
