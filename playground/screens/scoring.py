"""Any text as a local model sees it: choosing the text, and the model that looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.domain.display import display_line
from playground.domain.score_texts import OWN, texts_of

if TYPE_CHECKING:
    from playground.domain.transcript import Turn
    from playground.screens.score_dialog import Chosen
    from playground.screens.token_screen import TokenScreen
    from playground.services.score_views import View


class Scoring:
    """Scores a text under the local model of a pane, or under one that is opened for it."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._pasted = ""
        """The text of one's own that was scored last: what did not fit is not lost."""

    def open(self) -> None:
        """Choose a text and score it."""
        from playground.screens.score_dialog import ScoreDialog

        screen, pane = self._screen, self._screen.pane
        draft = screen.editor.text
        texts = texts_of(pane.session, pane.prompt_with(draft), draft, self._reply_at_cursor())
        views = self._views()
        view, remark = (views[0] if views else None), ""
        if view is None:
            from playground.services.score_views import last_used

            view = last_used()
        if pane.card is not None and not pane.card.local:
            name = display_line(pane.card.short_name)
            remark = f"{name} is hosted and does not score texts: this is a local model's view of them."
        screen.app.push_screen(ScoreDialog(screen.pool, texts, view, remark, self._pasted), self._begin)

    def _reply_at_cursor(self) -> Turn | None:
        view, tree = self._screen.pane.transcript.view, self._screen.pane.session.transcript
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        return tree.turns.get(ref[0]) if isinstance(ref, tuple) else None

    def _views(self) -> list[View]:
        """The local models of all panes, the active one's first."""
        from playground.services.score_views import View

        panes = sorted(self._screen.all_panes, key=lambda pane: pane is not self._screen.pane)
        found: list[View] = []
        for pane in panes:
            card = pane.card
            if card is None or not card.local or pane.slot.ref is None or pane.runner.backend is None:
                continue
            where = "this pane" if pane is self._screen.pane else f"pane {self._screen.deck.number(pane)}"
            if pane.slot.ref not in [one.ref for one in found]:
                found.append(View(card.short_name, pane.slot.ref, None, where))
        return found

    def _begin(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        if chosen.text.name == OWN:
            self._pasted = chosen.text.text
        from playground.screens.score_screen import ScoreScreen

        screen = self._screen
        mode = screen.pane.transcript.mode
        screen.app.push_screen(ScoreScreen(screen.pool, chosen.text, chosen.view, self._views(), mode))
