"""Editing what a reply is held to: a grammar in GBNF, or a JSON schema."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Static, TextArea

from playground.domain.display import display_text
from playground.domain.errors import GrammarError
from playground.domain.grammars import check_grammar, never_ends
from playground.domain.schema_support import unheld_keywords, unheld_note
from playground.screens.grammar_examples import EXAMPLES, Kind
from playground.widgets.marked_area import MarkedArea

_PAUSE_SECONDS: Final = 0.1
"""In typing, after which the text is checked."""
KINDS: Final[dict[Kind, str]] = {"grammar": "GBNF grammar", "json_schema": "JSON schema"}
_HELP: Final[dict[Kind, str]] = {
    "grammar": "What the whole reply may be, from root on: texts in quotes, [classes], | for or, * + ? {2,5} for how "
    "often.",
    "json_schema": "The reply will be JSON of this shape. A local model follows it through a grammar made of it.",
}


class Constraint(NamedTuple):
    """What a reply is held to."""

    kind: Kind
    text: str
    """Empty: to nothing."""


class Verdict(NamedTuple):
    """What is to be said about a text while it is typed."""

    text: str
    level: str = "muted"
    """ "muted", "good", "warning" or "bad"."""
    place: tuple[int, int] | None = None
    """Line and column of a mistake, or of what is said something about, from 1."""


def judge(kind: Kind, text: str) -> Verdict:
    """What is to be said about a text."""
    if not text.strip():
        return Verdict("Empty: the reply is held to nothing.")
    try:
        if kind == "json_schema":
            unheld = unheld_keywords(text)
            if unheld:
                return Verdict(f"! {unheld_note(text)}", "warning", (unheld[0].line, unheld[0].column))
            return Verdict("✓ The schema can be used.", "good")
        grammar = check_grammar(text)
    except GrammarError as error:
        return Verdict(f"✗ {error}", "bad", (error.line, error.column) if error.line else None)
    if never_ends(grammar):
        said = "! No text is ever complete under this grammar: the reply goes on to max tokens or a full context."
        return Verdict(said, "warning")
    return Verdict("✓ The grammar can be used.", "good")


class GrammarDialog(ModalScreen[Constraint | None]):
    """Edits a grammar or a JSON schema, checked as it is typed. Gives None when everything is to stay as it was.

    Args:
        texts: what is in the editor of each kind.
        kind: which one is shown first.
        reasons: kinds that the model does not take, each with a sentence.
        when: from when on a change is in force, such as "with the next token".
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "accept", "Accept", id="grammar.accept", tooltip="Hold the reply to it; empty: to none"),
        Binding("ctrl+t", "switch", "Other kind", id="grammar.switch", tooltip="GBNF grammar or JSON schema"),
        Binding("f2", "mistake", "Mistake", id="grammar.mistake", tooltip="Go to the mistake"),
        *(
            Binding(
                f"alt+{number}",
                f"example({number})",
                f"Example {number}",
                id=f"grammar.example_{number}",
                tooltip="Put an example in place of the text; Ctrl+Z brings that back",
                priority=True,
            )
            for number in range(1, 4)
        ),
        Binding("escape", "leave", "Leave", id="grammar.leave", tooltip="Leave everything as it was"),
    ]
    DEFAULT_CSS = """
    GrammarDialog {
        align: center middle;
        & > Vertical {
            width: 90%; max-width: 100; height: 90%; max-height: 30;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Horizontal { height: 1; }
        & Button { margin: 0 1 0 0; min-width: 4; width: auto; padding: 0 1; background: $panel; color: $text-muted; }
        & Button.-shown { background: $primary; color: $text; text-style: bold; }
        & .grammar--label { width: auto; color: $text-muted; margin: 0 1 0 0; }
        & .grammar--help { height: auto; color: $text-muted; margin: 1 0 0 0; }
        & MarkedArea, & MarkedArea:focus { height: 1fr; border: none; margin: 1 0; padding: 0; background: $panel; }
        & #grammar-verdict {
            height: auto; min-height: 2; color: $text-muted;
            &.-good { color: $success; }
            &.-warning { color: $warning; }
            &.-bad { color: $error; }
        }
    }
    """

    def __init__(self, texts: dict[Kind, str], kind: Kind, reasons: dict[Kind, str], when: str) -> None:
        super().__init__()
        self._texts = dict(texts)
        self._kind = kind
        self._reasons = reasons
        self._when = when
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Kinds and examples over the text and what is to be said about it."""
        with Vertical() as box:
            box.border_title = Content("Hold the reply to a grammar or a JSON schema")
            box.border_subtitle = Content("ctrl+s accepts · ctrl+t other kind · esc leaves it as it was")
            with Horizontal():
                for kind, label in KINDS.items():
                    yield Button(label, id=f"kind-{kind}", compact=True)
            yield Static("", id="grammar-help", classes="grammar--help", markup=False)
            with Horizontal(id="grammar-examples"):
                yield Static("begin with (alt+1-3):", classes="grammar--label", markup=False)
                for number in range(3):
                    yield Button("", id=f"example-{number + 1}", compact=True)
            yield MarkedArea(self._texts[self._kind])
            yield Static("", id="grammar-verdict", markup=False)

    def on_mount(self) -> None:
        """Begin at the end of what is there."""
        area = self._area
        area.move_cursor(area.document.end)
        area.focus()
        self._show_kind()

    @property
    def _area(self) -> MarkedArea:
        return self.query_one(MarkedArea)

    def _show_kind(self) -> None:
        for kind in KINDS:
            self.query_one(f"#kind-{kind}", Button).set_class(kind == self._kind, "-shown")
        for number, example in enumerate(EXAMPLES[self._kind], 1):
            button = self.query_one(f"#example-{number}", Button)
            button.label = example.label
            button.refresh(layout=True)  # its width follows the label
        self.query_one("#grammar-help", Static).update(Content(_HELP[self._kind]))
        self._check()

    def _check(self) -> None:
        reason = self._reasons.get(self._kind, "")
        verdict = Verdict(f"✗ {reason}", "bad") if reason else judge(self._kind, self._area.text)
        when = f" In force {self._when}." if verdict.level in ("good", "warning") else ""
        line = self.query_one("#grammar-verdict", Static)
        line.update(Content(display_text(f"{verdict.text}{when}")))
        for level in ("good", "warning", "bad"):
            line.set_class(verdict.level == level, f"-{level}")
        self._area.mark(verdict.place)

    @on(TextArea.Changed)
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE_SECONDS, self._check)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        name = event.button.id or ""
        if name.startswith("example-"):
            self.action_example(int(name.removeprefix("example-")))
        elif name != f"kind-{self._kind}":
            self.action_switch()

    def action_example(self, number: int) -> None:
        """Put an example, counted from 1, in place of the text; undo brings that back."""
        area = self._area
        area.replace(EXAMPLES[self._kind][number - 1].text, (0, 0), area.document.end)
        area.move_cursor(area.document.end)
        area.focus()

    def action_switch(self) -> None:
        """Edit the other kind; the text of this one is kept."""
        self._texts[self._kind] = self._area.text
        self._kind = "json_schema" if self._kind == "grammar" else "grammar"
        self._area.load_text(self._texts[self._kind])
        self._area.move_cursor(self._area.document.end)
        self._area.focus()
        self._show_kind()

    def action_mistake(self) -> None:
        """Go to the mistake."""
        self._check()
        self._area.go_to_mark()

    def action_accept(self) -> None:
        """Take the text, unless there is a mistake in it."""
        text = self._area.text if self._area.text.strip() else ""
        self._check()
        reason = self._reasons.get(self._kind, "")
        if text and (reason or judge(self._kind, text).level == "bad"):
            self._area.go_to_mark()
            return
        self.dismiss(Constraint(self._kind, text))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)
