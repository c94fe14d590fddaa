"""The main screen's dealings with the inspector: which token it shows, as it was or as it would be."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from playground.domain.messages import Role
from playground.domain.session import Phase
from playground.screens.token_screen import TokenScreen
from playground.screens.what_if import WhatIfs, essence, table_of
from playground.services.presets import Preset
from playground.services.settings import Settings

if TYPE_CHECKING:
    from playground.screens.folding import Folding
    from playground.widgets.candidates import CandidateList
    from playground.widgets.token_view import TokenMessage


class InspectingScreen(TokenScreen):
    """Shows the token under the cursor, else that under the mouse, else the newest."""

    folding: Folding
    """Which panels are shown; there once the screen is furnished."""

    def __init__(self, settings: Settings, model: str, presets: dict[str, Preset], preset: Preset) -> None:
        super().__init__(settings, model, presets, preset)
        self.hovered: object = None
        """What stands under the mouse, as the token view refers to it."""
        self._what_ifs = WhatIfs(self._ask_what_if, self.show_token)
        self._essence = ""

    @abstractmethod
    def show_details(self) -> None:
        """Bring everything up to date but the transcripts."""

    def show_token(self) -> None:
        """What the inspector shows; the answer to a what-if comes this way, without waiting for a frame."""
        pane, card = self.pane, self.pane.card
        n_vocab = card.n_vocab if card is not None else None
        waiting = self.stepping.shown()
        if waiting is not None:
            self.inspector.show(waiting.token, n_vocab, "next", table=table_of(waiting, waiting.computed))
            return
        pinned = pane.transcript.view.cursor is not None
        if pinned and pane.session.phase in (Phase.SENT, Phase.PREFILL):
            return  # neither a question nor a new layout shall delay the first token of what was just asked for
        ref = self._shown_ref()
        token = pane.transcript.token_at(ref) or pane.last_token()
        tree = pane.session.transcript
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else tree.last(Role.ASSISTANT)
        remark = self.replaying.remark(pane, turn, token)
        if not pinned or turn is None or token is None:
            self._what_ifs.look(pane, None, None)
            self._essence = ""
            self.inspector.show(token, n_vocab, "pinned" if pinned else "latest", remark=remark)
            return
        self._what_ifs.look(pane, turn, token)
        view = self._what_ifs.view(token)
        note, recorded = ("what if", token) if view.what_if else ("pinned", None)
        if view.what_if:  # one figure for one question
            remark = self.replaying.remark(pane, turn, token, view.token.prob)
        self._say_essence(essence(token, view) if self.folding.in_controls and not self.inspector.display else "")
        self.inspector.show(view.token, n_vocab, note, recorded=recorded, remark=remark, table=view.table)

    def _say_essence(self, text: str) -> None:
        """Where the sliders stand in the inspector's place, the legend says what becomes of the token."""
        if text or self._essence:
            self.pane.transcript.say_why(text)
        self._essence = text

    def _ask_what_if(self) -> None:
        self.attempt_later(self._what_ifs.ask, "what if")

    def _shown_ref(self) -> object:
        view = self.pane.transcript.view
        if view.cursor is not None:
            return view.store.refs[view.cursor]
        return self.hovered

    def show_params(self) -> None:
        """A what-if follows the sliders at once."""
        super().show_params()
        self.detail_due = 0.0

    def _change(self, **changes: Any) -> None:
        """A slider moved: what becomes of the pinned token is asked at once, not with the next frame."""
        super()._change(**changes)
        self.show_token()

    def action_otherwise(self, what: str) -> None:
        """The next token that could differ, or could not come, under the sliders as they stand."""
        self.replaying.go(what)

    def action_temperatures(self) -> None:
        """The token at several temperatures, or the funnel."""
        self.inspector.action_temperatures()

    def on_token_view_selected(self) -> None:
        """The cursor is on another token."""
        if self.pane.transcript.view.cursor is not None:
            self.folding.token_pinned()
        if self.pane.about_to_write:
            self.draw_soon()
        else:
            self.show_details()

    def on_token_view_activated(self) -> None:
        """From a token to its candidates."""
        self.folding.to_candidates()

    def on_candidate_list_picked(self, event: CandidateList.Picked) -> None:
        """Another candidate is to stand in place of the token that was chosen, or at the end of what is stepped."""
        if self.stepping.takes:
            self.stepping.pick(event.index)
        else:
            self.forks.take(event.index)

    def on_candidate_list_bias_requested(self, event: CandidateList.BiasRequested) -> None:
        """A candidate is to be likelier, less likely, or banned."""
        self.bending.bend(event.candidate, event.amount)

    def on_candidate_list_watch_requested(self, event: CandidateList.WatchRequested) -> None:
        """A candidate is to be followed, or no longer."""
        self.watching.add_candidate(event.candidate)

    def on_token_view_hovered(self, event: TokenMessage) -> None:
        """The mouse is over another token."""
        self.hovered = event.ref
        self.detail_due = 0.0
