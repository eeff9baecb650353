"""The sections of a report that are tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from rlsuite.analysis import text
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.series import UNKNOWN
from rlsuite.analysis.load.targets import NORMALISED
from rlsuite.analysis.report import html, tables, terminal
from rlsuite.analysis.report.html import Field, Section
from rlsuite.analysis.stats import published
from rlsuite.analysis.stats.scores import Samples
from rlsuite.engine.plan import labels

_MOST_LOST = 500
_MOST_VALUES = 6


def subtitle(frames: Frames) -> str:
    """How many cells there are and how they stand."""
    status = dict(frames.cells["status"].value_counts(sort=True).iter_rows())
    envs, series = (frames.cells[name].n_unique() for name in ("env", "series"))
    parts = ", ".join(f"{number} {name}" for name, number in status.items()) or "none"
    return (
        f"{_many(frames.cells.height, 'cell')} ({parts}), {_many(envs, 'environment')}, "
        f"{series} series"
    )


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def summary_section(summary: pl.DataFrame, metric: str | None, compared: pl.DataFrame) -> Section:
    """The final table, the best IQM of each environment in bold.

    Args:
      summary: from `tables.summary`.
      metric: the kind of score.
      compared: from `published.table`, shown beside the series it names.
    """
    best = dict(summary.group_by("env").agg(pl.col("iqm_last").fill_nan(None).max()).iter_rows())
    rivals = dict(summary.group_by("env").agg(pl.len()).iter_rows())
    header = ["Environment", "Series", "Seeds", "IQM last", "95 % interval", "Mean last"]
    tail = text.tail([*summary["tail_fewest"], *summary["tail_most"]])
    header += [f"Mean of {tail}", "IQM best", "Steps", "Steps/s", "Time per seed"]
    header += [] if compared.is_empty() else ["Published"]
    rows = []
    for row in summary.iter_rows(named=True):
        bold = rivals[row["env"]] > 1 and row["iqm_last"] == best[row["env"]]
        fields = _summary_fields(row, bold)
        if not compared.is_empty():
            fields.append(_published(compared, row["env"], row["series"]))
        rows.append(fields)
    return Section("Summary", _summary_note(metric, tail) + html.table(header, rows))


def makers_sections(made: Frames) -> list[Section]:
    """Runs that made what others are given; none where there are none."""
    if made.cells.is_empty():
        return []
    header = ["Environment", "Series", "Makes", "Seed", "Status", "Steps", "Time", "Measured last"]
    rows = [
        [Field(cell) for cell in terminal.maker_cells(row)]
        for row in tables.makers(made).iter_rows(named=True)
    ]
    note = "<p>Runs whose product others were given: they play no episodes.</p>"
    return [Section("Made for them", note + html.table(header, rows))]


def _published(compared: pl.DataFrame, env: str, series: str) -> Field:
    found = published.beside(compared, env, series)
    shown = "; ".join(
        f"{text.score(target.value)} ({target.series}{target.kind_said(metric)})"
        for target, metric in found
    )
    return Field(shown or text.NOTHING, float(found[0][0].value) if found else float("nan"))


def _summary_fields(row: dict, bold: bool) -> list[Field]:
    shown = terminal.summary_cells(row)
    means = row["mean_last"], row["mean_tail"], row["iqm_best"]
    keys = (row["iqm_last"], row["low"], *means, *_costs(row))
    # A text that sorts as a number: left-aligned, since it may have to wrap.
    fields = [Field(shown[0]), Field(shown[1]), Field(shown[2], str(row["ok"]))]
    for index, (what, key) in enumerate(zip(shown[3:], keys, strict=True)):
        number = float("nan") if key is None else float(key)
        fields.append(Field(what, number, strong=bold and index == 0))
    return fields


def _costs(row: dict) -> tuple:
    return row["steps"], row["steps_per_second"], row["seconds"]


def _summary_note(metric: str | None, tail: str) -> str:
    if metric is None:
        return html.paragraph("No returns have been recorded yet.")
    note = (
        f"Scores of finished seeds. Last: mean return of the final evaluation; {tail}: over so "
        "many evaluations, where it is all of them that of the initial policy too. Best: largest "
        "over all evaluations (optimistic). Seeds that turned to NaN or failed are in no score; "
        "they are counted beside it. With a handful of seeds an interval is little more than their "
        "range. Time is wall time without compilation, and steps/s follow from it. Click a heading "
        "to sort."
    )
    if metric == NORMALISED:
        note = (
            "Scores are returns on the scale where the dataset's references are 0 and 100. " + note
        )
    if metric == "train/return":
        note = "This store holds no evaluations: scores are training returns. " + note
    return html.paragraph(note)


def scale_note(envs: Sequence[str], references: Mapping[str, tuple[float, float]] | None) -> str:
    """What 0 and 1 mean on the normalised scale."""
    given = [env for env in envs if env in (references or {})]
    if len(given) == len(envs):
        return f"{len(envs)} environments, normalised by the reference scores given."
    own = "0 is the worst and 1 the best finished run of all series here"
    if given:
        return f"{len(envs)} environments, normalised by the references given; elsewhere {own}."
    return f"{len(envs)} environments, each normalised: {own}; absolute values mean nothing more."


def aggregate_table(shared: Samples) -> str:
    """Statistics over environments of normalised scores."""
    header = ["Series", "Runs", "IQM", "95 %", "Mean", "95 %", "Median", "95 %"]
    header += ["Optimality gap", "95 %"]
    rows = []
    for row in tables.aggregate(shared).iter_rows(named=True):
        lost = f" ({row['lost']} lost)" if row["lost"] else ""
        fields = [Field(row["series"]), Field(f"{row['runs']}{lost}", float(row["runs"]))]
        for name in ("iqm", "mean", "median", "optimality_gap"):
            fields += _with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
        rows.append(fields)
    note = "Aggregates over environments on the same scale; median: of the environments' means."
    return html.paragraph(note) + html.table(header, rows)


def _with_interval(value: float, low: float, high: float) -> list[Field]:
    return [
        Field(text.score(value), float(value)),
        Field(text.interval(value, low, high), float(low)),
    ]


def comparison_section(samples: Samples) -> list[Section]:
    """Probability of improvement between pairs of series, where there are two."""
    table = tables.comparisons(samples)
    if table.is_empty():
        return []
    rows = []
    for row in table.iter_rows(named=True):
        fields = [Field(row["series"]), Field(row["versus"])]
        fields.append(Field(str(row["environments"]), float(row["environments"])))
        fields += _with_interval(row["probability"], row["low"], row["high"])
        rows.append([*fields, Field(str(row["lost"]), float(row["lost"]))])
    header = ["Series", "Versus", "Environments", "P(better)", "95 % interval", "Seeds lost"]
    note = (
        "Probability that a random run of the first series scores above one of the second in the "
        "same environment (ties count half), averaged over shared environments; best series only."
    )
    body = html.paragraph(note) + html.table(header, rows)
    return [Section("Probability of improvement", body)]


def closing_sections(frames: Frames) -> list[Section]:
    """Settings, lost seeds, cost and provenance."""
    return [_settings(frames), _losses(frames), _cost(frames), _provenance(frames)]


def _settings(frames: Frames) -> Section:
    """What differs between series, then what the series of each agent share."""
    table = tables.settings(frames)
    bodies = [html.paragraph(_settings_note(frames))]
    apart = table.filter(~pl.col("shared"))
    if not apart.is_empty():
        rows = [
            [row["agent"], labels.words(row["setting"]), row["value"], row["origin"],
             _listed(row["series"])]
            for row in apart.sort("agent", "setting", maintain_order=True).iter_rows(named=True)
        ]  # fmt: skip
        header = ["Agent", "Differs", "Value", "From", "Series"]
        bodies.append(html.table(header, rows))
    for (agent,), shared in table.filter(pl.col("shared")).group_by("agent", maintain_order=True):
        rows = [
            [labels.words(row["setting"]), row["value"], row["origin"]]
            for row in shared.iter_rows(named=True)
        ]
        whole = html.table(["Setting", "Value", "From"], rows)
        bodies.append(html.details(f"{len(rows)} settings that all series of {agent} share", whole))
    return Section("Settings", "\n".join(bodies))


def _settings_note(frames: Frames) -> str:
    cells = frames.cells
    known = "variant" in cells.columns
    lost = cells if not known else cells.filter(pl.col("variant").str.starts_with(UNKNOWN))
    series = lost["series"].unique(maintain_order=True).to_list()
    if not series:
        return (
            "From: where the value was set; what is neither in a preset, nor in a grid file, nor a "
            "flag of the command line is the agent's default of that time."
        )
    return (
        f"The settings of {_listed(series)} were not kept (tables of before settings were); "
        "the commands are in provenance.json."
    )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_VALUES} more" if len(names) > _MOST_VALUES else ""
    return "; ".join(names[:_MOST_VALUES]) + more


def _losses(frames: Frames) -> Section:
    table = tables.losses(frames)
    if table.is_empty():
        return Section("Failed and NaN seeds", html.paragraph("None."))
    header = ["Environment", "Series", "Seed", "Status", "Last row at step", "of", "Error"]
    rows = [
        [
            Field(row["env"]),
            Field(row["series"]),
            Field(str(row["seed"]), float(row["seed"])),
            Field(row["status"]),
            _count_field(row["last_step"]),
            _count_field(row["total_steps"]),
            Field(row["error"] or "", pre=True),
        ]
        for row in table.head(_MOST_LOST).iter_rows(named=True)
    ]
    note = f"{_many(table.height, 'seed')} without a score."
    if table.height > _MOST_LOST:
        note += f" The first {_MOST_LOST} are listed; all are in scores.csv."
    return Section("Failed and NaN seeds", html.paragraph(note) + html.table(header, rows))


def _count_field(value: float | None) -> Field:
    return Field(text.count(value), float("nan") if value is None else float(value))


def _cost(frames: Frames) -> Section:
    header = [
        "Environment",
        "Agent",
        "Cells",
        "Compute",
        "Compilation",
        "Finished steps",
        "Steps/s",
    ]
    table = tables.cost(frames)
    rows = [
        [
            Field(row["env"]),
            Field(row["agent"]),
            _count_field(row["cells"]),
            Field(text.duration(row["compute_seconds"]), float(row["compute_seconds"])),
            Field(text.duration(row["compile_seconds"]), float(row["compile_seconds"])),
            _count_field(row["steps"]),
            _count_field(row["steps_per_second"]),
        ]
        for row in table.iter_rows(named=True)
    ]
    total = text.duration(float(table["compute_seconds"].sum()))
    compiled = text.duration(float(table["compile_seconds"].sum()))
    note = (
        f"{total} of compute and {compiled} of compilation, summed over cells, however many ran "
        "side by side; steps/s is per cell."
    )
    return Section("Cost", html.paragraph(note) + html.table(header, rows))


def _provenance(frames: Frames) -> Section:
    table = tables.provenance(frames)
    if table.is_empty():
        return Section("Provenance", html.paragraph("No cell has recorded its provenance yet."))
    rows = []
    for (field,), values in table.group_by("field", maintain_order=True):
        for row in values.head(_MOST_VALUES).iter_rows(named=True):
            rows.append([Field(str(field)), Field(row["value"]), _count_field(row["cells"])])
        if values.height > _MOST_VALUES:
            more = values.height - _MOST_VALUES
            rows.append(
                [Field(str(field)), Field(f"... {more} more values"), Field("", float("nan"))]
            )
    return Section("Provenance", html.table(["Field", "Value", "Cells"], rows))
