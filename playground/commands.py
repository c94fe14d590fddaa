"""The command palette: every action, theme, preset and colour mode by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from playground.screens.experiments import EXPERIMENTS, open_experiment
from playground.screens.keymap import own_bindings
from playground.screens.playground import PlaygroundScreen
from playground.widgets.colour_scale import ColourMode
from playground.widgets.transcript import TranscriptPane


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
            for binding in own_bindings(type(node)):
                if isinstance(binding, Binding) and binding.id and binding.action != "command_palette":
                    yield Command(binding.description, self._explained(binding), partial(_run, app, binding, node))
        if isinstance(screen, PlaygroundScreen):
            for binding in own_bindings(TranscriptPane):
                if isinstance(binding, Binding) and not binding.action.startswith("screen.take("):
                    yield Command(binding.description, self._explained(binding), partial(_run, app, binding, screen))
            for one in EXPERIMENTS:
                yield Command(f"Experiment: {one.name}", one.meaning, partial(open_experiment, screen, one))
            for preset in screen.tuning.presets.values():
                yield Command(f"Preset: {preset.name}", preset.summary, partial(screen.use_preset, preset))
            for mode in ColourMode:
                help_text = "Colour of the tokens" if mode is not ColourMode.OFF else "Tokens without colour"
                yield Command(f"Colour: {mode}", help_text, partial(screen.set_colour, mode))
        for name, theme in sorted(app.available_themes.items()):
            kind = "dark" if theme.dark else "light"
            yield Command(f"Theme: {name}", f"A {kind} theme", partial(setattr, app, "theme", name))

    def _explained(self, binding: Binding) -> str:
        active = (known.binding for known in self.screen.active_bindings.values())
        keys = [self.app.get_key_display(known) for known in active if known.id == binding.id]
        return f"{binding.tooltip}  ({', '.join(keys)})" if keys else binding.tooltip


def _run(app: App[object], binding: Binding, node: DOMNode) -> None:
    # Actions belong to the screen below the palette, which is gone by the time they run.
    app.call_later(app.run_action, binding.action, node)
