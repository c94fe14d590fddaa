"""History as the program uses it: one thread that writes, read connections for whoever asks.

Nothing that happens to the file may stop a reply: what cannot be kept is said once, and the program goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeVar

from playground.domain.errors import HistoryNotWritten, HistoryUnusable
from playground.services.paths import user_data_dir, user_state_dir

if TYPE_CHECKING:
    from playground.domain.history import TreeChange
    from playground.services.history_reader import HistoryReader
    from playground.services.history_store import HistoryStore

T = TypeVar("T")

_LOCKS: Final = "instances"
_PATIENCE_S: Final = 10.0
"""How long to wait before what could not be written is tried again."""
_MOST_WAITING: Final = 10_000
"""Changes that wait at most: those of hours."""


def history_path() -> Path:
    """The file history is kept in; it may not exist yet."""
    return user_data_dir() / "history.sqlite3"


class History:
    """Keeps conversations. All methods belong to one event loop; the work is done in a thread of its own."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or history_path()
        self.instance = uuid.uuid4().hex
        self.problem: HistoryUnusable | None = None
        """Why nothing is kept; None as long as all is well."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._store: HistoryStore | None = None
        self._waiting: deque[TreeChange] = deque()
        """What could not be written yet."""
        self._try_again_at = 0.0
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Open the file for writing, and hold a lock by which others can tell that this program lives.

        Raises HistoryUnusable; nothing is kept then, and `problem` says why.
        """
        try:
            await self._on_thread(self._open)
        except HistoryUnusable as error:
            self.problem = error
            raise

    def _open(self) -> None:
        from playground.services.history_store import HistoryStore

        with contextlib.suppress(OSError):  # without a lock this instance looks ended to others: nothing is lost by it
            self._lock = _hold(user_state_dir() / _LOCKS, self.instance)
        try:
            self._store = HistoryStore(self.path, self.instance)
        except BaseException:
            self._let_go()
            raise

    async def keep(self, changes: list[TreeChange]) -> bool:
        """Write changes, each in a transaction of its own. False when that failed for the first time: see `problem`.

        What cannot be written at the moment, as on a full disk, waits and is tried again; `problem` is None again once
        it was written.
        """
        if self._store is None:
            return True
        self._waiting += changes
        if not self._waiting or asyncio.get_running_loop().time() < self._try_again_at:
            return True
        said = self.problem is not None
        await self._on_thread(self._write)
        if isinstance(self.problem, HistoryNotWritten):
            self._try_again_at = asyncio.get_running_loop().time() + _PATIENCE_S
        return said or self.problem is None

    def _write(self) -> None:
        store = self._store
        while store is not None and self._waiting:
            try:
                store.apply(self._waiting[0])
            except HistoryNotWritten as error:
                self.problem = error
                while len(self._waiting) > _MOST_WAITING:
                    self._waiting.popleft()
                return
            except HistoryUnusable as error:  # it would fail again; those behind it may not
                self.problem = error
            self._waiting.popleft()
        if isinstance(self.problem, HistoryNotWritten):
            self.problem = None

    async def change(self, work: Callable[[HistoryStore], T]) -> T:
        """Do something to the entries. Raises HistoryUnusable, also when nothing is kept."""
        if self._store is None:
            raise self.problem or HistoryUnusable(
                "No history is kept.", "Private mode is on, or its file cannot be used."
            )
        return await self._on_thread(lambda: work(self._need_store()))

    def _need_store(self) -> HistoryStore:
        assert self._store is not None, "it was there when the work was handed over"
        return self._store

    async def read(self, work: Callable[[HistoryReader], T]) -> T:
        """Look something up, beside whatever is being written. Raises HistoryUnusable, and what `work` raises."""
        return await asyncio.to_thread(read_history, self.path, work)

    async def left_open(self) -> list[str]:
        """Conversations, by their uid, whose program ended in the middle of a reply; the newest first."""
        left = await self.read(lambda reader: reader.unfinished())
        return [uid for uid, instance in left if instance != self.instance and not is_alive(instance)]

    async def close(self) -> None:
        """Finish writing and let go of the file."""
        await self._on_thread(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._write()
        store, self._store = self._store, None
        if store is not None:
            store.close()
        self._let_go()

    def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(lock.name)
            lock.close()

    def _on_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


def read_history(path: Path, work: Callable[[HistoryReader], T]) -> T:
    """Open the file for reading, look something up, and close it. Raises HistoryUnusable, and what `work` raises."""
    from playground.services.history_reader import HistoryReader

    reader = HistoryReader(path)
    try:
        return work(reader)
    finally:
        reader.close()


def _hold(folder: Path, instance: str) -> IO[str]:
    """Lock a file of this name, and clear away those that crashes left behind. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{instance}.lock"
    while True:
        lock = path.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another instance may have taken it for one left behind, in the moment before it was locked.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                break
        lock.close()
    for other in folder.glob("*.lock"):
        if other != path:
            is_alive(other.stem)
    return lock


def is_alive(instance: str) -> bool:
    """True while the program that writes under this name runs, on this machine."""
    path = user_state_dir() / _LOCKS / f"{instance}.lock"
    try:
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError):
        path.unlink()
    return False
