"""Help of every command, what it loads, and completion for shells."""

from __future__ import annotations

import os
import re
import shlex
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


NO_JSON = {("completion",)}
"""What it prints is for a shell."""


def commands() -> Iterator[tuple[str, ...]]:
    """Every command, and at any depth every command of a group, by its words."""
    yield from _below(cli, click.Context(cli), ())


def _below(group: click.Group, context: click.Context, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from _below(command, click.Context(command, parent=context), (*words, name))


def found(words: tuple[str, ...]) -> click.Command:
    """The command that is called so."""
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), word)
        assert below is not None
        command = below
    return command


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
    examples = re.split(r"\n  Examples?:\n", done.out)
    assert len(examples) == 2, "it has examples"
    lines = re.findall(r"^ +llm-playground (.+)$", examples[1].partition("\n\n")[0], re.MULTILINE)
    assert lines
    for line in lines:
        assert line.split()[: len(words)] == [*words]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_examples_can_be_run(words: tuple[str, ...]) -> None:
    command = found(words)
    if isinstance(command, click.Group):
        return
    for line in re.findall(r"^ +llm-playground (.+)$", command.help or "", re.MULTILINE):
        given = shlex.split(re.split(r" [<>|] ", line)[0], comments=True)
        assert tuple(given[: len(words)]) == words
        command.make_context(" ".join(words), given[len(words) :])  # raises what click would say


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_can_tell_programs(words: tuple[str, ...]) -> None:
    command = found(words)
    flags = {flag for one in command.params for flag in one.opts}
    assert isinstance(command, click.Group) or words in NO_JSON or "--json" in flags


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
