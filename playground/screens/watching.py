"""Words whose probability is followed at every step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from playground.backends.base import Backend
from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.messages import Role
from playground.domain.recorded import in_force
from playground.domain.transcript import Turn
from playground.domain.watch_list import MOST_WORDS, Shown, parse_words, show_word, with_figures, word_of
from playground.domain.what_if import WatchRequest, known_of
from playground.domain.what_if_words import ids_of
from playground.screens.what_if import why_not

if TYPE_CHECKING:
    from playground.domain.tokens import Candidate, Token
    from playground.domain.watching import WatchedWord
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen
    from playground.widgets.watch_plot import WatchPlot

_HIGH: Final = 30
"""Rows a screen must have for the plot to take as many as it likes."""
_MOST_ROWS: Final = 12
_LOW_ROWS: Final = 5
_MOST_KEPT: Final = 4
"""Replies whose words were found afterwards that are kept, so that going back and forth computes nothing again."""
_COMES: Final = "The figures come with the reply."


class _Key(NamedTuple):
    """A reply as it stands, and the words to be found in it."""

    turn: int
    tokens: int
    last: int
    """Identity of its last token: another reply may have the same number."""
    words: tuple[str, ...]


class Watching:
    """Words whose probability is followed at every step."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._plot: WatchPlot | None = None
        self._folded = False
        self._told: set[str] = set()
        """Notes about words of several tokens that the person has seen."""
        self._found: OrderedDict[_Key, Shown] = OrderedDict()
        """Words that were found afterwards, the newest last."""
        self._asked: _Key | None = None
        """What is being found, or was refused."""
        self._note = ""
        """How far that is, or why it was refused."""
        self._whole: tuple[_Key, bool] | None = None

    # -- the words ---------------------------------------------------------------------------------------------

    def edit(self) -> None:
        """Choose the words."""
        self._screen.attempt_later(self._edit, "watch")

    async def _edit(self) -> None:
        from playground.screens.watch_dialog import WatchDialog

        screen = self._screen
        pane, backend = screen.pane, await self._able(screen.pane)

        def chosen(text: str | None) -> None:
            if text is not None:
                self._folded = False
                self._watch(parse_words(text))

        async def name(words: Sequence[str]) -> tuple[WatchedWord, ...]:
            named = await backend.watched_words(words)
            self._told |= {word.note for word in named}
            return named

        screen.app.push_screen(WatchDialog(pane.session.watch, name), chosen)

    async def _able(self, pane: Pane) -> Backend:
        """The model of a pane, if it tells how likely any word is. Raises BadInput, Unsupported."""
        backend = pane.need_model()
        if not backend.capabilities.watch:
            await backend.watched_words(())
        return backend

    def _watch(self, words: tuple[str, ...]) -> None:
        """Have these words followed from now on, in every pane that a prompt goes to."""
        screen = self._screen
        for pane in {id(pane): pane for pane in (*screen.targets, screen.pane)}.values():
            backend = pane.runner.backend
            if not words or (backend is not None and backend.capabilities.watch):
                pane.session.watch = words
        self.follow()

    def add_token(self) -> None:
        """Follow the token under the cursor as well, or no longer."""
        self._screen.attempt_later(self._add_token, "watch")

    def add_candidate(self, candidate: Candidate) -> None:
        """Follow a candidate as well, or no longer."""
        self._screen.attempt_later(partial(self._toggle, candidate), "watch")

    async def _add_token(self) -> None:
        transcript = self._screen.pane.transcript
        view = transcript.view
        token = transcript.token_at(view.store.refs[view.cursor]) if view.cursor is not None else None
        if token is None:
            raise BadInput("There is no token under the cursor.", "Ctrl+T goes to the tokens.")
        await self._toggle(token)

    async def _toggle(self, token: Token | Candidate) -> None:
        screen, words = self._screen, self._screen.pane.session.watch
        word = word_of(token)
        if word is None:
            raise BadInput("This is no token, or nobody told which one.", "Alt+K takes any word.")
        backend = await self._able(screen.pane)
        if word in words:
            self._watch(tuple(other for other in words if other != word))
            self._say(f"{show_word(word)} is not watched any more.")
            return
        if len(words) >= MOST_WORDS:
            raise BadInput(f"{MOST_WORDS} words are watched already.", "Alt+K takes one off the list.")
        await backend.watched_words((word,))
        self._folded = False
        self._watch((*words, word))
        self._say(f"{show_word(word)} is watched.")

    def _say(self, text: str) -> None:
        self._screen.notify(display_text(text), timeout=3, markup=False)

    # -- the plot ----------------------------------------------------------------------------------------------

    def fold(self) -> None:
        """Put the plot out of the way; the words are still watched."""
        self._folded = True
        self._screen.attempt_later(self._fit, "watch plot")

    def go_to(self, at: int) -> None:
        """Put the cursor on a token of the reply whose curves are shown."""
        turn, view = self._turn(), self._screen.pane.transcript.view
        if turn is not None and (turn.id, at) in view.store.refs:
            view.move_to(view.store.refs.index((turn.id, at)))

    def follow(self) -> None:
        """Bring the plot up to date; costs nothing while there is none."""
        wanted = bool(self._screen.pane.session.watch) and not self._folded
        if wanted != (self._plot is not None):
            self._screen.attempt_later(self._fit, "watch plot", exclusive=True)
        elif self._plot is not None and self._plot.is_mounted:
            high = self._screen.size.height >= _HIGH
            self._plot.show(self._shown(), _MOST_ROWS if high else _LOW_ROWS)

    async def _fit(self) -> None:
        """Put the plot under the panes, or take it away."""
        from playground.widgets.watch_plot import WatchPlot

        wanted = bool(self._screen.pane.session.watch) and not self._folded
        plot = self._plot
        if wanted and plot is None:
            self._plot = plot = WatchPlot(id="watch")
            await self._screen.query_one("#right").mount(plot, before="#prompt")
            self.follow()
        elif not wanted and plot is not None:
            self._plot = None
            if plot.has_focus:
                self._screen.editor.focus()
            await plot.remove()

    def _turn(self) -> Turn | None:
        """The reply under the cursor, or the last one."""
        pane = self._screen.pane
        view, tree = pane.transcript.view, pane.session.transcript
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else None
        return turn if turn is not None and turn.role is Role.ASSISTANT else tree.last(Role.ASSISTANT)

    def _shown(self) -> Shown:
        pane, turn = self._screen.pane, self._turn()
        words, backend = pane.session.watch, pane.runner.backend
        if turn is None:
            return Shown(words, note=_COMES)
        watching = turn.started.watching if turn.started is not None else ()
        self._tell_notes(watching)
        view = pane.transcript.view
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        at = ref[1] if isinstance(ref, tuple) and ref[0] == turn.id else None
        recorded = Shown(words, watching, turn.tokens if watching else (), at, writing=turn.writing)
        if turn.writing or not turn.tokens:
            return recorded if watching else recorded._replace(note=_COMES)
        key = _Key(turn.id, len(turn.tokens), id(turn.tokens[-1]), words)
        if tuple(word.word for word in watching) == words and self._is_whole(key, turn):
            return recorded
        if key in self._found:
            self._asked = key
            return self._found[key]._replace(at=at)
        if backend is not None and not backend.capabilities.watch:
            return recorded._replace(note=f"{pane.name} does not tell how likely a word is.")
        if why_not(pane, turn):
            return recorded._replace(note="not watched in this reply")
        if key != self._asked:
            self._asked, self._note = key, "computing …"
            self._screen.attempt_later(partial(self._find, key, pane, turn), "watch reply", exclusive=True)
        return recorded._replace(note=self._note)

    def _is_whole(self, key: _Key, turn: Turn) -> bool:
        """True when the words were watched at each token, not only from where the reply went on."""
        if self._whole is None or self._whole[0] != key:
            self._whole = key, all(len(token.watched) == len(key.words) for token in turn.tokens)
        return self._whole[1]

    async def _find(self, key: _Key, pane: Pane, turn: Turn) -> None:
        """Have the words found in a reply that was written without them."""
        tokens, ids = list(turn.tokens), ids_of(turn.tokens)
        if ids is None or turn.prompt is None:
            self._note = "not watched in this reply"
            return
        drawn = in_force(pane.session.transcript, turn)
        request = WatchRequest(
            prompt=turn.prompt,
            reply_ids=ids,
            words=key.words,
            drawn=drawn,
            known=tuple(known_of(token) for token in tokens),
        )

        def advanced(done: int, total: int) -> None:
            if self._asked == key:
                self._note = f"computing {done / max(1, total):.0%}"
                self.follow()

        try:
            reply = await pane.need_model().watch_reply(request, advanced)
        except PlaygroundError as error:  # said where the figures would stand
            if self._asked == key:
                self._note = error.message
                self.follow()
            return
        self._tell_notes(reply.words)
        self._found[key] = Shown(key.words, reply.words, with_figures(tokens, reply.figures), None, "≈ afterwards")
        while len(self._found) > _MOST_KEPT:
            self._found.popitem(last=False)
        self.follow()

    def _tell_notes(self, watching: tuple[WatchedWord, ...]) -> None:
        """Say of words of several tokens that the first is watched; once."""
        news = [word.note for word in watching if word.note and word.note not in self._told]
        if news:
            self._told.update(news)
            self._screen.notify(display_text("\n".join(news)), title="About the watch list", markup=False)
