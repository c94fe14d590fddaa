"""Tables keep a row on a line of the terminal; on a pipe they are whole."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from playground.cli.tables import cells_of, laid_out, padded
from playground.services.settings import settings_path
from tests.cli.support import run, start

NAME = "a-model-whose-name-is-longer-than-any-table-on-a-narrow-terminal-has-room-for-Q4_K_M"
ESTIMATE = ("estimate", f"openrouter/{NAME}", "openrouter/openai/gpt-4o-mini", "--in", "200", "--out", "300")


def test_columns_are_cut_first_and_then_left_out_in_order() -> None:
    cells = ("a long text", "1,000", "2,000", "3,000")
    widths = [cells_of(cell) for cell in cells]
    wide = laid_out(widths, None, texts={0: 6}, least=(2, 1))
    assert wide.line(cells) == "a long text 1,000 2,000 3,000"
    assert wide.line(("longer than was thought", "1", "2", "3")) == "longer than was thought     1     2     3"
    cut = laid_out(widths, 25, texts={0: 6}, least=(2, 1))
    assert cut.line(cells) == "a long… 1,000 2,000 3,000"
    assert cut.left_out == ()
    fewer = laid_out(widths, 20, texts={0: 6}, least=(2, 1))
    assert fewer.line(cells) == "a long…  1,000 3,000"
    assert fewer.left_out == (2,)
    fewest = laid_out(widths, 3, texts={0: 6}, least=(2, 1))
    assert (fewest.line(cells), fewest.left_out) == ("a l… 3,000", (1, 2))


def test_wide_characters_count_as_the_two_cells_they_take() -> None:
    assert padded("漢字漢字", 5) == "漢字…"
    assert padded("漢字", 6) == "漢字  "


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", [("models", "list"), ESTIMATE], ids=["models", "estimate"])
def test_a_row_stays_on_its_line(
    command: tuple[str, ...], columns: int, tmp_path: Path, tiny_models: Callable[[str], Path]
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[models]\nfolders = ['{folder}']\n")
    shutil.copy(tiny_models("chat"), folder / f"{NAME}.gguf")
    lines = _shown(columns, *command)
    rows = [line for line in lines[: lines.index("") if "" in lines else None] if "≈" in line or "–" in line]
    rows = [line for line in rows if ", cache" not in line and not line.startswith(("Prices", "–:"))]
    assert rows
    assert all(cells_of(row) <= columns for row in rows)
    whole = run(*command)
    assert NAME in whole.out
    assert "No room" not in whole.err


def _shown(columns: int, *command: str) -> list[str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = start(*command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    data = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not piece:
            break
        data += piece
    os.close(ours)
    process.wait()
    return data.decode().splitlines()
