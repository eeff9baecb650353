"""Several run folders, or the tables kept of them, as one store.

A study of many hours is run in parts: on several machines, or over nights that each start on a
bare one. What is kept of a part is its run folder or, without states and policies, its two tables
(rows.parquet, cells.parquet) with provenance.json beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from rlsuite.analysis.load import loading, series
from rlsuite.analysis.load.frames import Frames
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.checks import check_one_family
from rlsuite.engine.store import provenance
from rlsuite.engine.store.store import TABLES, Store, check_readable, keep_grid
from rlsuite.io import files

# Of two states of one run the later of this list counts.
STATES = ("pending", "failed", "running", "nan", "done")
FINISHED = ("nan", "done")
_GRID = re.compile(r"grid(?:_(\d+))?\.toml")


def load(folders: Sequence[Path]) -> Frames:
    """All rows and cells of some folders; of a run that several have, the one that came furthest
    counts, of equals the first's.

    Raises:
      UsageError: a folder holds neither a run nor tables, a damaged file, datasets of several
        families.
    """
    parts = [_load(folder) for folder in folders]
    told = series.alike([f.cells for f in parts])
    tagged = [cells.with_columns(part=pl.lit(i)) for i, cells in enumerate(told)]
    joined = series.recognised(pl.concat(tagged, how="diagonal_relaxed"))
    # A run may have been made twice, under an id of before and one of today.
    run = [pl.col("env"), pl.col("variant"), pl.col("seed")]
    twins = joined.with_columns(run=pl.struct(run).rank("dense"))
    twins = twins.with_columns(run=pl.col("run").min().over("cell"))
    # Where a run first stands, so that a part more does not shuffle the tables.
    first = pl.col("place").min().over("run")
    cells = twins.with_row_index("place").with_columns(first)
    rank = pl.col("status").replace_strict(STATES, range(len(STATES)), return_dtype=pl.Int64)
    order = cells.sort(rank, "part", descending=[True, False], maintain_order=True)
    kept = order.unique("run", keep="first", maintain_order=True).sort("place", maintain_order=True)
    rows = pl.concat([f.rows.with_columns(part=pl.lit(i)) for i, f in enumerate(parts)])
    rows = rows.join(kept.select("cell", "part"), on=["cell", "part"], maintain_order="left")
    _check_datasets(kept, folders)
    return Frames(rows.drop("part"), series.named(kept.drop("part", "place", "run")))


def commands(folders: Sequence[Path]) -> list[str]:
    """The command lines that made some folders, each once, without paths of the machine."""
    told: list[str] = []
    for folder in folders:
        if Store(folder).exists():
            told += [" ".join(provenance.portable(c)) for c in Store(folder).commands()]
        elif (folder / "provenance.json").exists():
            told += files.read_json(folder / "provenance.json")["commands"]
    return list(dict.fromkeys(told))


def keep(frames: Frames, folders: Sequence[Path], into: Path) -> None:
    """Write into a folder what `load` needs to read it again, what was published, and grids.

    Args:
      frames: of `load`.
      folders: that they are of; their grids, and the first targets.csv, are copied.
      into: the folder, which must exist.
    """
    loading.compact(into, frames)
    for folder in folders:
        published = folder / "targets.csv"
        if published.exists() and not (into / "targets.csv").exists():
            files.write_atomic(into / "targets.csv", published.read_bytes())
        for grid in _grids(folder):
            keep_grid(grid, into)


def _grids(folder: Path) -> list[Path]:
    """The copies of grid files that `keep_grid` made, first to last; no other file of that kind."""
    found = {path: _GRID.fullmatch(path.name) for path in folder.glob("grid*.toml")}
    numbers = {path: int(match[1] or 1) for path, match in found.items() if match}
    return sorted(numbers, key=lambda path: numbers[path])


def finished(folders: Sequence[Path]) -> set[str]:
    """Ids of the runs that some folders have to their end."""
    cells = load(folders).cells
    return set(cells.filter(pl.col("status").is_in(FINISHED))["cell"])


def _load(folder: Path) -> Frames:
    if Store(folder).exists():
        return loading.load(folder)
    check_readable(folder)
    try:
        rows, cells = (pl.read_parquet(folder / name) for name in TABLES)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the tables in {folder} are damaged ({reason})") from None
    frames = Frames(rows, cells)
    own = [*loading.CELL_SCHEMA, *series.COLUMNS]
    settings = [name for name in cells.columns if name.startswith(series.SETTING)]
    chosen = [*(name for name in own if name in cells.columns), *settings]
    told = series.complete(frames.cells.select(chosen), folder)
    return Frames(frames.rows.select(list(loading.ROW_SCHEMA)), told)


def _check_datasets(cells: pl.DataFrame, folders: Sequence[Path]) -> None:
    """One family, and one content of each name."""
    columns = cells.select("env", "part", "provenance").iter_rows()
    told = [(env, part, json.loads(text)) for env, part, text in columns]
    check_one_family((o["dataset_family"], env) for env, _, o in told if "dataset_family" in o)
    first: dict[str, tuple[str, int]] = {}
    for env, part, origin in told:
        content = origin.get("dataset_hash")
        if not content:
            continue
        known, its_part = first.setdefault(env, (content, part))
        # Within one folder the store has refused it, or the tables were kept before it did.
        if known != content and its_part != part:
            raise UsageError(
                f"dataset {env} of {folders[its_part]} is another one than that of "
                f"{folders[part]}: report each by itself"
            )
