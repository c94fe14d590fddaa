"""Where files lie, and how they are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from playground.domain.errors import BadInput
from playground.services import paths


def test_everything_lies_below_the_home_that_is_given(sealed: Path) -> None:
    home = sealed / "playground"
    assert paths.user_config_dir() == home / "config"
    assert paths.user_data_dir() == home / "data"
    assert paths.user_state_dir() == home / "state"
    assert paths.log_dir() == home / "logs"
    assert not home.exists()


def test_without_it_the_platform_decides(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.HOME_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(sealed / "xdg"))
    folders = {paths.user_config_dir(), paths.user_data_dir(), paths.user_state_dir(), paths.log_dir()}
    assert len(folders) == 4
    assert all(folder.is_relative_to(sealed) and "llm-playground" in folder.parts for folder in folders)


@pytest.mark.parametrize("kind", ["themes", "presets"])
def test_the_shipped_files_of_a_checkout(kind: str) -> None:
    top = Path(paths.__file__).parents[2]
    assert paths.shipped(kind) == top / kind  # type: ignore[arg-type]


def test_only_the_standard_library_is_imported() -> None:
    check = (
        "import sys; before = set(sys.modules); import playground.services.paths as paths; paths.shipped('themes');"
        "print([name for name in set(sys.modules) - before"
        " if name.split('.')[0] not in sys.stdlib_module_names | {'playground'}])"
    )
    top = Path(paths.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], cwd=top, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.txt"
    paths.write_text_atomic(path, "first\n")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    paths.write_text_atomic(path, "zweite Fassung: ✓\n")
    assert path.read_text(encoding="utf-8") == "zweite Fassung: ✓\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_write_follows_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles.toml", tmp_path / "settings.toml"
    target.write_text("old")
    link.symlink_to(target)
    paths.write_text_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        paths.write_text_atomic(path, "new")
    with pytest.raises(UnicodeEncodeError):
        paths.write_text_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["file.txt"]


def test_a_typed_path_may_begin_with_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.path_from("~/prompts.txt") == tmp_path / "prompts.txt"
    assert paths.path_from("~nobody-of-that-name.txt") == Path("~nobody-of-that-name.txt")


@pytest.mark.parametrize("text", ["x" * 300, "~/" + "y" * 300, "with\0nul", "~\0", "half \ud800"])
def test_what_no_file_can_be_called_is_told_in_a_short_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="cannot be used") as caught:
        paths.path_from(text)
    assert len(caught.value.message) < 150
    assert "\0" not in caught.value.message
