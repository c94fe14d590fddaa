"""Presets and parameters on the main screen: which preset is in force, and what was changed since."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from textual.screen import Screen

from playground.domain.biases import NO_NAMES
from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.models import ModelCard
from playground.domain.params import replace
from playground.domain.sampling import SamplingParams
from playground.services.preset_shelf import PresetShelf
from playground.services.presets import RECOMMENDED, Preset, recommended_preset

_MOST_ERRORS = 3
"""Broken files that are told at once; doctor names all of them."""
_LISTS = {
    "stop": ("Stop strings", "One a line; \\n stands for a new line. The reply ends before the first that comes up."),
    "logit_bias": (
        "Logit bias",
        "One a line: a token's text in quotes or its #id, then what is added to its logit.\n"
        '" Yes" 2.5 makes it likelier, #504 -inf bans it.',
    ),
}


_NAMED_ID = re.compile(r"^(#\d+)\s.*$")


class Tuning:
    """The preset in force and the changes that wait for the next frame."""

    def __init__(self, shelf: PresetShelf, preset: Preset) -> None:
        self.shelf = shelf
        self.preset = preset
        self.chosen = False
        """True once a person, and not a model's file, chose the preset."""
        self.pending: SamplingParams | None = None
        """Parameters to put in force with the next frame: however fast a slider moves, once a frame is enough."""
        self._recommended: Preset | None = None

    @property
    def presets(self) -> dict[str, Preset]:
        """All that can be chosen here by name: those of everybody, and what this model's file recommends."""
        own = {RECOMMENDED: self._recommended} if self._recommended is not None else {}
        return {**self.shelf.presets, **own}

    @property
    def name(self) -> str:
        """Name of the preset in force."""
        return self.preset.name

    def defaults(self, params: SamplingParams) -> SamplingParams:
        """What the preset by itself would set."""
        return self.preset.apply(params)

    def change(self, params: SamplingParams, changes: Mapping[str, Any]) -> None:
        """Note a change for the next frame. Raises BadInput for a value out of range."""
        self.pending = replace(self.pending or params, **changes)

    def take(self, preset: Preset, params: SamplingParams) -> None:
        """Put a preset in force with the next frame."""
        self.preset = preset
        self.chosen = self.chosen or preset.name != RECOMMENDED
        self.pending = preset.apply(self.pending or params)

    def recommend(self, card: ModelCard) -> Preset | None:
        """Add what a model's file recommends to the list, or take the last model's recommendation off it."""
        self._recommended = recommended_preset(card)
        return self._recommended

    def look_again(self, screen: Screen[None]) -> None:
        """See the presets that another program, or a command, has saved meanwhile; say what is wrong with a file."""
        from playground.screens.notices import tell_error

        for error in self.shelf.look_again()[:_MOST_ERRORS]:
            tell_error(screen, error)

    def choose(self, screen: Screen[None], use: Callable[[Preset], None]) -> None:
        """Let a person choose a preset."""

        def chosen(preset: Preset | None) -> None:
            if preset is not None:
                use(preset)

        from playground.screens.preset_picker import PresetPicker

        self.look_again(screen)
        screen.app.push_screen(PresetPicker(lambda: list(self.presets.values()), self.name, self.shelf), chosen)

    def save(self, screen: Screen[None], params: SamplingParams) -> None:
        """Ask for a name and save the sliders under it."""

        def named(name: str | None) -> None:
            if name is None:
                return
            try:
                self.preset = self.shelf.save(name.strip(), params)
            except PlaygroundError as error:
                screen.notify(display_text(str(error)), severity="error", markup=False)
                return
            self.pending = self.preset.apply(params)
            screen.notify(display_text(self.preset.path), title="Saved", timeout=3, markup=False)

        def check(name: str) -> None:
            if not name.strip() or "\n" in name.strip():
                raise BadInput("A preset needs a name of one line.")

        help_text = "Its name; one of your own with the same name is replaced."
        from playground.screens.text_dialog import TextDialog

        screen.app.push_screen(TextDialog("Save the sliders as a preset", "", help_text, check, single=True), named)

    def edit_list(
        self,
        screen: Screen[None],
        name: str,
        params: SamplingParams,
        names: Mapping[str, str] = NO_NAMES,
        confirm: Callable[[dict[str, float]], Awaitable[None]] | None = None,
    ) -> None:
        """Edit what does not fit on a slider: stop strings or the logit bias.

        Args:
            screen: The dialog stands over it.
            name: "stop" or "logit_bias".
            params: What is in force.
            names: Texts of tokens by "#id", shown behind the ids of a logit bias.
            confirm: Raises a PlaygroundError for a logit bias that the model cannot take.
        """
        title, help_text = _LISTS[name]
        parse = parse_stops if name == "stop" else parse_biases
        text = show_stops(params.stop) if name == "stop" else show_biases(params.logit_bias, names)

        async def agreed(new: str) -> None:
            if confirm is not None:
                await confirm(parse_biases(new))

        def accepted(new: str | None) -> None:
            if new is not None:
                self.change(params, {name: parse(new)})

        def check(new: str) -> None:
            replace(params, **{name: parse(new)})

        from playground.screens.text_dialog import TextDialog

        screen.app.push_screen(
            TextDialog(title, text, help_text, check, confirm=agreed if confirm is not None else None), accepted
        )


def parse_stops(text: str) -> tuple[str, ...]:
    r"""Stop strings, one a line, with \n for a new line."""
    return tuple(line.replace("\\n", "\n") for line in text.splitlines() if line)


def show_stops(stops: tuple[str, ...]) -> str:
    """The inverse of `parse_stops`."""
    return "\n".join(stop.replace("\n", "\\n") for stop in stops)


def parse_biases(text: str) -> dict[str, float]:
    """Lines of a quoted text or an #id, and a number. What stands behind an id is there to be read.

    Raises BadInput naming the line.
    """
    biases: dict[str, float] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        token, _, number = line.rpartition(" ")
        token = _NAMED_ID.sub(r"\1", token.strip())
        if len(token) > 1 and token[0] == token[-1] == '"':
            token = token[1:-1]
        try:
            biases[token] = float(number)
        except ValueError as error:
            raise BadInput(f"{line!r} does not end in a number.", 'Write for example: " Yes" 2.5') from error
        if not token:
            raise BadInput(f"{line!r} names no token.", 'Write for example: " Yes" 2.5')
    return biases


def show_biases(biases: Mapping[str, float], names: Mapping[str, str] = NO_NAMES) -> str:
    """The inverse of `parse_biases`; ids with the texts that `names` has for them."""
    return "\n".join(f"{_shown(token, names)} {bias:g}" for token, bias in biases.items())


def _shown(token: str, names: Mapping[str, str]) -> str:
    """An id with its text, a text in quotes; one that only begins like an id is a text."""
    if token[:1] == "#" and token[1:].isdecimal():
        return f"{token} {names.get(token, '')}".rstrip()
    return f'"{token}"'
