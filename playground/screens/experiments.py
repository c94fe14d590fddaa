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
        "prompts x settings x models, as curves",
        "playground.screens.sweeping:open_sweep",
    ),
    Experiment(
        "Race",
        "one prompt, several presets (Alt+R)",
        "playground.screens.experiments:open_race",
    ),
    Experiment(
        "Score",
        "how likely the model finds a text (Alt+E)",
        "playground.screens.experiments:open_score",
    ),
    Experiment(
        "Tokenizers",
        "one text as several of them split it",
        "playground.screens.tokenizers_screen:open_tokenizers",
    ),
    Experiment(
        "Load and cost",
        "so many requests a day, on each model",
        "playground.screens.load_screen:open_load",
    ),
    Experiment(
        "Doctor",
        "what this machine has, and what is missing",
        "playground.screens.doctor_screen:open_doctor",
    ),
)


def choose_experiment(main: TokenScreen) -> None:
    """Let a person choose one."""

    def chosen(number: int | None) -> None:
        if number is not None:
            open_experiment(main, EXPERIMENTS[number])

    width = max(len(one.name) for one in EXPERIMENTS)
    answers = [Answer(f"{one.name:<{width}}", one.meaning) for one in EXPERIMENTS]
    main.app.push_screen(ChoiceDialog(Question("Experiments", "", answers)), chosen)


def open_experiment(main: TokenScreen, experiment: Experiment) -> None:
    """Open a screen over the main one."""
    module, _, name = experiment.place.partition(":")
    opening: Callable[[TokenScreen], None] = getattr(import_module(module), name)
    main.attempt(lambda: opening(main))


def open_race(main: TokenScreen) -> None:
    """Set a race up."""
    main.action_race()


def open_score(main: TokenScreen) -> None:
    """Choose a text to score."""
    main.action_score()
