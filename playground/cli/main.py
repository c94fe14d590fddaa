"""`llm-playground`: opens the app, or runs one of the commands without a screen."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from playground import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from playground.domain.errors import PlaygroundError

_COMMANDS = {
    "run": "playground.cli.run:run_command Send one prompt and stream the reply.",
    "compare": "playground.cli.compare:compare_command One prompt, several models, one table.",
    "tokens": "playground.cli.tokens:tokens_command Show how a text is split into tokens, by one tokenizer or several.",
    "score": "playground.cli.score:score_command Tell how likely a model finds a text.",
    "sweep": "playground.cli.sweep:sweep_command Run prompts with many settings, models and seeds, and compare.",
    "bench": "playground.cli.bench:bench_command Measure the engine against a bare llama.cpp loop.",
    "presets": "playground.cli.presets:presets_group List, show, save, delete, import and export sampling presets.",
    "history": "playground.cli.history:history_group Find, show, tidy, export and repeat what was said before.",
    "models": "playground.cli.models:models_group List, describe, pull and remove models on disk.",
    "estimate": "playground.cli.estimate:estimate_command Reckon what a load would cost and how long one waits.",
    "doctor": "playground.cli.doctor:doctor_command Look at this machine, and say what is missing and how to get it.",
    "completion": "playground.cli.completion:completion_command Print the script that lets a shell complete commands.",
}
"""Where a command is, and its line in the list: with that line here, `--help` needs none of the modules."""

_INTERRUPTED = 130
"""Exit status after Ctrl+C, as shells have it."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called: `--help` and the first paint stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        place, _, _ = _COMMANDS[cmd_name].partition(" ")
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:
        """How every command ends when it is interrupted, and when whoever read its output has seen enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_output()
            sys.exit(0)
        except (KeyboardInterrupt, click.Abort):
            sys.exit(_INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        room = formatter.width - 6 - max(map(len, _COMMANDS))
        rows = []
        for name, entry in _COMMANDS.items():
            summary = entry.partition(" ")[2]
            command = click.Command(name, help=summary) if summary else self.get_command(ctx, name)
            rows.append((name, command.get_short_help_str(room) if command is not None else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from playground.cli.completion import complete_model

    return complete_model(ctx, param, incomplete)


def _presets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from playground.cli.completion import complete_preset

    return complete_preset(ctx, param, incomplete)


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model",
    metavar="PATH|NAME",
    shell_complete=_models,
    help="Model to open: a GGUF file, or part of the name of one on disk.",
)
@click.option("--preset", metavar="NAME", shell_complete=_presets, help="Sampling preset to begin with.")
@click.option("--theme", metavar="NAME", help="Colour theme.")
@click.version_option(__version__, prog_name="llm-playground")
@click.pass_context
def cli(context: click.Context, model: str | None, preset: str | None, theme: str | None) -> None:
    """See how a language model chooses its words.

    Without a command the app opens. Its keys are in the footer; F1 shows them all.

    \b
    Examples:
      llm-playground
      llm-playground --model SmolLM2 --preset creative
      llm-playground run --help
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    if context.invoked_subcommand is None:
        from playground.cli.app import open_app

        open_app(model=model, preset=preset, theme=theme)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point. Exit status: 0 fine, 1 failed while running, 2 bad use or bad input, 130 interrupted."""
    try:
        return cli.main(args=arguments, prog_name="llm-playground", standalone_mode=True)
    except SystemExit:  # the usual end, at which the errors need not be looked up
        raise
    except _our_errors() as error:
        click.echo(f"llm-playground: {error}", err=True)
        sys.exit(error.exit_status)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        click.echo("llm-playground: The output cannot be written: no room is left. Make room first.", err=True)
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Let what is still to be written go nowhere, or else Python complains once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _our_errors() -> type[PlaygroundError]:
    """Imported when there is an error to be caught: `--help` has no need for them."""
    from playground.domain.errors import PlaygroundError

    return PlaygroundError


if __name__ == "__main__":
    main()
