"""What can be tried beside the conversation: each a screen of its own, chosen from one list or from the palette."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from playground.screens.choice_dialog import Answer, ChoiceDialog, Question

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Experiment(NamedTuple):
    """One entry of the list."""

    name: str
    meaning: str
    place: str
    """Module and function that opens it over the main screen, which it is given; imported when it is chosen."""


EXPERIMENTS: Final[tuple[Experiment, ...]] = (
    Experiment(
        "Sweep",
        "prompts x parameters x models x samples, as curves and a table that grow",
        "playground.screens.sweeping:open_sweep",
    ),
    Experiment(
        "Tokenizers",
        "one text under several tokenizers side by side: pieces, counts, what it would cost",
        "playground.screens.tokenizers_screen:open_tokenizers",
    ),
    Experiment(
        "Load and cost",
        "what so many requests a day would cost on each model, and how long one waits",
        "playground.screens.load_screen:open_load",
    ),
    Experiment(
        "Doctor",
        "what this machine has, what is missing and how to get it",
        "playground.screens.doctor_screen:open_doctor",
    ),
)


def choose_experiment(main: TokenScreen) -> None:
    """Let a person choose one."""

    def chosen(number: int | None) -> None:
        if number is not None:
            open_experiment(main, EXPERIMENTS[number])

    answers = [Answer(one.name, one.meaning) for one in EXPERIMENTS]
    main.app.push_screen(ChoiceDialog(Question("Experiments", "", answers)), chosen)


def open_experiment(main: TokenScreen, experiment: Experiment) -> None:
    """Open a screen over the main one."""
    module, _, name = experiment.place.partition(":")
    opening: Callable[[TokenScreen], None] = getattr(import_module(module), name)
    main.attempt(lambda: opening(main))
