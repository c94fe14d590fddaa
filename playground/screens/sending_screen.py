"""The main screen's dealings with the prompt: sending it, to one pane or to all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import on

from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.screens.counting_screen import CountingScreen
from playground.screens.going_on import continue_reply
from playground.screens.pane import Pane
from playground.widgets.prompt_editor import PromptEditor

if TYPE_CHECKING:
    from playground.services.presets import Preset
    from playground.services.settings import Settings

_SENDING: Final = "send"
"""Group of the workers that send."""


class SendingScreen(CountingScreen):
    """Takes what was written to where it is answered."""

    _submitted_early: tuple[str, float] | None = None
    """What was sent before there was a pane, and when."""

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
        self.editor.clear_sent(text)
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
