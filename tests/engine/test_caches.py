"""Where caches go: what is named, else the XDG rules, else a temporary folder and a line."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import locate
from rlsuite.io.machine import cache_folder, home_folder


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user with a home folder and nothing named; temporary folders are the test's."""
    for name in ("RLSUITE_CACHE", "XDG_CACHE_HOME", "MINARI_DATASETS_PATH"):
        # Set first, so that what is set meanwhile is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me").mkdir()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither HOME nor an entry in the list of users."""

    def missing(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", missing)


@pytest.mark.parametrize("given", ["", "relative/cache", ".", "~/cache"])
def test_a_cache_home_that_is_no_absolute_path_counts_as_not_given(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_folder() == tmp_path / "me" / ".cache" / "rlsuite"


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "rlsuite"
    monkeypatch.setenv("RLSUITE_CACHE", "here")
    assert cache_folder() == Path("here")
    monkeypatch.setenv("RLSUITE_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "rlsuite"


def test_a_user_without_a_home_needs_none_where_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody(monkeypatch)
    assert home_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "rlsuite"
    with pytest.raises(UsageError, match=r"no dataset '~x'"):
        locate.find("~x")


@pytest.mark.parametrize("home", [None, "", "relative", "a file"])
def test_without_a_home_a_temporary_folder_is_taken_and_said_once(
    home: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if home is None:
        nobody(monkeypatch)
    elif home == "a file":
        (tmp_path / "file").touch()
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
    else:
        monkeypatch.setenv("HOME", home)
        monkeypatch.setattr("rlsuite.io.machine._can_hold", lambda folder: False)
    folder = cache_folder()
    assert folder == tmp_path / "scratch" / f"rlsuite-{os.getuid()}"
    assert folder.stat().st_mode & 0o077 == 0
    said = capsys.readouterr().err
    assert str(folder) in said
    assert "RLSUITE_CACHE" in said
    assert said.count("\n") == 1
    assert cache_folder() == folder
    assert not capsys.readouterr().err


def test_a_temporary_folder_that_is_another_users_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody(monkeypatch)
    (tmp_path / "scratch" / f"rlsuite-{os.getuid()}").symlink_to(tmp_path / "me")
    with pytest.raises(UsageError, match="somebody else's: set RLSUITE_CACHE"):
        cache_folder()
