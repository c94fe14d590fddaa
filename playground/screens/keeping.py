"""Keeps every conversation on screen as it grows, off the way of the frames; or, in private mode, none of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from playground.domain.display import display_text
from playground.domain.errors import HistoryUnusable
from playground.screens.circumstances import Circumstances, prompt_ids

if TYPE_CHECKING:
    from playground.domain.history import Setting, TreeChange
    from playground.domain.transcript import Transcript, Turn
    from playground.screens.kept_tree import KeptTree
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen
    from playground.services.history import History

_SECONDS: Final = 0.8
"""How often is looked what is new: with the time that writing takes, a crash costs a second at most."""
_STOP_S: Final = 1.0
"""How long a model has, at the end of the program, to end its replies."""
_CLOSE_S: Final = 3.0
"""How long a slow disk has then; what it has not taken is still in the write-ahead log, or lost."""
PRIVATE: Final = "private: nothing is kept"


class Keeping:
    """Follows all panes of a screen. All methods belong to its event loop."""

    def __init__(self, screen: TokenScreen, *, private: bool) -> None:
        self._screen = screen
        self.private = private
        """True while nothing that is said is kept."""
        self.history: History | None = None
        """The file; None until it was looked for."""
        self._trees: list[KeptTree] = []
        self._opening: asyncio.Task[bool] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._circumstances = Circumstances()
        self._again = False
        """True when something became new while the last change was being written."""
        self._ended = False

    # -- opening and closing -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Open the history behind the screen, and ask about what a crash has left open. After the first paint."""
        self._screen.set_interval(_SECONDS, self.look)
        if not self.private:
            self._screen.attempt_later(self._begin, "history")

    async def _begin(self) -> None:
        if await self.ready():
            from playground.screens.history_open import offer_left_open

            await offer_left_open(self._screen, self)

    async def ready(self) -> bool:
        """Wait until the file is open for writing; False when it cannot be used, which is said once."""
        if self._opening is None and not self._ended:
            self._opening = asyncio.create_task(self._open(), name="open history")
        return self._opening is not None and await asyncio.shield(self._opening)

    async def _open(self) -> bool:
        history = self.file()
        try:
            await asyncio.to_thread(_import)
            await history.open()
        except HistoryUnusable as error:
            self._tell(error)
            return False
        return True

    def file(self) -> History:
        """The history, for whoever wants to read in it; it may not exist yet, or not be open for writing."""
        if self.history is None:
            from playground.services.history import History

            self.history = History()
        return self.history

    @property
    def _open_now(self) -> bool:
        return self._opening is not None and self._opening.done() and self._opening.result()

    async def end_replies(self) -> None:
        """Before the models go: replies end as when a person stops them, so that they are kept as such."""
        busy = [pane for pane in self._screen.all_panes if pane.session.busy] if self._screen.furnished else []
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(pane.end_reply() for pane in busy)), _STOP_S)

    async def end(self) -> None:
        """Write the last change and close the file."""
        if self._ended:
            return
        self._ended = True
        if self._opening is None or self.history is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._close(self.history), _CLOSE_S)

    async def _close(self, history: History) -> None:
        if self._opening is not None and await self._opening:
            await self.keep()
        await history.close()

    # -- writing -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Write what is new; while the last change is still being written, right after it."""
        if self._writing is not None and not self._writing.done():
            self._again = True
            return
        self._again = False
        if self._open_now and not self.private and not self._ended:
            if self._writing is not None:
                self._writing.result()  # what went wrong in it must not go unseen
            self._learn()
            changes = self._take()
            if changes:
                self._writing = asyncio.create_task(self._write(changes), name="keep history")
                self._writing.add_done_callback(self._written)

    def _written(self, _task: asyncio.Task[None]) -> None:
        if self._again:
            self.look()

    async def keep(self) -> None:
        """Write what is new, and wait until it is written."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
        if self._open_now and not self.private:
            await self._write(self._take())

    def _learn(self) -> None:
        """Find out about models, one after the other, their hashes while nothing is written; and about prompts."""
        panes = self._screen.all_panes
        learning = self._circumstances.next(panes, quiet=not any(pane.session.busy for pane in panes))
        if learning is not None:
            self._screen.attempt_later(partial(self._learned, learning), "history model")
        for pane in panes:
            tree, card = self.tree_of(pane), pane.card
            if tree is None or card is None or pane.session.busy:
                continue
            if replies := tree.unknown_prompts(card.short_name):
                self._screen.attempt_later(partial(self._learn_prompts, tree, pane, replies), "history prompt")

    async def _learn_prompts(self, tree: KeptTree, pane: Pane, replies: list[Turn]) -> None:
        for reply in replies:
            tree.learn_prompt(reply, await prompt_ids(pane, reply))

    async def _learned(self, learning: Awaitable[Callable[[Setting], Setting]]) -> None:
        more = await learning
        for tree in self._trees:
            tree.learn(more)

    async def _write(self, changes: list[TreeChange]) -> None:
        assert self.history is not None, "it is open"
        if changes and not await self.history.keep(changes) and self.history.problem is not None:
            self._tell(self.history.problem)

    def _take(self) -> list[TreeChange]:
        """What is new in all conversations. Those that nobody looks at any more are let go of."""
        settings = self._settings()
        changes = []
        for tree in self._followed():
            panes = self._panes_of(tree)
            change = tree.take(panes, settings)
            if change is not None:
                changes.append(change)
            if not panes and not tree.writing:
                self._trees.remove(tree)
        return changes

    def _followed(self) -> list[KeptTree]:
        """All conversations on screen, and those whose last pane was closed since the last look."""
        from playground.screens.kept_tree import KeptTree
        from playground.services.history_recorder import Recorder

        for pane in self._screen.all_panes:
            if self.tree_of(pane) is None and pane.session.transcript.turns:
                self._trees.append(KeptTree(Recorder(), pane.session))
        return list(self._trees)

    def _panes_of(self, tree: KeptTree) -> list[Pane]:
        """Those that look at a conversation, the active one first."""
        panes = [pane for pane in self._screen.all_panes if tree.seen_by(pane.session)]
        return sorted(panes, key=lambda pane: pane is not self._screen.pane)

    def _settings(self) -> Mapping[Pane, Setting]:
        return {pane: self._circumstances.of(pane) for pane in self._screen.all_panes}

    # -- conversations -----------------------------------------------------------------------------------------

    def tree_of(self, pane: Pane) -> KeptTree | None:
        """The conversation that a pane looks at; None as long as nothing of it was kept."""
        return next((tree for tree in self._trees if tree.seen_by(pane.session)), None)

    def shown(self, uid: str) -> Transcript | None:
        """The tree of a conversation that is on screen already; None when it is not."""
        return next((tree.tree for tree in self._trees if tree.uid == uid and self._panes_of(tree)), None)

    def follow(self, tree: KeptTree) -> None:
        """Go on keeping a conversation that was opened from the history, under its own name."""
        self._trees.append(tree)

    def holds(self, pane: Pane) -> bool:
        """True when everything that was said in a pane is in the history."""
        tree, said = self.tree_of(pane), pane.session.transcript.turns
        if not said:
            return True
        well = self._open_now and self.history is not None and self.history.problem is None
        return well and not self.private and tree is not None and not any(map(tree.is_private, said.values()))

    # -- private mode ------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Keep nothing from now on; or keep again, without what was said meanwhile."""
        self._screen.attempt_later(self._toggle, "history switch")

    async def _toggle(self) -> None:
        if self.private:
            await asyncio.to_thread(_import)
            settings = self._settings()
            for tree in self._followed():
                tree.leave_out(self._panes_of(tree), settings)
            self.private = False
            if await self.ready():
                self._say("Replies are kept in the history again; what was said meanwhile is not.")
        else:
            await self.keep()
            self.private = True
            if self._open_now and self.history is not None:
                for uid in [tree.uid for tree in self._trees if tree.writing]:  # no crash leaves these to be rescued
                    await self.history.change(lambda store, uid=uid: store.set_ended(uid))  # type: ignore[misc]
            self._say("Private: what is said from now on is not kept.")
        self._screen.show_editing()

    def _say(self, text: str) -> None:
        self._screen.notify(text, timeout=3)

    def _tell(self, error: HistoryUnusable) -> None:
        text, title = display_text(error.hint), display_text(error.message)
        self._screen.notify(text, title=title, severity="warning", timeout=10, markup=False)


def _import() -> None:
    """What writing needs; in a thread, because it takes a while."""
    import playground.services.history_recorder
    import playground.services.history_store

    del playground
