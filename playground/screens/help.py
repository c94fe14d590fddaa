"""All keys, made from the bindings themselves, and what the figures on the screen mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.param_specs import SPECS
from playground.screens.keymap import Section, key_names

WIDE = 100
"""Columns from which there is room for the names that actions have in the settings file."""
GLOSSARY = (
    ("model", "The model's own probability: softmax of the raw logits over the whole vocabulary."),
    ("sampled", "The probability after all sampler stages: the chance with which the token was really drawn."),
    ("logprob", "The natural logarithm of the model's own probability."),
    ("rank", "1 is the token the model thought most likely."),
    ("entropy", "How undecided the model was, in bits. 0: one way on; 10: as if among a thousand equal ones."),
    ("surprisal", "-log2 of the model's own probability: how many bits of news the token was."),
    ("mass", "Share of the model's own probability that a sampler stage left in play."),
    ("prefill", "Computing the prompt. All its tokens go through the model in parallel."),
    ("decode", "Writing. Each token needs the one before, so they are made one by one."),
    ("TTFT", "Time to first token, from pressing send: mostly prefill, hardly anything when the prefix is cached."),
    ("context", "How many tokens the model can look at. A call has no memory: everything said is sent each time."),
)
MOUSE = (
    ("point at a token", "The inspector shows it."),
    ("click a token", "The inspector stays on it until Esc."),
    ("click a candidate", "The text forks: it goes on from that token, and the old version stays beside it."),
    ("drag over text", "Selects it; Ctrl+C copies it as plain text, without colours and marks."),
    ("a slider", "Click or drag sets it, a double click takes it back to the preset, digits and Enter set it exactly."),
    ("a key at the foot", "A click presses it."),
)


class HelpScreen(ModalScreen[None]):
    """Lists bindings by the part of the screen in which they work, with the person's own keys in force."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="help.leave", tooltip="Back to where you were"),
    ]
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > Vertical { width: 94%; max-width: 110; height: 92%; border: round $border; background: $surface; }
        & .help--title { text-style: bold; color: $accent; margin: 1 1 0 1; }
        & .help--rows { margin: 0 1; }
    }
    """

    def __init__(self, sections: Iterable[Section], keymap: Mapping[str, str], at: str = "") -> None:
        """All of the help.

        Args:
            sections: Bindings by part.
            keymap: The person's own keys, by the ids of bindings.
            at: Title of the part to begin with; empty for the top.
        """
        super().__init__()
        self._at = at
        self._sections = list(sections)
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Keys first, then the mouse, the figures, the parameters."""
        with Vertical() as box:
            box.border_title = Content("Help")
            box.border_subtitle = Content("arrows scroll · esc closes")
            with VerticalScroll():
                for section in self._sections:
                    yield from _part(section.title, [self._row(binding) for binding in section.described])
                yield from _part("Mouse", MOUSE)
                yield from _part("What the figures mean", GLOSSARY)
                yield from _part("What the parameters do", [(spec.label, spec.help) for spec in SPECS.values()])

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        for title in self.query(".help--title"):
            if self._at and title.name == self._at:
                self.call_after_refresh(scroll.scroll_to_widget, title, top=True, animate=False)

    def _row(self, binding: Binding) -> tuple[str, ...]:
        keys = self._keymap.get(binding.id or "", binding.key)
        names = [self.app.get_key_display(Binding(key, "", "")) for key in key_names(keys)]
        row = (" ".join(names), binding.tooltip or binding.description)
        return (*row, binding.id or "") if self.app.size.width >= WIDE else row

    def action_leave(self) -> None:
        """Back to where you were."""
        self.dismiss()


def _part(title: str, rows: Sequence[tuple[str, ...]]) -> ComposeResult:
    """A title and a table; a third column is the name an entry has in the settings file."""
    yield Static(Content(title), classes="help--title", name=title, markup=False)
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=18, no_wrap=False)
    table.add_column(ratio=1)
    if any(len(row) > 2 for row in rows):
        table.add_column(justify="right", no_wrap=True)
    for left, text, *name in rows:
        table.add_row(Text(left, style="bold"), Text(text), *(Text(part, style="dim") for part in name))
    yield Static(table, classes="help--rows")
