"""Forks at a token: a candidate taken, a text forced, a reply begun by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from playground.domain.compare_rows import Perplexity
from playground.domain.display import visible_piece
from playground.domain.errors import BadInput
from playground.domain.forking import put_figures, take
from playground.domain.messages import Prompt, Role
from playground.domain.recorded import drawn_instead
from playground.domain.tokens import Token, join_text
from playground.domain.transcript import Turn
from playground.screens.going_on import go_on_from, is_foreign, prompt_of

if TYPE_CHECKING:
    from playground.domain.fitting import Cut
    from playground.screens.force_dialog import Forced, Occasion
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen


class Place(NamedTuple):
    """A place in a reply."""

    turn: Turn
    at: int
    """Index of the token that stands there; the reply's length behind its last one."""


class Forks:
    """Forks at a token: a candidate taken, a text forced, a reply begun by hand."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._unused = ""
        """A text that was typed and could not be put anywhere; the next dialog begins with it."""

    # -- a candidate -------------------------------------------------------------------------------------------

    def take(self, choice: int) -> None:
        """Put another candidate in place of the token under the cursor; without a cursor, of the one that is shown.

        Args:
            choice: Index into the candidates that the inspector shows, which may be those of a what-if.
        """
        self._screen.attempt_later(partial(self._take, choice), "conversation")

    async def _take(self, choice: int) -> None:
        pane, shown = self._screen.pane, self._screen.inspector.token
        place = self._under_cursor() or self._last(shown)
        if place is None:
            raise BadInput("There is no token yet to take another one for.", "Send a prompt first.")
        recorded = place.turn.tokens[place.at]
        # What a what-if shows of this very token holds for what comes: the sliders stand that way.
        same = shown is not None and (shown.index, shown.id, shown.piece) == (place.at, recorded.id, recorded.piece)
        token = take(shown if same and shown is not None else recorded, choice)
        await self._go_on(pane, place, [token])

    def _under_cursor(self) -> Place | None:
        view, tree = self._screen.pane.transcript.view, self._screen.pane.session.transcript
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else None
        return Place(turn, ref[1]) if turn is not None and isinstance(ref, tuple) else None

    def _last(self, shown: Token | None) -> Place | None:
        """Where the token that is shown stands; else the last token."""
        path = self._screen.pane.session.transcript.path()
        replies = [turn for turn in reversed(path) if turn.role is Role.ASSISTANT and turn.tokens]
        for turn in replies:
            if shown is not None and shown.index < len(turn.tokens) and turn.tokens[shown.index] is shown:
                return Place(turn, shown.index)
        return Place(replies[0], len(replies[0].tokens) - 1) if replies else None

    async def _go_on(self, pane: Pane, place: Place, tokens: Sequence[Token], *, own: bool = False) -> None:
        """Fork, and leave the cursor on what was put there: the next key may fork again, and arrows walk on."""
        screen = self._screen
        await screen.take_change(pane)
        if pane.card is not None and not pane.card.local and not await screen.sender.may_go_again([pane]):
            return
        reply = await go_on_from(pane, place.turn, place.at, tokens, own=own)
        pane.transcript.view.focus()
        if not pane.stepping:
            if pane.card is not None and pane.card.local:
                await pane.runner.began.wait()  # what the cursor asks of the model can wait for the first token
            pane.catch_up()  # a frame may be longer than a token
        if pane.stepping:
            pane.transcript.view.follow_end()  # to the next place, which waits for a token
        else:
            self._point_at(pane, reply)
        await self._learn(pane, reply)

    @staticmethod
    def _point_at(pane: Pane, reply: Turn) -> None:
        """Put the cursor on what was put there, unless the person has put it elsewhere meanwhile."""
        view, first = pane.transcript.view, (reply.id, reply.forked_at)
        if view.cursor is None and first in view.store.refs:
            view.move_to(view.store.refs.index(first))
            view.follow = True  # what is written now stays in sight

    async def _learn(self, pane: Pane, reply: Turn) -> None:
        """Find out what the model thinks of tokens that it did not draw, as soon as its own first one is there."""
        from playground.services.beginnings import figures_of

        backend, end = pane.runner.backend, reply.continued_at
        given = reply.tokens[:end]
        first = next((token.index for token in given if token.logprob is None), end)
        if backend is None or not backend.capabilities.score or first == end or reply.prompt is None:
            return
        if not pane.stepping:
            await pane.runner.began.wait()
        if reply.problem is not None:
            return
        top = pane.session.params.top
        recorded = drawn_instead(pane.session.transcript, reply, first)
        if put_figures(reply, first, await figures_of(backend, reply.prompt, given, first, top, recorded)):
            pane.perplexity = Perplexity()  # it took them for unknown
            pane.transcript.set_mode(pane.transcript.mode)
            self._screen.draw_soon()

    # -- a text ------------------------------------------------------------------------------------------------

    def force(self) -> None:
        """Put a text in place of the token under the cursor; without a cursor, behind the reply."""
        self._screen.attempt_later(self._force, "force")

    async def _force(self) -> None:
        from playground.screens.force_dialog import Occasion
        from playground.services.beginnings import as_own, check_goes_on

        pane = self._screen.pane
        place = self._under_cursor() or self._end()
        if place is None:
            raise BadInput("There is no reply yet to put a text into.", "Send a prompt, or begin the reply with Alt+P.")
        turn, at = place
        backend, prompt = pane.need_model(), prompt_of(pane, turn)
        check_goes_on(backend, prompt)
        kept: Sequence[Token] = turn.tokens[:at]
        if is_foreign(pane, turn, kept):
            kept = await as_own(backend, prompt, kept)
        old = turn.tokens[at] if at < len(turn.tokens) else None
        ends = old is None or bool(old.special)
        help_text = (
            "It goes behind the reply, and the model goes on from there."
            if old is None or ends
            else f"It stands in place of {visible_piece(old.piece)}, and the model goes on from there."
        )
        # Most tokens begin with a space, and a text without one would run into the word before.
        space = " " if old is not None and not ends and old.piece.startswith(b" ") else ""
        before = join_text([token.piece for token in kept])
        occasion = Occasion("Force a text", help_text, before, self._unused or space)
        forced = await self._ask(pane, occasion, prompt, kept)
        if forced is not None:
            await self._go_on(pane, place, forced.tokens, own=True)
            self._unused = ""

    def _end(self) -> Place | None:
        reply = self._screen.pane.session.transcript.last(Role.ASSISTANT)
        return Place(reply, len(reply.kept_tokens)) if reply is not None else None

    async def _ask(self, pane: Pane, occasion: Occasion, prompt: Prompt, before: Sequence[Token]) -> Forced | None:
        from playground.screens.force_dialog import ForceDialog
        from playground.services.beginnings import Typing

        typing = Typing(pane.need_model(), prompt, before, pane.tuning.pending or pane.session.params)
        forced = await self._screen.app.push_screen_wait(ForceDialog(occasion, typing))
        if forced is not None:
            self._unused = forced.text  # until it is where it belongs
        return forced

    # -- the beginning of a reply ------------------------------------------------------------------------------

    def prefill(self) -> None:
        """Begin the next reply by hand: to what is in the editor, else to the last message once more."""
        self._screen.attempt_later(self._prefill, "force")

    async def _prefill(self) -> None:
        from playground.screens.force_dialog import Occasion
        from playground.services.beginnings import check_goes_on

        screen, text = self._screen, self._screen.editor.text
        pane = screen.pane
        panes = [pane] if pane.editing is not None else list(screen.targets)
        for target in panes:
            target.session.check_idle()
            check_goes_on(target.need_model(), _to_answer(target, text))
        help_text = (
            f"The reply{'' if text else ', another one to the last message,'} begins with it, and the model goes on."
        )
        forced = await self._ask(
            pane, Occasion("Begin the reply", help_text, "", self._unused), _to_answer(pane, text), ()
        )
        if forced is None:
            return
        pressed = time.monotonic()
        for target in panes:
            await screen.take_change(target)
        plan: dict[Pane, Cut | None] | None
        if text:
            plan = await screen.sender.plan(panes, text)
        else:
            plan = dict.fromkeys(panes) if await screen.sender.may_go_again(panes) else None
        for target, cut in (plan or {}).items():
            screen.attempt_later(partial(self._begin, target, text, forced.text, pressed, cut), "conversation")

    async def _begin(self, pane: Pane, text: str, beginning: str, pressed: float, cut: Cut | None) -> None:
        from playground.services.beginnings import split

        screen = self._screen
        if pane not in screen.all_panes:  # closed meanwhile
            return
        prompt = cut.prompt if cut is not None else _to_answer(pane, text)
        tokens = await split(pane.need_model(), prompt, (), beginning)
        if text:
            pane.send(text, pressed, cut, tokens)
        else:
            pane.regenerate(tokens)
        self._unused = ""
        if text and screen.editor.text == text:
            screen.editor.remember(text)
            screen.editor.load_text("")
            screen.show_editing()
        reply = pane.session.transcript.last(Role.ASSISTANT)
        if reply is not None:
            await self._learn(pane, reply)


def _to_answer(pane: Pane, text: str) -> Prompt:
    """The prompt with what is in the editor; without that, as it was for the last message. Raises BadInput."""
    user = pane.session.transcript.last(Role.USER)
    if text:
        return pane.prompt_with(text)
    if user is None:
        raise BadInput("There is nothing to answer yet.", "Write a prompt, then begin its reply with Alt+P.")
    return pane.session.prompt(user.id)
