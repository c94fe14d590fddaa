"""Standard input: every command reads it in the same way, and says the same about what is no text."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from playground.cli.main import main
from playground.domain.errors import BadInput
from playground.services.experiment_plans import read_prompt_file
from tests.cli.support import COMMAND

READERS = (
    ("run", "--prompt", "-"),
    ("compare", "--prompt", "-"),
    ("sweep", "--prompts", "-", "--dry-run"),
    ("tokens", "-"),
    ("score", "-"),
)


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"one\0two", "Standard input is no text: byte 3 of it is zero."),
        (b"caf\xe9", "Standard input is not UTF-8 text (byte 3)."),
        ("café".encode("utf-16"), "Standard input is UTF-16, and not UTF-8 text."),
        (b"y\n" * (5 << 20), "Standard input is larger than 8 MB."),
        (b"", ("The prompt is empty.", "Standard input has no prompts in it.", "The text is empty.")),
        (b"\xef\xbb\xbf", ("The prompt is empty.", "Standard input has no prompts in it.", "The text is empty.")),
    ],
    ids=["zero byte", "Latin-1", "UTF-16", "too much", "nothing", "only a mark"],
)
def test_what_is_no_text_is_refused_in_one_sentence(
    command: tuple[str, ...],
    given: bytes,
    says: str | tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    starter_gguf: Path,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    with pytest.raises(SystemExit) as ended:
        main([*command])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert any(one in line for one in ([says] if isinstance(says, str) else says))


def test_the_mark_some_editors_begin_a_file_with_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(b"\xef\xbb\xbfHello\n")
    assert read_prompt_file(file, system="", raw=True) == read_prompt_file(_plain(tmp_path), system="", raw=True)
    with pytest.raises(BadInput, match="is not a file"):
        read_prompt_file(Path("/dev/zero"), system="", raw=True)


def test_a_pipe_without_an_end_is_read_no_further_than_needed() -> None:
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        done = subprocess.run(
            [*COMMAND, "run", "-p", "-"], stdin=endless.stdout, capture_output=True, check=False, timeout=60
        )
        endless.kill()
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"larger than 8 MB" in done.stderr


def _plain(folder: Path) -> Path:
    file = folder / "plain.txt"
    file.write_text("Hello\n")
    return file
