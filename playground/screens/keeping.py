"""Keeps every conversation on screen as it grows, off the way of the frames; or, in private mode, none of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from playground.domain.errors import HistoryUnusable
from playground.screens.kept_trees import KeptTrees
from playground.screens.notices import tell_loss
from playground.services.history_keeping import LOOK_S, import_writing

if TYPE_CHECKING:
    from playground.domain.history import TreeChange
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen
    from playground.services.history import History

_STOP_S: Final = 1.0
"""How long a model has, at the end of the program, to end its replies."""
_CLOSE_S: Final = 3.0
"""How long a slow disk has then; what it has not taken is still in the write-ahead log, or lost."""
PRIVATE: Final = "private: nothing is kept"
UNKEPT: Final = "this conversation is not kept"


class Keeping:
    """Follows all panes of a screen. All methods belong to its event loop."""

    def __init__(self, screen: TokenScreen, *, private: bool) -> None:
        self._screen = screen
        self.private = private
        """True while nothing that is said is kept."""
        self.history: History | None = None
        """The file; None until it was looked for."""
        self.trees = KeptTrees(screen)
        self._opening: asyncio.Task[bool] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._again = False
        """True when something became new while the last change was being written."""
        self._ended = False

    # -- opening and closing -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Open the history behind the screen, and ask about what a crash has left open. After the first paint."""
        self._screen.set_interval(LOOK_S, self.look)
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
            await asyncio.to_thread(import_writing)
            await history.open()
        except HistoryUnusable as error:
            tell_loss(self._screen, error)
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
            await self.trees.models.end(0.0)
            await self.keep()  # what was found out meanwhile
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
            self.trees.learn()
            changes = self.trees.take()
            if changes or self.trees.models.owing:
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
            await self._write(self.trees.take())

    async def _write(self, changes: list[TreeChange]) -> None:
        assert self.history is not None, "it is open"
        if changes and not await self.history.keep(changes) and self.history.problem is not None:
            tell_loss(self._screen, self.history.problem)
        await self.trees.models.put_hashes(self.history)

    def holds(self, pane: Pane) -> bool:
        """True when everything that was said in a pane is in the history."""
        tree, said = self.trees.of(pane), pane.session.transcript.turns
        if not said:
            return True
        well = self._open_now and self.history is not None and self.history.problem is None
        return well and not self.private and tree is not None and not any(map(tree.is_private, said.values()))

    def leaves_out(self, pane: Pane) -> bool:
        """True when what is said next in a pane is not kept: something before it was said in private."""
        tree = self.trees.of(pane)
        return tree is not None and tree.goes_on_private(pane.session.transcript.head)

    # -- private mode ------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Keep nothing from now on; or keep again, without what was said meanwhile."""
        self._screen.attempt_later(self._toggle, "history switch")

    async def _toggle(self) -> None:
        if self.private:
            await asyncio.to_thread(import_writing)
            self.trees.leave_out()
            self.private = False
            if await self.ready():
                self._say_kept_again()
        else:
            await self.keep()
            self.private = True
            if self._open_now and self.history is not None:
                for uid in self.trees.being_written():  # no crash leaves these to be rescued
                    await self.history.change(lambda store, uid=uid: store.set_ended(uid))  # type: ignore[misc]
            self._say("Private: what is said from now on is not kept.")
        self._screen.show_editing()

    def _say_kept_again(self) -> None:
        if self.leaves_out(self._screen.pane):
            self._say(
                "Replies are kept in the history again, but this conversation goes on unkept: what was said in private "
                "is sent along. Ctrl+N begins one that is kept.",
                seconds=8,
            )
        else:
            self._say("Replies are kept in the history again; what was said meanwhile is not.")

    def _say(self, text: str, seconds: float = 3) -> None:
        self._screen.notify(text, timeout=seconds)
