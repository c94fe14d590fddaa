"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from playground.cli.completion import complete_model, complete_preset

_Decorator = Callable[[Any], Any]


def models_option(help_text: str) -> _Decorator:
    """`--model`, as often as one likes; the command takes `models`."""
    return click.option(
        "--model",
        "-m",
        "models",
        metavar="PATH|NAME",
        multiple=True,
        shell_complete=complete_model,
        help=help_text,
    )


def presets_option(help_text: str) -> _Decorator:
    """`--preset`, as often as one likes; the command takes `presets`."""
    return click.option(
        "--preset", "presets", metavar="NAME", multiple=True, shell_complete=complete_preset, help=help_text
    )


def private_option(command: Any) -> Any:
    """`--private`: the command takes `private`."""
    return click.option("--private", is_flag=True, help="Keep nothing of it in the history.")(command)


json_option: Final[_Decorator] = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
"""`--json`: the command takes `as_json`."""
yes_option: Final[_Decorator] = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
"""`--yes`: the command takes `yes`."""
reply_argument: Final[_Decorator] = click.argument("number", metavar="ID", type=int)
"""A reply of the history: the command takes `number`."""
replies_argument: Final[_Decorator] = click.argument("numbers", metavar="ID...", type=int, nargs=-1, required=True)
"""One or more of them: the command takes `numbers`."""
