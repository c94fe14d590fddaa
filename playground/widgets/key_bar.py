"""The keys that matter right now, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

GAP = 2


class Entry(NamedTuple):
    """One key with its label, and the cells it takes."""

    key: str
    """Empty for what a click cannot press."""
    shown: str
    label: str
    start: int
    end: int


class Hint(NamedTuple):
    """Keys that are no single binding, such as digits, or a binding that means something special just now."""

    label: str
    shown: str = ""
    """The keys; not for a binding."""
    id: str = ""
    """The binding."""


class KeyBar(Widget):
    """One row. Unlike Textual's footer it never cuts a key in half, and the screen says which ones come first."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--label"}
    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        width: 100%;
        padding: 0 1;
        background: $footer-background;
        pointer: pointer;
        & > .key-bar--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-bar--label { color: $footer-foreground; }
    }
    """

    def __init__(self, order: Sequence[str | Hint] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._order = tuple(order)
        self._entries: list[Entry] = []

    def show(self, order: Sequence[str | Hint]) -> None:
        """Show the bindings with these ids, the first one always, the last ones only where there is room."""
        if tuple(order) != self._order:
            self._order = tuple(order)
            self._lay_out()

    def on_mount(self) -> None:
        """Follow the focus, which brings keys of its own, and a changed key map."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_updated)

    def _bindings_updated(self, _screen: Screen[object]) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        """Another width, other keys."""
        self._lay_out()

    def _lay_out(self) -> None:
        entries: list[Entry] = []
        at = 0
        for key, shown, label in self._in_order():
            end = at + cell_len(shown) + 1 + cell_len(label)
            if end <= self.size.width:
                entries.append(Entry(key, shown, label, at, end))
                at = end + GAP
        if entries != self._entries:
            self._entries = entries
            self.refresh()

    def _in_order(self) -> Iterator[tuple[str, str, str]]:
        """Keys as they are pressed and as they are shown, with their labels."""
        by_id: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.id and active.enabled:
                by_id.setdefault(active.binding.id, active.binding)
        for name in self._order:
            hint = name if isinstance(name, Hint) else Hint("", id=name)
            if not hint.id:
                yield "", hint.shown, hint.label
            elif hint.id in by_id:
                binding = by_id[hint.id]
                yield binding.key, self.app.get_key_display(binding), hint.label or binding.description

    def render_line(self, y: int) -> Strip:
        """The only row."""
        key, label = self.get_component_rich_style("key-bar--key"), self.get_component_rich_style("key-bar--label")
        segments: list[Segment] = []
        for entry in self._entries:
            segments += [Segment(entry.shown, key), Segment(f" {entry.label}{' ' * GAP}", label)]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        for entry in self._entries:
            if entry.key and entry.start <= event.x - self.gutter.left < entry.end:
                self.app.simulate_key(entry.key)
