"""How commands end when they are interrupted, and when nobody reads what they write."""

from __future__ import annotations

import io
import sys

import pytest

from playground.cli.main import main
from tests.cli.support import start


@pytest.mark.usefixtures("starter_gguf")
@pytest.mark.parametrize(
    "command",
    [
        ("models", "info", "starter"),
        ("models", "list"),
        ("presets", "show", "min-p"),
        ("estimate", "openai/gpt-4o", "--in", "200", "--out", "300"),
        ("tokens", "some words", "--only-models"),
        ("doctor", "--json"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_pipe_that_nobody_reads_is_no_failure(command: tuple[str, ...]) -> None:
    process = start(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0
    assert "Traceback" not in told
    assert "Error" not in told
    assert "roken pipe" not in told


@pytest.mark.parametrize("command", [("run", "-p", "-"), ("compare", "-p", "-"), ("tokens", "-"), ("score", "-")])
def test_ctrl_c_ends_a_command_with_the_status_of_shells_and_no_words(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Interrupted()))
    with pytest.raises(SystemExit) as ended:
        main([*command])
    assert ended.value.code == 130
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
