"""Choosing the text to be scored, and the model that is to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from playground.domain.display import display_line
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput
from playground.domain.score_texts import OWN, ScoreText, own_text
from playground.services.model_pool import ModelPool
from playground.services.score_views import View, view_of_file
from playground.widgets.bars import fit
from playground.widgets.dialog_area import DialogArea

_HELP: Final = "How likely a model finds each token of a text, and what it expected instead. Nothing is generated."
_WIDEST: Final = 110
_AROUND: Final = 5
"""Cells that the border and the space inside it take."""
NO_SCORER: Final = "No local model: F5 chooses one"


class Chosen(NamedTuple):
    """A text, and the model that is to score it."""

    text: ScoreText
    view: View


class ScoreDialog(ModalScreen[Chosen | None]):
    """A list of texts over a field for one's own. Enter in the list, or Ctrl+S, scores."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "accept", "Score", id="score_text.accept", tooltip="Score the text of your own"),
        Binding("f5", "model", "Model", id="score_text.model", tooltip="Choose the local model that scores"),
        Binding("escape", "leave", "Leave", id="score_text.leave", tooltip="Score nothing"),
    ]
    DEFAULT_CSS = """
    ScoreDialog {
        align: center middle;
        & > Vertical {
            width: 90%; max-width: 110; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & #score-help { color: $text-muted; }
        & OptionList, & OptionList:focus {
            height: auto; max-height: 7; border: none; background: $surface; padding: 0; margin: 1 0;
        }
        & OptionList > .option-list--option { text-wrap: nowrap; text-overflow: ellipsis; }
        & TextArea, & TextArea:focus { height: 8; border: none; background: $panel; }
        & #score-by { margin: 1 0 0 0; }
        & #score-reason { color: $error; }
    }
    """

    def __init__(
        self, pool: ModelPool, texts: Sequence[ScoreText], view: View | None, remark: str = "", pasted: str = ""
    ) -> None:
        """A chooser.

        Args:
            pool: Where another model is looked for.
            texts: What there is to be scored beside a text of one's own, the likeliest first.
            view: The model that scores unless another is chosen; None when there is none yet.
            remark: Why it is not the pane's own; may be empty.
            pasted: What was pasted the last time.
        """
        super().__init__()
        self._pool = pool
        self._texts = texts
        self._view = view
        self._remark = remark
        self._pasted = pasted

    def compose(self) -> ComposeResult:
        """Texts, the field, the model."""
        room = min(_WIDEST, self.app.size.width * 9 // 10) - _AROUND
        with Vertical() as box:
            box.border_title = Content("Score a text")
            box.border_subtitle = Content("enter scores · tab, ctrl+s your own text · f5 model · esc leaves")
            yield Static(Content(_HELP), id="score-help", markup=False)
            yield OptionList(
                *(Option(_line(text.name, text.text, room)) for text in self._texts), Option(_line(OWN, "", room))
            )
            yield DialogArea(
                self._pasted,
                soft_wrap=True,
                tab_behavior="focus",
                placeholder="Paste or type a text here; Ctrl+S scores it",
            )
            yield Static("", id="score-by", markup=False)
            yield Static("", id="score-reason", markup=False)

    def on_mount(self) -> None:
        """Begin at what is likeliest to be meant."""
        self._show_model()
        area = self.query_one(TextArea)
        area.show_line_numbers = False
        if self._texts:
            self.query_one(OptionList).focus()
        else:
            area.focus()
            area.move_cursor(area.document.end)

    def _show_model(self) -> None:
        view = self._view
        name = NO_SCORER if view is None else f"Scored by {display_line(view.name)}"
        place = f" · {display_line(view.place)}" if view is not None and view.place else ""
        line = Content.assemble(
            (name, "bold"), f"{place}", (f"\n{self._remark}" if self._remark else "", "$text-muted")
        )
        self.query_one("#score-by", Static).update(line)

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted goes into the field, wherever the focus is."""
        area = self.query_one(TextArea)
        if not area.has_focus:
            area.focus()
            area.insert(event.text)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._texts):
            self._take(self._texts[event.option_index])
        else:
            self.query_one(TextArea).focus()

    def action_accept(self) -> None:
        """Score what is in the field."""
        text = self.query_one(TextArea).text
        if not text:
            self._refuse(BadInput("There is no text in the field.", "Paste one there, or choose one from the list."))
            return
        self._take(own_text(text))

    def _take(self, text: ScoreText) -> None:
        if self._view is None:
            self._refuse(BadInput("There is no local model to score with.", "F5 chooses one."))
            return
        self.dismiss(Chosen(text, self._view))

    def _refuse(self, error: BadInput) -> None:
        self.query_one("#score-reason", Static).update(Content(str(error)))

    def action_model(self) -> None:
        """Choose among the local models."""

        def chosen(ref: ModelRef | None) -> None:
            if ref is None:
                return
            if ref.endpoint:
                self._refuse(hosted_refusal(ref))
                return
            self._view, self._remark = view_of_file(ref.name, "it is loaded for this unless a pane has it"), ""
            self._refuse(BadInput(""))
            self._show_model()

        from playground.screens.model_picker import ModelPicker

        current = self._view.ref if self._view is not None else None
        self.app.push_screen(ModelPicker(self._pool, current, title="Model that scores: one on this machine"), chosen)

    def action_leave(self) -> None:
        """Score nothing."""
        self.dismiss(None)


def hosted_refusal(ref: ModelRef) -> BadInput:
    """Why a hosted model cannot score."""
    return BadInput(
        f"{display_line(ref.text)} is hosted, and no hosted API tells the probabilities of a given text.",
        "Choose a model file on this machine.",
    )


def _line(name: str, text: str, room: int) -> Content:
    preview = fit(display_line(text[: 2 * _WIDEST]), room - len(name) - 2).rstrip()
    return Content.assemble((name, "bold"), f"  {preview}" if preview else "")
