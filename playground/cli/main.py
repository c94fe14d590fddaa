"""`llm-playground`: opens the app, or runs one of the commands without a screen."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from playground import __version__
from playground.domain.errors import PlaygroundError

_COMMANDS = {
    "run": "playground.cli.run:run_command",
    "bench": "playground.cli.bench:bench_command",
    "presets": "playground.cli.presets:presets_group",
    "estimate": "playground.cli.estimate:estimate_command",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called: `--help` and the first paint stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", metavar="PATH|NAME", help="Model to open: a GGUF file, or part of the name of one on disk.")
@click.option("--preset", metavar="NAME", help="Sampling preset to begin with.")
@click.option("--theme", metavar="NAME", help="Colour theme.")
@click.version_option(__version__, prog_name="llm-playground")
@click.pass_context
def cli(context: click.Context, model: str | None, preset: str | None, theme: str | None) -> None:
    """See how a language model chooses its words.

    Without a command the app opens. Its keys are in the footer; F1 shows them all.
    """
    if context.invoked_subcommand is None:
        from playground.cli.app import open_app

        open_app(model=model, preset=preset, theme=theme)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point. Exit status: 0 fine, 1 failed while running, 2 bad use or bad input, 130 interrupted."""
    try:
        return cli.main(args=arguments, standalone_mode=True)
    except PlaygroundError as error:
        click.echo(f"llm-playground: {error}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
