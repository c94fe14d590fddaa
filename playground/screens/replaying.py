"""A whole reply seen under the sliders as they stand now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from playground.domain.errors import BadInput, PlaygroundError, Unsupported
from playground.domain.messages import Role
from playground.domain.recorded import drawn_under, known_verdicts, log_ratio, of_verdicts, with_record
from playground.domain.what_if import Replay, Replayed, ReplayRequest, Verdict, known_of
from playground.domain.what_if_words import (
    BRIEFLY,
    as_a_whole,
    counts,
    ids_of,
    next_place,
    ratio_words,
    setting_words,
    shaping,
    short_summary,
    verdict_words,
)
from playground.screens.what_if import why_not
from playground.widgets.colour_scale import VERDICT_STYLES, TokenStyle

if TYPE_CHECKING:
    from playground.domain.sampling import SamplingParams
    from playground.domain.tokens import Token
    from playground.domain.transcript import Turn
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen

_GROUP: Final = "replay"
_KEYS: Final = "d: next open, x: impossible."
_STALE_S: Final = 0.25
"""Marks of the sliders as they stood stay for so long while there are no new ones: most answers are sooner there."""


class Replaying:
    """One reply at a time. The sliders may go on moving: it follows them, and the newest question wins."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._pane: Pane | None = None
        self._turn: Turn | None = None
        self._asked: tuple[object, ...] = ()
        self._result: Replay | None = None
        self._asked_at = 0.0
        """When the answer that is waited for was asked for, in `time.monotonic()` seconds; 0 while none is."""
        self._progress = 0, 0
        """How many tokens of how many are through."""
        self._told = False
        """True once the person was told in a notice what came out."""

    def toggle(self) -> None:
        """Show it, or go back to colours."""
        if self._pane is self._screen.pane:
            self.leave()
        else:
            self._screen.attempt(self._begin)

    def leave(self) -> bool:
        """Go back to colours; False when they are shown already."""
        pane, self._pane = self._pane, None
        self._turn, self._result, self._asked, self._asked_at = None, None, (), 0.0
        if pane is None:
            return False
        self._screen.workers.cancel_group(self._screen, _GROUP)
        if pane in self._screen.all_panes:
            pane.transcript.show_replay(None)
        self._screen.draw_soon()
        return True

    def _begin(self) -> None:
        pane = self._screen.pane
        turn = self._at_cursor(pane) or pane.session.transcript.last(Role.ASSISTANT)
        if turn is None or not turn.tokens:
            raise BadInput("There is no reply to look at.", "Ask for one first.")
        reason = why_not(pane, turn)
        if reason:
            raise Unsupported("What else this reply could have been is not known.", reason)
        if pane.session.active is turn:
            raise BadInput("This reply is still being written.", "Wait for its end, or stop it with Esc.")
        self.leave()
        self._pane, self._turn, self._told = pane, turn, False
        self._ask()

    def _at_cursor(self, pane: Pane) -> Turn | None:
        view = pane.transcript.view
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = pane.session.transcript.turns.get(ref[0]) if isinstance(ref, tuple) else None
        return turn if turn is not None and turn.role is Role.ASSISTANT else None

    def follow(self) -> None:
        """Keep up with the sliders and with new tokens, or end when the reply or its model is gone."""
        pane, turn = self._pane, self._turn
        if pane is None or turn is None:
            return
        gone = pane not in self._screen.all_panes or not any(one is turn for one in pane.session.transcript.path())
        if gone or why_not(pane, turn):
            self.leave()
        elif pane.session.active is not turn and self._asked != self._question(pane, turn):
            self._ask()

    def _question(self, pane: Pane, turn: Turn) -> tuple[object, ...]:
        """Everything that another answer would have to be asked for."""
        return shaping(pane.tuning.pending or pane.session.params), len(turn.tokens), pane.runner.backend

    def _ask(self) -> None:
        """Look at what was recorded, and have computed what that does not tell."""
        pane, turn = self._pane, self._turn
        assert pane is not None
        assert turn is not None
        self._asked = self._question(pane, turn)
        self._screen.workers.cancel_group(self._screen, _GROUP)
        params = pane.tuning.pending or pane.session.params
        drawn = drawn_under(pane.session.transcript, turn)
        known = known_verdicts(turn.tokens, drawn, params)
        if len(known) == len(turn.tokens):
            self._asked_at = 0.0
            nothing = Replay(tokens=(), params=params, first_open=None, first_impossible=None)
            self._draw(pane, turn, of_verdicts([known[token.index] for token in turn.tokens], nothing))
            return
        self._asked_at, self._progress = time.monotonic(), (0, len(turn.tokens))
        self._show_progress(*self._progress)
        self._screen.attempt_later(lambda: self._replay(params, known), _GROUP, exclusive=True)

    async def _replay(self, params: SamplingParams, known: dict[int, Replayed]) -> None:
        pane, turn = self._pane, self._turn
        if pane is None or turn is None or turn.prompt is None:
            return
        ids = ids_of(turn.tokens)
        try:
            if ids is None:
                raise BadInput("Not every token of this reply has an id.", "It cannot be replayed.")
            request = ReplayRequest(
                prompt=turn.prompt,
                reply_ids=ids,
                params=params,
                recorded=tuple(token.prob for token in turn.tokens),
                known=tuple(known_of(token) for token in turn.tokens),
            )
            result = await pane.need_model().replay(request, self._show_progress)
        except PlaygroundError:
            self.leave()
            raise
        if turn is self._turn:
            self._asked_at = 0.0
            self._draw(pane, turn, with_record(result, known))

    def _show_progress(self, done: int, total: int) -> None:
        pane, turn = self._pane, self._turn
        if pane is None or turn is None or not self._asked_at:
            return
        self._progress = done, total
        setting = setting_words(turn.params, pane.tuning.pending or pane.session.params)
        at = f" at {setting}" if setting else ""
        pane.transcript.explain_replay(f"replaying {done / max(1, total):.0%}{at} … Esc ends it")
        if self._result is not None and time.monotonic() - self._asked_at > _STALE_S:
            self._result = None
            pane.transcript.show_replay({turn.id: [TokenStyle.PLAIN] * len(turn.tokens)})

    def _draw(self, pane: Pane, turn: Turn, result: Replay) -> None:
        self._result = result
        ratio = log_ratio(result, turn.by_hand)
        samples = [
            (f"{count:,} {BRIEFLY[verdict]}", int(VERDICT_STYLES[verdict])) for verdict, count in counts(result).items()
        ]
        if result.first_impossible is None and ratio is not None:
            samples.insert(0, (f"reply {ratio_words(ratio)}", int(TokenStyle.PLAIN)))
        styles = [VERDICT_STYLES[told.verdict] for told in result.tokens]
        pane.transcript.show_replay({turn.id: styles})
        pane.transcript.explain_replay(short_summary(result), samples)
        self._screen.draw_soon()
        if not self._told:
            self._told = True
            cost = " This model's memory cannot be cut: the prompt was computed again." if result.recomputed else ""
            text = f"{as_a_whole(ratio) or 'Marked by what could differ.'} {_KEYS}{cost}"
            self._screen.notify(text, timeout=5, markup=False)

    def go(self, what: str) -> None:
        """Put the cursor on the next token that could differ ("open") or could not come ("impossible")."""
        self._screen.attempt(lambda: self._go(what))

    def _go(self, what: str) -> None:
        pane, turn, result = self._pane, self._turn, self._result
        if self._asked_at:
            done, total = self._progress
            raise BadInput(f"Still replaying, {done:,} of {total:,} tokens.", "The marks are there in a moment.")
        if pane is None or turn is None or result is None:
            raise BadInput("Nothing is marked yet.", "Alt+V marks what of the reply could have been otherwise.")
        view = pane.transcript.view
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        here = ref[1] if isinstance(ref, tuple) and ref[0] == turn.id else -1
        wanted = (Verdict.IMPOSSIBLE,) if what == "impossible" else tuple(set(Verdict) - {Verdict.CERTAIN})
        place = next_place(result, wanted, here)
        if place is None:
            raise BadInput(f"No token of this reply {'is' if what == 'impossible' else 'could be'} {_NONE[what]}.")
        view.focus()
        view.move_to(view.store.refs.index((turn.id, place)))

    def remark(self, pane: Pane, turn: Turn | None, token: Token | None, now: float | None = None) -> str:
        """What becomes of a token, in a line; empty when that is not on display.

        Args:
            pane: Where it stands.
            turn: The reply.
            token: The token as it was drawn.
            now: Its chance in the what-if that is on display for it; None without one.
        """
        if pane is not self._pane or turn is not self._turn or token is None:
            return ""
        if self._asked_at:
            return "replaying …"
        tokens = self._result.tokens if self._result is not None else ()
        told = tokens[token.index] if token.index < len(tokens) else None
        return verdict_words(told, now) if told is not None and told.id == token.id else ""


_NONE: Final = {"open": "another under these sliders", "impossible": "impossible under these sliders"}
