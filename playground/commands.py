"""The command palette: every action, theme, preset and colour mode by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider

from playground.screens.playground import PlaygroundScreen
from playground.widgets.colour_scale import ColourMode


class Command(NamedTuple):
    """One entry of the palette."""

    name: str
    help: str
    run: Callable[[], object]


class PlaygroundCommands(Provider):
    """Everything a person can do, found by typing a part of its name."""

    async def discover(self) -> Hits:
        """All commands, before anything is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.name, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        """Commands that match what was typed."""
        matcher = self.matcher(query)
        for command in self._commands():
            score = max(matcher.match(command.name), 0.6 * matcher.match(command.help))
            if score > 0:
                yield Hit(score, matcher.highlight(command.name), command.run, help=command.help)

    def _commands(self) -> Iterator[Command]:
        app, screen = self.app, self.screen
        for node in (screen, app):
            for binding in type(node).BINDINGS if node is app else _all_bindings(type(screen)):
                if isinstance(binding, Binding) and binding.id and binding.tooltip:
                    yield Command(binding.description, binding.tooltip, partial(app.run_action, binding.action, node))
        if isinstance(screen, PlaygroundScreen):
            for preset in screen.tuning.presets.values():
                yield Command(f"Preset: {preset.name}", preset.summary, partial(screen.use_preset, preset))
            for mode in ColourMode:
                help_text = "Colour of the tokens" if mode is not ColourMode.OFF else "Tokens without colour"
                yield Command(f"Colour: {mode}", help_text, partial(screen.set_colour, mode))
        for name, theme in sorted(app.available_themes.items()):
            kind = "dark" if theme.dark else "light"
            yield Command(f"Theme: {name}", f"A {kind} theme", partial(setattr, app, "theme", name))


def _all_bindings(cls: type) -> Iterator[object]:
    """Bindings of a screen and of those of our classes it is built on, its own first."""
    for base in cls.__mro__:
        if base.__module__.startswith("playground."):
            yield from base.__dict__.get("BINDINGS", ())
