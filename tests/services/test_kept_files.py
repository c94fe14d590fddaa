"""Pictures and tables that are kept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from playground.domain.errors import BadInput, ConfigError
from playground.services.kept_files import check_folder, save_picture, save_tables, write_named
from playground.services.paths import user_data_dir, write_text_atomic
from tests.services.history_support import closed


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


def test_what_a_process_has_open_is_added_to_and_not_replaced(tmp_path: Path) -> None:
    log, link = tmp_path / "log.md", tmp_path / "link"
    log.write_text("before\n", encoding="utf-8")
    number = log.stat().st_ino
    with log.open("a") as file:
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        for name in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}", str(link)):
            write_named(Path(name), "ours\n")
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=file)
        with child:
            write_named(Path(f"/proc/{child.pid}/fd/1"), "theirs\n")
            child.communicate(b"\n")
    assert log.read_text(encoding="utf-8") == "before\nours\nours\nours\ntheirs\n"
    assert log.stat().st_ino == number
    assert link.is_symlink()
    with log.open("r+") as file:
        file.seek(len("before\n"))
        write_named(Path(f"/dev/fd/{file.fileno()}"), "here\n")
    assert log.read_text(encoding="utf-8") == "before\nhere\nours\nours\ntheirs\n", "where the handle stands"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_a_shell_redirects_keeps_what_was_in_it(tmp_path: Path, name: str) -> None:
    log = tmp_path / "log.md"
    log.write_text("before\n", encoding="utf-8")
    code = "from playground.services.kept_files import *; print('first', flush=True); "
    code += f"write_named(Path('/dev/{name}'), 'second\\n'); print('third')"
    with log.open("a") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, stderr=file, check=True)
    assert log.read_text(encoding="utf-8") == "before\nfirst\nsecond\nthird\n"


def test_what_is_not_open_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    with (tmp_path / "file").open() as file:
        for number in (file.fileno(), 999_999, 10**12):
            with pytest.raises(BadInput, match="cannot be written"):
                write_named(Path(f"/dev/fd/{number}"), "x")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "text"


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


@pytest.mark.parametrize("name", ["x" * 300, "y" * 300 + "/a", "a\0b", "a\0b/a", "half \ud800"], ids=range(5))
def test_what_no_file_can_be_called_is_a_sentence(tmp_path: Path, name: str) -> None:
    for attempt in (partial(write_named, text="text"), check_folder):
        with pytest.raises(BadInput, match=r"cannot be written: .*Give another file") as caught:
            attempt(tmp_path / name)
        assert len(str(caught.value)) < 400
    assert not list(tmp_path.glob("*.tmp"))


def test_half_a_character_is_a_sentence_and_the_old_text_stays(tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(BadInput, match="half of a character"):
        write_named(file, "new \ud800")
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.glob("*") if one.is_file()] == [
        ("talk.md", "old")
    ]


def test_a_folder_above_that_cannot_be_entered_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadInput, match="cannot be written"):
        write_named(tmp_path / "loop" / "talk.md", "text")
    folder = tmp_path / "closed"
    folder.mkdir()
    with closed(folder), pytest.raises(BadInput, match="Permission denied"):
        write_named(folder / "talk.md", "text")
