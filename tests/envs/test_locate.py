"""Where datasets are looked for, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import locate


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder is the present one; files lie in the dataset folder and in Minari's."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.npz").touch()
    monkeypatch.chdir(tmp_path / "here")
    folder = tmp_path / "kept"
    (folder / "sub").mkdir(parents=True)
    for name in ("hopper_medium-x1.hdf5", "sub/walker_medium-x1.hdf5"):
        (folder / name).touch()
    told = tmp_path / "minari" / "mujoco" / "hopper" / "expert-v0" / "data" / "metadata.json"
    told.parent.mkdir(parents=True)
    told.touch()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("RLSUITE_DATASETS", str(folder))
    return folder


HINTS = {
    "a file of the dataset folder": (
        "hopper_medum-x1.hdf5",
        "did you mean 'hopper_medium-x1.hdf5'",
    ),
    "and of one in it": ("sub/walker_medum-x1.hdf5", "did you mean 'walker_medium-x1.hdf5'"),
    "without its ending": ("hopper_medium-x1", "did you mean 'hopper_medium-x1.hdf5'"),
    "a file here": ("mien.npz", "did you mean 'mine.npz'"),
    "Minari's": ("mujoco/hopper/expret-v0", "did you mean 'mujoco/hopper/expert-v0'"),
    "a name": ("hopper-medum-v2", "did you mean 'hopper-medium-v2'"),
    "no folder": ("no/such.npz", "no folder no (looked in no, "),
}


@pytest.mark.parametrize("case", HINTS)
def test_hints_come_from_where_it_would_be(kept: Path, case: str) -> None:
    spec, words = HINTS[case]
    with pytest.raises(UsageError) as caught:
        locate.find(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_and_nothing_of_minaris(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(kept / "none"))
    monkeypatch.delenv("RLSUITE_DATASETS")
    with pytest.raises(UsageError, match=r"no folder no .*--dataset-dir names another"):
        locate.find("no/such.npz")


def test_the_folders_are_named(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = kept.parent / "minari"
    with pytest.raises(UsageError, match=rf"\(looked in \., {kept}, {minari}\)$"):
        locate.find("hopper_medum-x1.hdf5")
    monkeypatch.delenv("RLSUITE_DATASETS")
    with pytest.raises(UsageError, match=rf"\., {minari}; --dataset-dir names another folder\)$"):
        locate.find("hopper_medium-x1.hdf5")
    with pytest.raises(UsageError, match=rf"did you mean .*x1.hdf5'\? \(looked in {kept}\)$"):
        locate.find(f"{kept}/hopper_medum-x1.hdf5")


def test_a_link_to_nothing_says_so(kept: Path) -> None:
    (kept / "old.npz").symlink_to("gone.npz")
    with pytest.raises(UsageError, match=r"is a link to gone\.npz, which is not there"):
        locate.find(f"{kept}/old.npz")
    with pytest.raises(UsageError, match=f"{kept}/old.npz is a link to gone.npz"):
        locate.find("old.npz")
