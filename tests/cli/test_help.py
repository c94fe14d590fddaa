"""Help of every command, what it loads, and completion for shells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from playground.cli.main import _COMMANDS, cli
from playground.domain.sampling import NEUTRAL
from playground.services.presets import preset_folders, save_preset
from tests.cli.support import COMMAND, run
from tests.test_architecture import HEAVY, SCREEN

LISTED = """
import sys
from playground.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and every command of a group, by its words."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.list_commands(context))


def test_help_names_all_commands_and_loads_none_of_them() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True)
    listed = done.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed if line[2:3].strip()] == [*_COMMANDS]
    loaded = set(done.stderr.split())
    assert "click" in loaded, "else the test looks in the wrong place"
    assert not loaded & (HEAVY | SCREEN | {"asyncio", "msgspec"})
    own = {name for name in loaded if name.startswith("playground.")}
    assert own <= {"playground.cli", "playground.cli.main"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = run(*words, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Usage: llm-playground {' '.join(words)} ")
    if len(words) == 1:
        assert "Example" in done.out
        assert f"  llm-playground {words[0]}" in done.out.partition("Example")[2]


def test_the_line_in_the_list_is_what_the_command_says_of_itself() -> None:
    for name, entry in _COMMANDS.items():
        summary = entry.partition(" ")[2]
        assert summary.endswith("."), name
        assert len(summary) <= 75, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    done = run("completion", shell)
    assert done.status == 0
    assert f"_LLM_PLAYGROUND_COMPLETE={shell}_complete" in done.out
    assert run("completion", "tcsh").status == 2


def completed(*words: str) -> list[str]:
    """What bash would be offered for the last word."""
    asked = {"_LLM_PLAYGROUND_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    line = {"COMP_WORDS": " ".join(("llm-playground", *words))}
    done = subprocess.run(COMMAND, env={**os.environ, **asked, **line}, capture_output=True, text=True, check=True)
    return [row.partition(",")[2] for row in done.stdout.splitlines()]


def test_names_are_completed() -> None:
    save_preset(preset_folders()[-1], "mine-alone", NEUTRAL, "For a test.")
    assert completed("sco") == ["score"]
    assert completed("--preset", "mine") == ["mine-alone"]
    for command in ("compare", "run"):
        assert completed(command, "--preset", "BAL") == ["balanced"]
    assert completed("run", "--model", "ollam") == ["ollama/"]
    assert {"anthropic/", "ollama/"} <= set(completed("--model", ""))
