"""The main screen's dealings with lengths and costs: of what is being written, and of replies that ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import on
from textual.timer import Timer

from playground.domain.counts import count_of
from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError, Unsupported
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import Prompt
from playground.screens.pane import Measured, Pane
from playground.screens.panes_screen import PanesScreen
from playground.widgets.prompt_editor import PromptEditor

if TYPE_CHECKING:
    from playground.screens.choice_dialog import Question
    from playground.screens.sending import Sender
    from playground.services.accounts import Accounts
    from playground.services.counting import TokenCounter

_COUNT_SECONDS: Final = 0.15
"""Pause in typing after which the draft is counted."""


class CountingScreen(PanesScreen):
    """Counts what is written while it is written, and keeps the books."""

    furnished = False
    """True once all panels are there, a moment after the first paint."""
    accounts: Accounts
    """What replies cost and how long they took; there once the screen is furnished."""
    counter: TokenCounter
    sender: Sender
    price_note = ""
    """Where prices come from, once they were needed."""
    _count_timer: Timer | None = None

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

    @on(PromptEditor.Edited)
    def _edited(self) -> None:
        if self._count_timer is not None:
            self._count_timer.stop()
        self._count_timer = self.set_timer(_COUNT_SECONDS, self.count_draft)

    def count_draft(self) -> None:
        """Count what is in the editor, by the active pane's model."""
        if self.furnished:
            self.attempt_later(self._count, "count", exclusive=True)

    def show_editing(self) -> None:
        """What sending will do has changed, and with it how much is sent."""
        super().show_editing()
        if self.editor.text:
            self.count_draft()

    async def _count(self) -> None:
        text, pane, place = self.editor.text, self.pane, self.pane.place
        if not text or pane.card is None or pane.runner.backend is None:
            pane.draft = None
            self.editor.show_count("")
            self.editor.show_send_estimate("")
            return
        try:
            draft = await self.sender.measure(pane, text)
            others = [other for other in self.targets if other is not pane and other.card is not None]
            costs = [(await self.sender.measure(other, text)).cost for other in others]
        except PlaygroundError:
            return  # the model is lost; whoever watches it says so
        pane.draft = Measured(draft.parts, draft.total.exact, place)
        about, window = "" if draft.tokens.exact else "≈", pane.card.n_ctx
        used, roughly = draft.total.tokens, "" if draft.total.exact else "≈"
        over = window is not None and used >= window
        if over and window is not None:
            all_of_it = f"{roughly}{used:,} of {window:,}: too long by {used - window + 1:,}"
        else:
            all_of_it = f"{roughly}{used:,} in all"
        self.editor.show_count(f"{about}{count_of(draft.tokens.tokens, 'token')} · {all_of_it}", over)
        from playground.screens.sending import cost_text

        self.editor.show_send_estimate(cost_text([draft.cost, *costs]))

    async def tell_count(self, pane: Pane, prompt: Prompt, error: Unsupported) -> None:
        """Say how long the prompt is, by whoever can count it best."""
        if pane.card is None:
            raise error
        count = await self.counter.count_prompt(pane.runner.backend, pane.card, prompt)
        about = "" if count.exact else "≈"
        how = f"counted by the {count.method}" if count.exact else "estimated"
        text = f"It has {about}{count_of(count.tokens, 'token')}, {how}. {error.hint}"
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
