"""What was asked for on a command line and the model does not take: it is told, and it is not sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from playground.cli.run_output import say
from playground.domain.messages import CallOptions

if TYPE_CHECKING:
    from playground.backends.base import Backend, Capabilities
    from playground.domain.models import ModelCard

_DEFAULTS: Final = CallOptions()
_RAW: Final = "Raw text goes without a chat template, and so without it."


def tell_unsent(able: Capabilities, named: Iterable[str]) -> None:
    """Say which of the parameters that were asked for by name are not sent, and why."""
    for name in named:
        if name not in able.params and (reason := able.why_not(name)):
            say(f"{name} is not sent. {reason}")


def taken_options(backend: Backend, options: CallOptions, *, raw: bool) -> CallOptions:
    """What the model takes of the options, by the rule the app draws its controls by; of the rest it is said why not.

    Args:
        backend: The model that is to answer.
        options: What was asked for.
        raw: The text goes as it is.
    """
    able, name, unused = backend.capabilities, backend.card.short_name, {}
    for option in ("effort", "thinking", "cache"):
        asked, default, takes = getattr(options, option), getattr(_DEFAULTS, option), getattr(able, option)
        if asked == default or (asked in takes and not raw):
            continue
        if able.cache and not takes:  # Claude's own API where it lists nothing for a model: its server decides
            continue
        unused[option] = default
        if raw and takes:
            reason = _RAW
        elif takes:
            reason = f"{name} takes {', '.join(takes[:-1])}{' or ' if takes[1:] else ''}{takes[-1]}."
        else:
            reason = able.why_not(option) or f"{name} has no such control."
        say(f"--{option} {asked} is not used. {reason}")
    return msgspec.structs.replace(options, **unused)


def tell_context(card: ModelCard, context: int | None, *, hosted: bool) -> None:
    """Say where the context window is not the one that was asked for.

    Args:
        card: The model that was opened.
        context: Tokens asked for on the command line; None for none.
        hosted: The window is not ours to choose.
    """
    if context is None or context == card.n_ctx:
        return
    say("--context is not used. It is for models that are loaded here." if hosted else card.note)
