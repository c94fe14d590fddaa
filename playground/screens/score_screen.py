"""A scored text: every token in its colour, what the model expected instead, the figures, and a second view beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from playground.domain.display import display_line
from playground.domain.endpoints import ModelRef
from playground.domain.errors import PlaygroundError, PromptTooLong
from playground.domain.score_texts import ScoreText
from playground.domain.scoring import Score
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question
from playground.screens.score_dialog import hosted_refusal
from playground.services.model_pool import ModelPool
from playground.services.score_views import View, view_of_file
from playground.services.scorer import Scorer, Second
from playground.theming import difference_palette, token_palette
from playground.widgets.bars import thin_bar
from playground.widgets.colour_scale import ColourMode
from playground.widgets.key_bar import KeyBar
from playground.widgets.score_colours import SIDE
from playground.widgets.score_figures import ScoreFigures
from playground.widgets.score_view import ScoreView

_BAR: Final = 40
_KEYS: Final = (
    *("score.leave", "score.next", "score.compare", "score.colour", "score.list", "score.previous", "app.help"),
    "app.quit",
)
OTHER_TOKENS: Final = (
    "The two models split the text into different tokens, so single tokens cannot be compared. Bits per byte can: it "
    "goes by the length of the text."
)
RECOMPUTED: Final = (
    "What stands before the text was computed again: this model's memory cannot be cut at a token, so nothing could be "
    "taken over."
)


class ScoreScreen(Screen[None]):
    """Scores a text as soon as it is shown. Esc ends what is under way, then leaves."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="score.leave", tooltip="End what is being computed, else leave"),
        Binding("n", "step(1)", "Next place", id="score.next", tooltip="Go to the next of the listed places"),
        Binding("p", "step(-1)", "Place before", id="score.previous", tooltip="Go to the place before"),
        Binding(
            "c", "compare", "Compare", id="score.compare", tooltip="Score the same under another model or KV cache"
        ),
        Binding("f4", "colour", "Colour", id="score.colour", tooltip="Colour by another figure", priority=True),
        Binding("tab", "list", "List", id="score.list", tooltip="From the text to the list of places, and back"),
    ]
    DEFAULT_CSS = """
    ScoreScreen {
        layout: vertical; background: $background;
        & #score-title { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        & #score-note { height: auto; max-height: 3; padding: 0 1; color: $warning; display: none; }
        & #score-state { height: 1fr; padding: 1 2; }
        & ScoreView { height: 1fr; display: none; }
        & ScoreFigures { display: none; }
        &.-scored ScoreView, &.-scored ScoreFigures { display: block; }
        &.-scored #score-state { display: none; height: 1; padding: 0 1; color: $text-muted; }
        &.-scored.-working #score-state { display: block; }
        &.-narrow ScoreView > #score-right { width: 36; }
        &.-wide ScoreView > #score-right { width: 64; }
        &.-low #score-places { height: 5; }
    }
    """

    def __init__(self, pool: ModelPool, text: ScoreText, view: View, panes: Sequence[View], mode: ColourMode) -> None:
        """A text to be scored.

        Args:
            pool: Opens the models.
            text: The text.
            view: The model that looks at it.
            panes: Models of the panes, which a second view can come from.
            mode: What the colours tell first.
        """
        super().__init__()
        self._pool = pool
        self._text = text
        self._view = view
        self._panes = panes
        self._mode = mode if mode is not ColourMode.OFF else ColourMode.PROBABILITY
        self._scorer = Scorer(pool, text, self._tell)
        self._second: Second | None = None

    @property
    def score(self) -> Score | None:
        """What the model found; None until it is through."""
        return self._scorer.score

    @property
    def second(self) -> Second | None:
        """The second view; None without one."""
        return self._second

    def compose(self) -> ComposeResult:
        """Whose view of what, the text, the token under the cursor, places to look at, figures."""
        yield Static(Content(display_line(self._text.headline(self._view.name))), id="score-title", markup=False)
        yield Static("", id="score-state", markup=False)
        yield ScoreView(self._mode)
        yield ScoreFigures()
        yield Static("", id="score-note", markup=False)
        yield KeyBar(_KEYS)

    def on_mount(self) -> None:
        """Begin."""
        self._dress()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._dress())
        self._begin()

    # -- computing ---------------------------------------------------------------------------------------------

    def _tell(self, what: str, share: float) -> None:
        if self.is_mounted:
            line = f"{display_line(what)}  {thin_bar(share, _BAR)}  esc ends it"
            self.query_one("#score-state", Static).update(Content(line), layout=False)

    @work(group="score", exclusive=True)
    async def _begin(self) -> None:
        """Score the text; what is too long may be shortened."""
        self.add_class("-working")
        try:
            while self.score is None:
                try:
                    await self._scorer.first(self._view)
                except PromptTooLong as error:
                    if not await self._shorten(error):
                        raise
        except PlaygroundError as error:
            self.query_one("#score-state", Static).update(Content(f"{display_line(str(error))}\n\nEsc leads back."))
            return
        finally:
            self.remove_class("-working")
        self._show()

    async def _shorten(self, error: PromptTooLong) -> bool:
        """Ask which part is to be scored; False when the person would rather not."""
        answers, context = [], self._scorer.context or 0
        if self._scorer.has_prompt:
            answers.append(Answer("The reply alone", "as a text by itself, without what stands before it"))
        answers.append(Answer(f"The first {context:,} tokens", "as much as the context window holds"))
        question = Question("This does not fit", f"{error}", answers)
        answer = await self.app.push_screen_wait(ChoiceDialog(question))
        if answer is None:
            return False
        alone = self._scorer.has_prompt and answer == 0
        self._scorer.shorten(alone=alone, most=0 if alone else context)
        return True

    def action_compare(self) -> None:
        """Choose a second view."""
        if self.score is not None and not self.has_class("-working"):
            self._compare()

    @work(group="score", exclusive=True)
    async def _compare(self) -> None:
        views = self._scorer.others(self._panes)
        answers = [Answer(view.name, view.place) for view in views]
        answers.append(Answer("Another file …", "choose among the models on this machine"))
        question = Question("Compare with", "The same text is scored once more, and token by token compared.", answers)
        answer = await self.app.push_screen_wait(ChoiceDialog(question))
        if answer is None:
            return
        view = views[answer] if answer < len(views) else await self._other_file()
        if view is None:
            return
        self.add_class("-working")
        try:
            self._second = await self._scorer.second(view)
        except PlaygroundError as error:
            self.notify(display_line(error.hint), title=display_line(error.message), severity="error", markup=False)
            return
        finally:
            self.remove_class("-working")
        self._show()

    async def _other_file(self) -> View | None:
        from playground.screens.model_picker import ModelPicker

        ref: ModelRef | None = await self.app.push_screen_wait(
            ModelPicker(self._pool, self._view.ref, title="Compare with a model on this machine")
        )
        if ref is not None and ref.endpoint:
            raise_as = hosted_refusal(ref)
            self.notify(raise_as.hint, title=raise_as.message, severity="error", markup=False)
            return None
        return view_of_file(ref.name) if ref is not None else None

    # -- showing -----------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Everything there is to be seen, from what was found."""
        score, second = self.score, self._second
        assert score is not None
        self.add_class("-scored")
        body, figures = self.query_one(ScoreView), self.query_one(ScoreFigures)
        title = self._text.headline(self._view.name)
        if second is None:
            figures.show(score)
            body.show(score)
        else:
            title += f", compared with {second.name}"
            figures.show_both(score, second.score, second.names, second.comparison)
            body.compare(second.score, second.comparison, second.names[1])
        self.query_one("#score-title", Static).update(Content(display_line(title)))
        self._show_note()

    def _show_note(self) -> None:
        score, second = self.score, self._second
        assert score is not None
        notes = [score.note, RECOMPUTED if score.recomputed else ""]
        if second is not None:
            notes += [OTHER_TOKENS] if second.comparison is None else []
            why = second.comparison.why_bound if second.comparison is not None else ""
            notes += [f"The KL divergence is a lower bound (≥): {why}."] if why else []
            notes += [f"{second.names[1]}: {second.score.note}"] if second.score.note else []
        text = " ".join(filter(None, notes))
        note = self.query_one("#score-note", Static)
        note.display = bool(text)
        note.update(Content(display_line(text)))

    def _dress(self) -> None:
        variables = self.app.theme_variables
        self.query_one(ScoreView).set_palette(token_palette(variables), difference_palette(variables, SIDE))

    # -- keys --------------------------------------------------------------------------------------------------

    def action_step(self, step: int) -> None:
        """Another of the listed places."""
        self.query_one(ScoreView).step(step)

    def action_colour(self) -> None:
        """The next figure that colours tell."""
        self.query_one(ScoreView).next_colour()

    def action_list(self) -> None:
        """From the text to the list, and back."""
        self.query_one(ScoreView).change_sides()

    def action_leave(self) -> None:
        """End what is under way; else go back."""
        working = self.has_class("-working")
        self.workers.cancel_group(self, "score")
        if working and self.score is not None:  # a comparison: what was scored before stays
            return
        self.app.run_worker(self._scorer.close(), group="score")
        self.dismiss()
