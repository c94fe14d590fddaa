"""The token under the cursor as it would be with the sliders as they stand now."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playground.backends.base import Backend
from playground.domain.bent_tokens import keep_recorded
from playground.domain.display import visible_piece
from playground.domain.errors import PlaygroundError, Superseded
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.domain.what_if import WhatIf, WhatIfRequest, known_of
from playground.domain.what_if_words import ids_of, params_at, remarks, shaping
from playground.screens.pane import Pane
from playground.widgets.bars import percent
from playground.widgets.temperature_table import SideBySide


class Place(NamedTuple):
    """A token in a pane, and who is asked about it."""

    pane: Pane
    turn: Turn
    at: int
    id: int | None
    backend: Backend | None


class View(NamedTuple):
    """What the inspector is to show of a token."""

    token: Token
    what_if: bool
    """True when these are not the figures it had, but those it would have."""
    table: SideBySide


def why_not(pane: Pane, turn: Turn) -> str:
    """Why nothing can be asked about a reply, in a sentence or two; empty when it can be."""
    backend = pane.runner.backend
    if backend is None:
        return f"No model is loaded. {pane.remedy}"
    if not backend.capabilities.what_if:
        reason = backend.capabilities.why_not("what_if")
        return reason or f"{backend.card.short_name} does not show its whole distribution."
    if turn.model != pane.session.model:
        return f"{turn.model or 'Another model'} wrote this. Load it again to ask about it."
    if turn.prompt is None:
        return "The prompt of this reply is not known."
    return ""


class WhatIfs:
    """Asks about the pinned token as soon as it is pinned, and again with every slider; the newest question wins.

    One question about a place is under way at a time: what a slider passed meanwhile need not be answered.
    """

    def __init__(self, start: Callable[[], None], ready: Callable[[], None]) -> None:
        self._start = start
        """Runs `ask` beside the screen."""
        self._ready = ready
        """Called when there is something else to show."""
        self._place: Place | None = None
        self._at_pin = SamplingParams()
        self._params: SamplingParams | None = None
        """Of the newest question, asked or waiting; None without any."""
        self._under_way: tuple[Place, int] | None = None
        self._number = 0
        self._answer: WhatIf | None = None
        self._computed = 0
        """Tokens computed before there was a first answer about this place."""
        self._refusal = ""

    def look(self, pane: Pane, turn: Turn | None, token: Token | None) -> None:
        """Tell what is pinned now, if anything; cheap when nothing has changed."""
        if turn is None or token is None:
            self._place = self._params = self._answer = None
            return
        place = Place(pane, turn, token.index, token.id, pane.runner.backend)
        params = pane.tuning.pending or pane.session.params
        if place != self._place:
            self._place, self._at_pin = place, params
            self._params = self._answer = None
            self._computed = 0
            self._refusal = why_not(pane, turn)
            if not self._refusal and token.id is None:
                self._refusal = "This token has no id."
        if self._refusal and self._params is None:
            return
        if params != self._params:
            self._params = params
            if self._under_way is None or self._under_way[0] != place:
                self._start()

    async def ask(self) -> None:
        """Put the newest question, and go on until there is no newer one."""
        self._number += 1
        number = self._number
        try:
            asked = None
            while number == self._number and self._place is not None and self._params not in (None, asked):
                place, asked = self._place, self._params
                self._under_way = (place, number)
                assert asked is not None
                await self._ask(place, asked)
        finally:
            if self._under_way is not None and self._under_way[1] == number:
                self._under_way = None

    async def _ask(self, place: Place, params: SamplingParams) -> None:
        refusal, answer = "", None
        try:
            answer = await self._put(place, params)
        except Superseded:
            return
        except PlaygroundError as error:  # said where the figures would stand: nobody pressed a key for them
            refusal = f"{error.message} {error.hint}".strip()
        if place != self._place:
            return
        self._refusal = refusal
        if answer is not None:
            self._computed = self._computed or answer.computed
        self._answer = answer
        self._ready()

    async def _put(self, place: Place, params: SamplingParams) -> WhatIf | None:
        ids = ids_of(place.turn.tokens[: place.at])
        if place.backend is None or place.turn.prompt is None or ids is None:
            return None
        asker = id(place.pane)
        return await place.backend.what_if(
            WhatIfRequest(
                prompt=place.turn.prompt,
                reply_ids=ids,
                chosen=place.id,
                params=params,
                asker=asker,
                known=known_of(place.turn.tokens[place.at]),
            )
        )

    def view(self, recorded: Token) -> View:
        """What to show of the pinned token, which is this one as it was drawn."""
        answer, place = self._answer, self._place
        if answer is None or place is None:
            return View(
                recorded,
                False,
                SideBySide(recorded, words=(f"No what-if: {self._refusal}",), refused=True)
                if self._refusal
                else SideBySide(recorded),
            )
        drawn_under = params_at(place.pane.session.transcript, place.turn, place.at) or self._at_pin
        table = table_of(answer, self._computed)
        if shaping(answer.params) == shaping(drawn_under):
            return View(recorded, False, table)
        return View(keep_recorded(answer.token, recorded, drawn_under, answer.params), True, table)


def essence(recorded: Token, view: View) -> str:
    """What becomes of a token, in a line: its chance as it was drawn and now; empty when it is what it was."""
    if not view.what_if:
        return view.table.words[0] if view.table.refused and view.table.words else ""
    was, now = percent(recorded.prob).strip(), percent(view.token.prob).strip()
    rank = f", rank {view.token.rank:,}" if view.token.rank is not None else ""
    return f"{visible_piece(recorded.piece)} {was} → {now}{rank}"


def table_of(answer: WhatIf, computed: int) -> SideBySide:
    """An answer as a table, with what must be said about it."""
    return SideBySide(answer.token, answer.columns, answer.params.temperature, remarks(answer, computed))
