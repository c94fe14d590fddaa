"""`llm-playground completion`: the script for a shell, and what there is to complete with."""

from __future__ import annotations

from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

_PROGRAM: Final = "llm-playground"
_VARIABLE: Final = "_LLM_PLAYGROUND_COMPLETE"
"""By this variable the shell's script asks; click wants just this name for just this program."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, and the names of models and presets.

    \b
    For bash, in ~/.bashrc:
      eval "$(llm-playground completion bash)"
    For zsh, in ~/.zshrc:
      eval "$(llm-playground completion zsh)"
    For fish, once:
      llm-playground completion fish > ~/.config/fish/completions/llm-playground.fish
    \b
    Example:
      llm-playground completion bash > ~/.local/share/bash-completion/completions/llm-playground
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    found = get_completion_class(shell)
    assert found is not None, "click knows all three"
    click.echo(found(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())


def complete_model(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models on this machine, endpoints with a slash behind them, and files; a `shell_complete` callback of click."""
    from playground.services.endpoints import load_endpoints
    from playground.services.model_folders import iter_found
    from playground.services.models import STARTER, starter_model
    from playground.services.settings import load_settings

    settings, _ = load_settings()
    names = {STARTER: "the small model of the starter package"} if starter_model() is not None else {}
    for found in iter_found(settings.models.folders, None):
        name = found.label if found.source == "Ollama" else found.label.rpartition("/")[2]
        names.setdefault(name, found.source)
    names |= {f"{name}/": "models of this endpoint" for name in load_endpoints(settings)}
    items = _items(names, incomplete)
    return items or [CompletionItem(incomplete, type="file")]


def complete_preset(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Every preset; a `shell_complete` callback of click."""
    from playground.services.presets import load_presets

    presets, _ = load_presets()
    return _items({preset.name: preset.summary for preset in presets.values()}, incomplete)


def _items(names: dict[str, str], incomplete: str) -> list[CompletionItem]:
    """Those that begin as typed. A shell takes them apart at line ends, so names with signs of control are left out."""
    wanted = incomplete.casefold()
    fitting: dict[str, Any] = {
        name: help_ for name, help_ in names.items() if name.isprintable() and name.casefold().startswith(wanted)
    }
    return [CompletionItem(name, help=help_) for name, help_ in fitting.items()]
