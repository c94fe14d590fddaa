"""All keys, made from the bindings themselves, and what the figures on the screen mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.param_specs import SPECS

GLOSSARY = (
    ("logprob", "Natural log of the model's own probability: softmax of the raw logits over the whole vocabulary."),
    ("prob", "The probability after all samplers: the chance with which the token was really drawn."),
    ("rank", "1 is the token the model thought most likely."),
    ("entropy", "How undecided the model was, in bits. 0: one way on; 10: as if among a thousand equal ones."),
    ("surprisal", "-log2 of the model's own probability: how many bits of news the token was."),
    ("mass", "Share of the model's own probability that a sampler stage left in play."),
    ("prefill", "Computing the prompt. All its tokens go through the model in parallel."),
    ("decode", "Writing. Each token needs the one before, so they are made one by one."),
    ("TTFT", "Time to first token, from pressing send: mostly prefill, hardly anything when the prefix is cached."),
    ("context", "How many tokens the model can look at. A call has no memory: everything said is sent each time."),
)


class Section(NamedTuple):
    """Bindings of one part of the screen."""

    title: str
    bindings: Sequence[BindingType]


class HelpScreen(ModalScreen[None]):
    """Lists bindings by the part of the screen in which they work, with the person's own keys in force."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "leave", "Close", id="help.leave", tooltip="Back to where you were"),
    ]
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > Vertical { width: 90%; max-width: 100; height: 90%; border: round $border; background: $surface; }
        & .help--title { text-style: bold; color: $accent; margin: 1 1 0 1; }
        & .help--rows { margin: 0 1; }
    }
    """

    def __init__(self, sections: Iterable[Section], keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._sections = list(sections)
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Keys first, then the figures, then the parameters."""
        with Vertical() as box:
            box.border_title = Content("Help")
            box.border_subtitle = Content("arrows scroll · esc closes")
            with VerticalScroll():
                for section in self._sections:
                    rows = [self._row(binding) for binding in section.bindings if isinstance(binding, Binding)]
                    yield from _part(section.title, [row for row in rows if row is not None])
                yield from _part("What the figures mean", GLOSSARY)
                yield from _part("What the parameters do", [(spec.name, spec.help) for spec in SPECS.values()])

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one(VerticalScroll).focus()

    def _row(self, binding: Binding) -> tuple[str, str] | None:
        keys = self._keymap.get(binding.id or "", binding.key)
        names = [self.app.get_key_display(Binding(key.strip(), "", "")) for key in keys.split(",")]
        text = binding.tooltip or binding.description
        return (" ".join(names), text) if text else None

    def action_leave(self) -> None:
        """Back to where you were."""
        self.dismiss()


def _part(title: str, rows: Sequence[tuple[str, str]]) -> ComposeResult:
    yield Static(Content(title), classes="help--title")
    for left, right in rows:
        line = Content.assemble(Content.styled(left.ljust(22), "bold"), Content(f" {right}"))
        yield Static(line, classes="help--rows")
