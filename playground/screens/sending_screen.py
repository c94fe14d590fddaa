"""The main screen's dealings with the prompt: counting it while it is written, and sending it to one pane or all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import on
from textual.timer import Timer

from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError, Unsupported
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import Prompt
from playground.screens.going_on import continue_reply
from playground.screens.pane import Pane
from playground.screens.panes_screen import PanesScreen
from playground.widgets.prompt_editor import PromptEditor

if TYPE_CHECKING:
    from playground.screens.choice_dialog import Question
    from playground.screens.sending import Sender
    from playground.services.accounts import Accounts
    from playground.services.counting import TokenCounter
    from playground.services.presets import Preset
    from playground.services.settings import Settings

_SENDING: Final = "send"
"""Group of the workers that send."""
_COUNT_SECONDS: Final = 0.15
"""Pause in typing after which the draft is counted."""


class SendingScreen(PanesScreen):
    """Takes what was written to where it is answered."""

    furnished = False
    """True once all panels are there, a moment after the first paint."""
    _submitted_early: tuple[str, float] | None = None
    """What was sent before there was a pane, and when."""
    accounts: Accounts
    """What replies cost and how long they took; there once the screen is furnished."""
    counter: TokenCounter
    sender: Sender
    price_note = ""
    """Where prices come from, once they were needed."""
    _count_timer: Timer | None = None

    def __init__(self, settings: Settings, model: str, presets: dict[str, Preset], preset: Preset) -> None:
        super().__init__(settings, model, presets, preset)
        self._looked_at: list[str] = []
        """Prompts on their way: whether they fit, and what they cost, is being found out."""

    @property
    def targets(self) -> list[Pane]:
        """The panes that the next prompt goes to."""
        return self.deck.targets

    @property
    def addressees(self) -> str:
        """Which panes get what is written, when there are several."""
        if not self.deck.several or self.pane.editing is not None:
            return ""
        if self.deck.to_all:
            return f" to all {len(self.deck.panes)} panes"
        return f" to pane {self.deck.number(self.pane)} alone · Alt+A sends to all"

    @on(PromptEditor.Resized)
    def _lift_notices(self, event: PromptEditor.Resized) -> None:
        """Notices stand over the prompt, however high it is, and over the two rows below it."""
        for rack in self.query("ToastRack"):
            rack.styles.margin = (0, 0, event.rows + 2, 0)

    @on(PromptEditor.Submitted)
    def _submitted(self, event: PromptEditor.Submitted) -> None:
        pressed = time.monotonic()
        if self.furnished:
            self.submit(event.text, pressed)
        else:
            self._submitted_early = (event.text, pressed)

    def send_waiting(self) -> None:
        """Send what was sent before the screen was furnished."""
        early, self._submitted_early = self._submitted_early, None
        if early is not None:
            self.submit(*early)

    def submit(self, text: str, pressed_at: float) -> None:
        """Send what was written; a pane whose model still loads gets it as soon as the model is there."""
        targets = [self.pane] if self.pane.editing is not None else self.targets
        try:
            for pane in targets:
                self._check_can_take(pane)
            able = [pane for pane in targets if pane.opening or pane.runner.backend is not None]
            if not able:
                self.pane.need_model()
        except PlaygroundError as error:
            self.tell(error)
            return
        self._tell_left_out([pane for pane in targets if pane not in able])
        targets = able
        self.editor.remember(text)
        self.editor.load_text("")
        ready = [pane for pane in targets if not pane.opening]
        for pane in targets:
            if pane.opening:
                pane.waiting = (text, pressed_at)
        if len(ready) < len(targets):
            self.notify("The model is still loading: the prompt goes as soon as it is there.", timeout=3)
        if ready:
            self.attempt_later(partial(self._send, ready, text, pressed_at), _SENDING)

    async def _send(self, panes: list[Pane], text: str, pressed_at: float) -> None:
        """Look whether it fits and what it costs, ask where that has to be asked, and send."""
        self._looked_at.append(text)
        try:
            for pane in panes:
                await self.take_change(pane)
            plan = await self.sender.plan(panes, text)
        finally:
            self._looked_at.remove(text)
        if plan is None:
            self.give_back(text)
            return
        for pane, cut in plan.items():
            try:
                if pane in self.all_panes:  # it may have been closed while the question stood
                    pane.send(text, pressed_at, cut)
            except PlaygroundError as error:
                self.tell(error)
                self.give_back(text)
        self.show_editing()

    async def action_stop(self) -> None:
        """Esc also takes back a prompt that has not gone yet, as while a server counts it."""
        if self._looked_at:
            self.give_back(self._looked_at[-1])
            self.workers.cancel_group(self, _SENDING)
        await super().action_stop()

    def _check_can_take(self, pane: Pane) -> None:
        where = f" in pane {self.deck.number(pane)}" if self.deck.several else ""
        if pane.session.busy:
            raise BadInput(f"A reply is still being written{where}.", "Stop it with Esc, or wait for its end.")
        if pane.waiting is not None:
            raise BadInput(f"A prompt is waiting for the model already{where}.", "Esc takes it back.")

    def _tell_left_out(self, panes: Sequence[Pane]) -> None:
        if panes:
            numbers = " and ".join(str(self.deck.number(pane)) for pane in panes)
            which, has = ("Pane", "has") if len(panes) == 1 else ("Panes", "have")
            self.notify(
                display_text(panes[0].remedy), title=f"{which} {numbers} {has} no model and got no prompt", markup=False
            )

    def send_late(self, pane: Pane, text: str, pressed_at: float) -> None:
        """Send a prompt that waited for the model, within the same limits as any other."""
        self.attempt_later(partial(self._send, [pane], text, pressed_at), _SENDING)

    def action_regenerate(self) -> None:
        """Another reply to the last message; it may cost as much as the first."""
        self.attempt_later(partial(self._again, self.targets, Pane.regenerate), _SENDING)

    def action_continue_reply(self) -> None:
        """More of the last reply."""
        self.attempt_later(partial(self._again, [self.pane], continue_reply), _SENDING)

    async def _again(self, panes: Sequence[Pane], begin: Callable[[Pane], None]) -> None:
        for pane in panes:
            await self.take_change(pane)
        if not await self.sender.may_go_again(panes):
            return
        refusals: dict[str, PlaygroundError] = {}  # what all panes refuse for one reason is told once
        for pane in panes:
            try:
                if pane in self.all_panes:
                    begin(pane)
            except PlaygroundError as error:
                refusals[str(error)] = error
        for refusal in refusals.values():
            self.tell(refusal)

    @on(PromptEditor.Edited)
    def _edited(self) -> None:
        if self._count_timer is not None:
            self._count_timer.stop()
        self._count_timer = self.set_timer(_COUNT_SECONDS, self.count_draft)

    def count_draft(self) -> None:
        """Count what is in the editor, by the active pane's model."""
        if self.furnished:
            self.attempt_later(self._count, "count", exclusive=True)

    def furnish_sending(self) -> None:
        """What is needed from the first prompt on, and not before the first paint."""
        from playground.screens.sending import Sender
        from playground.services.accounts import Accounts
        from playground.services.counting import TokenCounter

        self.accounts = Accounts(self.settings, lambda: self.pool.endpoints)
        self.counter = TokenCounter(self.pool.endpoints)
        self.sender = Sender(self.accounts, self.counter, self.ask)

    async def ask(self, question: Question) -> int | None:
        """Put a question to the person; the number of the answer, None for leaving it."""
        from playground.screens.choice_dialog import ChoiceDialog

        return await self.app.push_screen_wait(ChoiceDialog(question))

    async def _count(self) -> None:
        text, pane = self.editor.text, self.pane
        if not text or pane.card is None or pane.runner.backend is None:
            pane.draft_tokens = 0
            self.editor.show_count("")
            self.editor.show_send_estimate("")
            return
        try:
            draft = await self.sender.measure(pane, text)
            others = [other for other in self.targets if other is not pane and other.card is not None]
            costs = [(await self.sender.measure(other, text)).cost for other in others]
        except PlaygroundError:
            return  # the model is lost; whoever watches it says so
        pane.draft_tokens = draft.tokens.tokens
        about, window = "" if draft.tokens.exact else "≈", pane.card.n_ctx
        used, roughly = draft.total.tokens, "" if draft.total.exact else "≈"
        over = window is not None and used >= window
        if over and window is not None:
            all_of_it = f"{roughly}{used:,} of {window:,}: too long by {used - window + 1:,}"
        else:
            all_of_it = f"{roughly}{used:,} in all"
        self.editor.show_count(f"{about}{draft.tokens.tokens:,} tokens · {all_of_it}", over)
        from playground.screens.sending import cost_text

        self.editor.show_send_estimate(cost_text([draft.cost, *costs]))

    async def tell_count(self, pane: Pane, prompt: Prompt, error: Unsupported) -> None:
        """Say how long the prompt is, by whoever can count it best."""
        if pane.card is None:
            raise error
        count = await self.counter.count_prompt(pane.runner.backend, pane.card, prompt)
        about = "" if count.exact else "≈"
        how = f"counted by the {count.method}" if count.exact else "estimated"
        text = f"It has {about}{count.tokens:,} tokens, {how}. {error.hint}"
        self.notify(display_text(text), title=display_text(error.message), markup=False)

    async def _load_prices(self) -> None:
        await self.accounts.load()
        self.price_note = self.accounts.prices.date

    def book(self, pane: Pane, events: Sequence[Event]) -> None:
        """Enter replies that ended into the books."""
        card = pane.runner.answering
        if card is None:
            return
        for event in events:
            if event.stream == pane.single:  # one token is no reply, and costs nothing where there are such runs
                continue
            if isinstance(event, Finished):
                self.attempt_later(partial(self.accounts.settle, card, event), "books")
            elif isinstance(event, Failed) and pane.has_words:
                self.attempt_later(partial(self.accounts.settle_broken, card), "books")

    def model_ready(self, pane: Pane) -> None:
        """Learn its price, and count what was written meanwhile."""
        assert pane.card is not None, "the model is there"
        pane.runner.price = self.accounts.price
        if not pane.card.local:
            self.attempt_later(self._load_prices, "prices", exclusive=True)
        super().model_ready(pane)
        self.count_draft()
