"""Pictures and tables that are kept."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from playground.domain.errors import BadInput, ConfigError
from playground.services.kept_files import save_picture, save_tables, write_named
from playground.services.paths import user_data_dir, write_text_atomic


def test_nothing_is_written_over_and_the_forms_of_one_table_share_a_name() -> None:
    pictures = [save_picture(f"<svg>{number}</svg>") for number in range(3)]
    assert [path.read_text(encoding="utf-8") for path in pictures] == [f"<svg>{number}</svg>" for number in range(3)]
    tables = [save_tables("load", {"md": f"| {number} |", "csv": str(number)}) for number in range(3)]
    for number, (text, sheet) in enumerate(tables):
        assert (text.stem, text.suffix, sheet.suffix) == (sheet.stem, ".md", ".csv")
        assert text.name.startswith("load-")
        assert (text.read_text(encoding="utf-8"), sheet.read_text(encoding="utf-8")) == (f"| {number} |", str(number))
    assert len({path.stem for paths in tables for path in paths}) == 3


def test_a_folder_that_cannot_be_is_told_with_its_path() -> None:
    user_data_dir().mkdir(parents=True)
    (user_data_dir() / "tables").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tables/load-.*\.md cannot be written"):
        save_tables("load", {"md": "x"})


def test_a_named_file_is_replaced_through_a_link_and_keeps_its_permissions(tmp_path: Path) -> None:
    file, link = tmp_path / "talk.md", tmp_path / "link.md"
    link.symlink_to(file)
    write_named(link, "first")
    file.chmod(0o600)
    write_named(link, "second")
    assert link.is_symlink()
    assert (file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777) == ("second", 0o600)


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for name in (pipe, link):
        read = list[str]()
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
        reader.start()
        write_named(name, "through it ✓")
        reader.join(10)
        assert read == ["through it ✓"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    device = tmp_path / "nothing"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # swallows what is written
        device.write_bytes(b"")
    except PermissionError:
        pytest.skip("only root makes devices, and not everywhere")
    for write in (write_named, write_text_atomic):
        write(device, "gone")
        assert stat.S_ISCHR(device.stat().st_mode)
        assert device.stat().st_rdev == os.makedev(1, 3)
    assert not list(tmp_path.glob(".*"))


def test_no_folder_is_made_for_a_named_file(tmp_path: Path) -> None:
    (tmp_path / "nowhere.md").symlink_to(tmp_path / "gone" / "talk.md")
    for name in ("mistyped/talk.md", "nowhere.md"):
        with pytest.raises(BadInput, match=r"there is no folder .*/(mistyped|gone)"):
            write_named(tmp_path / name, "text")
    with pytest.raises(BadInput, match="directory"):
        write_named(tmp_path, "text")
    assert not (tmp_path / "mistyped").exists()
    assert not (tmp_path / "gone").exists()
