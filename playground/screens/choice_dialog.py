"""A question with a few answers, each with what it would mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from playground.domain.display import display_text


class Answer(NamedTuple):
    """One way to go on."""

    label: str
    meaning: str = ""
    """What would come of it; may be empty."""


class Question(NamedTuple):
    """What a person has to decide."""

    title: str
    text: str
    """What is the matter, with the figures; empty where there is nothing but a list to choose from."""
    answers: Sequence[Answer]


class ChoiceDialog(ModalScreen[int | None]):
    """Asks a question; gives the number of the answer, None for leaving it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="choice.leave", tooltip="Do nothing; what was written stays"),
    ]
    DEFAULT_CSS = """
    ChoiceDialog {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 90; height: auto; max-height: 90%;
            border: round $warning; background: $surface; padding: 0 1;
        }
        &.-list > Vertical { border: round $border; }
        &.-list Static { display: none; }
        &.-list OptionList, &.-list OptionList:focus { margin: 0; }
        & OptionList, & OptionList:focus {
            height: auto; max-height: 14; border: none; background: $surface; padding: 0; margin: 1 0 0 0;
        }
        & Static { height: auto; }
    }
    """

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question
        self.set_class(not question.text, "-list")

    def compose(self) -> ComposeResult:
        """The question over its answers."""
        with Vertical() as box:
            box.border_title = Content(display_text(self._question.title))
            leaves = " everything as it was" if self._question.text else ""
            box.border_subtitle = Content(f"enter chooses · esc leaves{leaves}")
            yield Static(Content(display_text(self._question.text)), markup=False)
            yield OptionList(*(Option(self._line(answer)) for answer in self._question.answers))

    def _line(self, answer: Answer) -> Content:
        label = Content.styled(display_text(answer.label), "bold")
        return Content.assemble(label, Content(f"  {display_text(answer.meaning)}")) if answer.meaning else label

    def on_mount(self) -> None:
        """Begin at the first answer."""
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)
