"""All keys, made from the bindings themselves, and what the figures on the screen mean."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from playground.domain.param_specs import SPECS
from playground.screens.keymap import Section, key_names
from playground.widgets.dialog_area import DialogInput

WIDE = 100
"""Columns from which there is room for the names that actions have in the settings file."""
_NUMBER = re.compile(r"\d+")
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
    """Lists what the figures mean, and bindings by the part of the screen in which they work, with one's own keys.

    What is typed leaves only the lines with these words.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="help.leave", tooltip="Back to where you were"),
        Binding("down", "scroll('down')", "Down", show=False, id="help.down", tooltip="A line down"),
        Binding("up", "scroll('up')", "Up", show=False, id="help.up", tooltip="A line up"),
        Binding("pagedown", "scroll('page_down')", "Page down", show=False, id="help.pagedown", tooltip="A page down"),
        Binding("pageup", "scroll('page_up')", "Page up", show=False, id="help.pageup", tooltip="A page up"),
        Binding("home", "scroll('home')", "Top", show=False, priority=True, id="help.home", tooltip="The beginning"),
        Binding("end", "scroll('end')", "End", show=False, priority=True, id="help.end", tooltip="The end"),
    ]
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > Vertical { width: 94%; max-width: 110; height: 92%; border: round $border; background: $surface; }
        & Input, & Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
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
        """The figures first, then keys, the mouse, the parameters; over all of it, what to look for."""
        with Vertical() as box:
            box.border_title = Content("Help")
            box.border_subtitle = Content("typing finds · arrows scroll · esc closes")
            yield DialogInput(placeholder="type to find, such as entropy, fork or preset", id="help-words")
            with VerticalScroll(can_focus=False):
                for title, rows in self._parts():
                    yield Static(Content(title), classes="help--title", name=title, markup=False)
                    yield Static(_table(rows), classes="help--rows", name=title)

    def _parts(self) -> Iterator[tuple[str, Sequence[tuple[str, ...]]]]:
        yield "What the figures mean", GLOSSARY
        for section in self._sections:
            yield section.title, [self._row(bindings) for bindings in _together(section.described, self._keymap)]
        yield "Mouse", MOUSE
        yield "What the parameters do", [(spec.label, spec.help) for spec in SPECS.values()]

    def on_mount(self) -> None:
        """What is typed looks for something at once; arrow keys scroll."""
        self.query_one(Input).focus()
        scroll = self.query_one(VerticalScroll)
        for title in self.query(".help--title"):
            if self._at and title.name == self._at:
                self.call_after_refresh(scroll.scroll_to_widget, title, top=True, animate=False)

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        """Leave only what has all the words that were typed."""
        words = event.value.lower().split()
        rows = {str(part.name): part for part in self.query(".help--rows").results(Static)}
        titles = {str(part.name): part for part in self.query(".help--title").results(Static)}
        for title, lines in self._parts():
            found = [line for line in lines if all(word in " ".join((title, *line)).lower() for word in words)]
            titles[title].display = rows[title].display = bool(found)
            rows[title].update(_table(found))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_scroll(self, how: str) -> None:
        """Move what is shown: "up", "down", "page_up", "page_down", "home" or "end"."""
        getattr(self.query_one(VerticalScroll), f"scroll_{how}")(animate=False)

    def _row(self, bindings: Sequence[Binding]) -> tuple[str, ...]:
        first, last = bindings[0], bindings[-1]
        names = [self._keys(binding) for binding in bindings]
        # Neighbours on the keyboard, such as the digits, are told by the first and the last of them.
        told = first.tooltip or first.description
        if len(names) > 1 and told != last.tooltip:
            told = _NUMBER.sub(lambda number: f"{number[0]} to {''.join(_NUMBER.findall(last.tooltip))}", told)
        row = (f"{names[0]}-{names[-1]}" if len(names) > 1 else names[0], told)
        ids = f"{first.id} … {(last.id or '').rpartition('.')[2]}" if len(names) > 1 else first.id or ""
        return (*row, ids) if self.app.size.width >= WIDE else row

    def _keys(self, binding: Binding) -> str:
        keys = self._keymap.get(binding.id or "", binding.key)
        return " ".join(self.app.get_key_display(Binding(key, "", "")) for key in key_names(keys))

    def action_leave(self) -> None:
        """Back to where you were."""
        self.dismiss()


def _together(bindings: Iterable[Binding], keymap: Mapping[str, str]) -> Iterator[list[Binding]]:
    """Bindings as they share a line: digits that all do the same to what they stand at, and have their own keys."""

    def kind(one: Binding) -> tuple[str, bool]:
        return _NUMBER.sub("", one.tooltip), one.key.rpartition("+")[2].isdigit() and one.id not in keymap

    for (_, digits), same in itertools.groupby(bindings, kind):
        if digits:
            yield list(same)
        else:
            yield from ([one] for one in same)


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    """Keys or words and what they mean; a third column is the name an entry has in the settings file."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=18, no_wrap=False)
    table.add_column(ratio=1)
    if any(len(row) > 2 for row in rows):
        table.add_column(justify="right", no_wrap=True)
    for left, text, *name in rows:
        table.add_row(Text(left, style="bold"), Text(text), *(Text(part, style="dim") for part in name))
    return table
