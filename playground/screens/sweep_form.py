"""Setting a sweep up: what is asked, with which parameters, of which models; and what it will take, as one types."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, SelectionList, Static, TextArea
from textual.widgets.selection_list import Selection

from playground.domain.display import display_line
from playground.domain.endpoints import REPLAY, ModelRef
from playground.domain.errors import BadInput, PlaygroundError
from playground.screens.race_dialog import Choices
from playground.screens.sweep_draft import RANGES, Asked, Base, Draft, Wrong, asked
from playground.screens.sweep_estimate import Outlook, outlook_of
from playground.screens.sweep_questions import may_begin
from playground.services.experiment_output import short_model
from playground.widgets.bars import fit
from playground.widgets.dialog_area import DialogArea, DialogInput
from playground.widgets.key_bar import KeyBar
from playground.widgets.key_maker import KeyMaker
from playground.widgets.sweep_suggester import RangeSuggester

if TYPE_CHECKING:
    from playground.screens.sweeping import Sweeping


_PAUSE_S: Final = 0.2
"""Pause in typing after which the estimate is made anew."""
_NAME: Final = 14
_LEAST_ESTIMATE: Final = 4
"""Lines that are kept for the estimate, or for what is wrong in its place."""
_FOOT: Final = ("sweep_form.start", "sweep_form.leave", "sweep_form.model", "sweep_form.lines", "sweep_form.earlier")
_NUMBERS: Final = (("samples", "samples"), ("seed", "seed"), ("max_tokens", "max tokens"), ("at_once", "at once"))
_ONE: Final = "All of it is one prompt · F6 makes each line one"
_LINES: Final = "Prompts, one a line · F6 makes all of it one prompt"
_key = KeyMaker("sweep_form", priority=True)


class SweepForm(ModalScreen[Asked | None]):
    """Gives what is to be run, once it can be; None for leaving it. What was typed is in `draft`."""

    HORIZONTAL_BREAKPOINTS = [(0, "-one"), (70, "-two")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("ctrl+s,f10", "start", "Start", "Run it; Enter in a field of one line does the same"),
        _key("f5", "model", "Add a model", "Choose another model, on this machine or hosted"),
        _key("f6", "lines", "One a line", "Each line is a prompt, or all of the text is one"),
        _key("f7", "earlier", "Earlier sweeps", "Those that were run before: open, go on, delete"),
        _key("escape", "leave", "Leave", "Back to the panes; what was typed stays for the next time", priority=False),
    ]
    DEFAULT_CSS = """
    SweepForm {
        align: center middle;
        & > Vertical {
            width: 96%; max-width: 130; height: 96%; max-height: 34;
            border: round $border; background: $surface; padding: 0 1;
        }
        & #sweep-fields { height: 1fr; min-height: 8; }
        & #sweep-fields > Vertical { width: 1fr; height: 1fr; }
        &.-two #sweep-right { margin: 0 0 0 2; }
        &.-one #sweep-fields { layout: vertical; }
        & TextArea, & TextArea:focus { height: 1fr; min-height: 2; border: none; background: $panel; padding: 0 1; }
        & Input, & Input:focus { height: 1; border: none; background: $panel; padding: 0 1; }
        & TextArea:focus, & Input:focus { background: $foreground 14%; }
        & Choices:blur > .option-list--option-highlighted { background: transparent; }
        & Input.-wrong { color: $error; }
        & .sweep--label { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & #sweep-mode { height: auto; max-height: 2; text-wrap: wrap; }
        & .sweep--label.-wrong { color: $error; }
        & Choices, & Choices:focus { margin: 0; max-height: 100%; }
        & #sweep-bases { height: 1fr; }
        & #sweep-models { height: auto; max-height: 5; }
        & .sweep--row { height: 1; }
        & .sweep--row > .sweep--label { width: auto; padding: 0 1 0 0; }
        & .sweep--row > .sweep--behind { padding: 0 1 0 2; }
        & #sweep-numbers Input { width: 8; }
        & #sweep-estimate { height: auto; min-height: 4; margin: 1 0 0 0; }
        &.-low #sweep-estimate { margin: 0; }
        & KeyBar { padding: 0; background: $surface; }
    }
    """

    def __init__(self, sweeping: Sweeping, draft: Draft, bases: Sequence[Base], system: str, raw: bool) -> None:
        """A form.

        Args:
            sweeping: What runs sweeps here.
            draft: What stands in it to begin with.
            bases: Parameters to choose from.
            system: System prompt that goes before every prompt.
            raw: Prompts go without a template.
        """
        super().__init__()
        self._sweeping = sweeping
        self.draft = draft
        self._bases = list(bases)
        self._system, self._raw = system, raw
        self._models = list(draft.models)
        self._resting: Timer | None = None
        self._starting = False
        """True from the wish to start until the form is closed, or it turns out that it cannot be."""

    def compose(self) -> ComposeResult:
        """What is asked beside what answers, over the range, the numbers and the estimate."""
        draft = self.draft
        with Vertical() as box:
            box.border_title = Content("Sweep: prompts x parameters x models x samples")
            with Horizontal(id="sweep-fields"):
                with Vertical(id="sweep-left"):
                    yield Static("", id="sweep-mode", classes="sweep--label", markup=False)
                    yield DialogArea(draft.prompts, soft_wrap=True, tab_behavior="focus", id="sweep-prompts")
                    yield DialogInput(draft.file, placeholder="and/or a file of prompts", id="sweep-file")
                with Vertical(id="sweep-right"):
                    yield Static("Parameters · Space chooses", id="label-bases", classes="sweep--label", markup=False)
                    yield Choices(*map(self._base_line, range(len(self._bases))), id="sweep-bases")
                    yield Static("Models · F5 adds one", id="label-models", classes="sweep--label", markup=False)
                    yield Choices(*map(self._model_line, range(len(self._models))), id="sweep-models")
            with Horizontal(classes="sweep--row"):
                yield Static("vary", classes="sweep--label", markup=False)
                yield DialogInput(
                    draft.ranges,
                    placeholder="nothing, or such as temperature=0:1.5:0.25 top_p=0.8,0.9,1",
                    suggester=RangeSuggester(RANGES),
                    id="sweep-ranges",
                )
            with Horizontal(classes="sweep--row", id="sweep-numbers"):
                for number, (name, label) in enumerate(_NUMBERS):
                    yield Static(label, classes=f"sweep--label{' sweep--behind' * bool(number)}", markup=False)
                    yield DialogInput(getattr(draft, name), id=f"sweep-{name}")
            yield Static("", id="sweep-estimate", markup=False)
            yield KeyBar(_FOOT)

    def _base_line(self, number: int) -> Selection[int]:
        base = self._bases[number]
        name = Content.styled(fit(display_line(base.name), _NAME), "bold")
        line = Content.assemble(name, f" {display_line(base.summary)}")
        return Selection(line, number, base.key in self.draft.bases)

    def _model_line(self, number: int) -> Selection[int]:
        model = self._models[number]
        return Selection(Content(display_line(short_model(model))), number, model in self.draft.models)

    def on_mount(self) -> None:
        """Begin where something is missing, else at the range."""
        self.query_one("#sweep-prompts", TextArea).show_line_numbers = False
        self._show_mode()
        self.query_one("#sweep-ranges" if self.draft.prompts.strip() else "#sweep-prompts").focus()
        self._reckon()

    # -- what was typed ----------------------------------------------------------------------------------------

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(SelectionList.SelectedChanged)
    def _typed(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_PAUSE_S, self._reckon)

    def _read(self) -> Draft:
        samples, seed, max_tokens, at_once = (self.query_one(f"#sweep-{name}", Input).value for name, _ in _NUMBERS)
        bases = self.query_one("#sweep-bases", Choices).selected
        self.draft = Draft(
            prompts=self.query_one("#sweep-prompts", TextArea).text,
            whole=self.draft.whole,
            file=self.query_one("#sweep-file", Input).value,
            bases=frozenset(self._bases[number].key for number in bases),
            ranges=self.query_one("#sweep-ranges", Input).value,
            models=tuple(self._models[number] for number in sorted(self.query_one("#sweep-models", Choices).selected)),
            samples=samples,
            seed=seed,
            max_tokens=max_tokens,
            at_once=at_once,
        )
        return self.draft

    def _show_mode(self) -> None:
        with_system = " · system prompt" if self._system.strip() and not self._raw else ""
        raw = " · raw" if self._raw else ""
        self.query_one("#sweep-mode", Static).update(f"{_ONE if self.draft.whole else _LINES}{with_system}{raw}")

    def _reckon(self) -> None:
        """Tell what it would take, or what is wrong and where; starting does the same."""
        if not self._starting:
            self._estimate()

    @work(group="estimate", exclusive=True)
    async def _estimate(self) -> None:
        await self._looked()

    async def _looked(self) -> Outlook | None:
        draft = self._read()
        try:
            wanted = await asyncio.to_thread(
                asked, draft, self._bases, self._sweeping.runner.pool, system=self._system, raw=self._raw
            )
            outlook = await outlook_of(wanted, self._sweeping.runner) if isinstance(wanted, Asked) else None
            wrong = wanted if isinstance(wanted, Wrong) else None
        except PlaygroundError as error:
            outlook, wrong = None, Wrong("whole", error)
        self._refuse(wrong)
        if outlook is not None:
            self.query_one("#sweep-estimate", Static).update(outlook.content)
        return outlook

    def _refuse(self, wrong: Wrong | None) -> None:
        """Say what is wrong in place of the estimate, and mark where; no field may move under somebody's mouse."""
        field = wrong.field if wrong is not None else ""
        if wrong is not None:
            said = self.query_one("#sweep-estimate", Static)
            said.styles.min_height = max(_LEAST_ESTIMATE, said.size.height)
            said.update(Content.styled(display_line(str(wrong.error)), "$error"))
        for name in ("ranges", *(name for name, _ in _NUMBERS)):
            self.query_one(f"#sweep-{name}").set_class(field == name, "-wrong")
        for name, label in (("prompts", "#sweep-mode"), ("bases", "#label-bases"), ("models", "#label-models")):
            self.query_one(label).set_class(field == name, "-wrong")

    # -- keys --------------------------------------------------------------------------------------------------

    def action_lines(self) -> None:
        """Each line a prompt, or all of them one."""
        self.draft = self.draft._replace(whole=not self.draft.whole)
        self._show_mode()
        self._reckon()

    def action_model(self) -> None:
        """Choose another model."""
        from playground.screens.model_picker import ModelPicker

        self.app.push_screen(
            ModelPicker(self._sweeping.runner.pool, None, title="A model for the sweep"), self._add_model
        )

    def _add_model(self, ref: ModelRef | None) -> None:
        if ref is None:
            return
        if ref.endpoint == REPLAY:
            self._refuse(Wrong("models", BadInput("A recording always gives the same reply.")))
            return
        listed = self.query_one("#sweep-models", Choices)
        if ref.text not in self._models:
            self._models.append(ref.text)
            listed.add_option(self._model_line(len(self._models) - 1))
        listed.select(self._models.index(ref.text))

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Run it."""
        if self._starting:
            return
        self._starting = True
        if self._resting is not None:
            self._resting.stop()
        self._start()

    @work(group="start")
    async def _start(self) -> None:
        try:
            outlook = await self._looked()
            anyway = None if outlook is None else await may_begin(self.app, self._sweeping.runner, outlook)
        finally:
            self._starting = False
        if outlook is not None and anyway is not None:
            self.dismiss(outlook.asked._replace(anyway=anyway, expected_s=outlook.estimate.seconds))
        else:
            self._reckon()  # something may have been typed meanwhile

    def action_earlier(self) -> None:
        """Those that were run before."""
        self._read()
        self._sweeping.show_shelf(over=self)

    def action_leave(self) -> None:
        """Back to the panes."""
        self._read()
        self.dismiss(None)
