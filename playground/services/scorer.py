"""Scores a text under one model of the pool, and once more under another beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec import structs

from playground.backends.base import Backend
from playground.backends.local import LocalBackend
from playground.domain.errors import Unsupported
from playground.domain.models import ModelCard
from playground.domain.score_texts import ScoreText, plain_text
from playground.domain.scoring import Score, ScoreComparison, ScoreRequest, compare_scores
from playground.services.model_pool import ModelPool
from playground.services.score_rows import MOST_BYTES, UNASKED_BYTES, KeptRows
from playground.services.score_views import View, exactly, other_options, other_views, score_alike

Telling = Callable[[str, float], None]
"""Takes what is being done, and how much of it is done, 0 to 1."""


class Second(NamedTuple):
    """A second view of the text."""

    name: str
    score: Score
    comparison: ScoreComparison | None
    """None when the second model splits the text into other tokens."""
    names: tuple[str, str]
    """What tells the two apart."""


class Scorer:
    """Holds the models it opened until it is closed. All methods belong to one event loop."""

    def __init__(self, pool: ModelPool, text: ScoreText, tell: Telling) -> None:
        self._pool = pool
        self._text = text
        self._tell = tell
        self._open: list[Backend] = []
        self._first: Backend | None = None
        self._exact: ScoreRequest | None = None
        self._rows = KeptRows()
        self._asked = False
        """The distributions were kept, or not, with all the room that they may take."""
        self._name = ""
        self._alone = False
        self._most = 0
        self.score: Score | None = None
        """What the first model found."""

    @property
    def context(self) -> int | None:
        """Context window of the first model in tokens; None before it is there."""
        return self._first.card.n_ctx if self._first is not None else None

    @property
    def has_prompt(self) -> bool:
        """True when something is read before the text that is scored."""
        return self._text.turn is not None and not self._alone

    def shorten(self, *, alone: bool = False, most: int = 0) -> None:
        """Score less of it: without what stands before it, or only the first `most` tokens."""
        self._alone, self._most = alone or self._alone, most

    @property
    def card(self) -> ModelCard | None:
        """The first model; None until it is opened."""
        return None if self._first is None else self._first.card

    async def first(self, view: View, *, compare: bool = False) -> Score:
        """Score the text.

        Args:
            view: The model that looks at it.
            compare: There will be a second view. Without, the distributions are kept where they take little room.

        Raises:
            PlaygroundError: what `ModelPool.open` and `Backend.score` raise.
        """
        if self._first is None:
            self._first = await self._opened(view)
        request, backend = self._request(self._first), self._first
        self._name, self._asked = view.name, compare
        score = await self._keeping(request, MOST_BYTES if compare else UNASKED_BYTES)
        self._exact = await exactly(backend, request, score)
        self.score = score
        return score

    async def _keeping(self, request: ScoreRequest, most_bytes: int) -> Score:
        """Score under the first model, which leaves its distributions for a second one if it can."""
        assert self._first is not None
        with_rows = await self._rows.wanted(request, most_bytes)
        return self._rows.found(await self._first.score(with_rows, self._computing(self._name)))

    async def _keep_more(self) -> None:
        """Read the text once more if its distributions were too large to be kept unasked."""
        assert self._exact is not None
        assert self.score is not None
        if self._rows.why_not and not self._asked:
            again = await self._keeping(self._exact, MOST_BYTES)
            self._asked = True
            self.score = structs.replace(self.score, no_rows=again.no_rows)

    def others(self, panes: Iterable[View]) -> list[View]:
        """What the text can be looked at with besides, once it is scored."""
        if not isinstance(self._first, LocalBackend) or self._first.info is None or self._exact is None:
            return []
        return other_views(self._first.info, panes, self._pool.settings.load, len(self._exact.ids))

    async def second(self, view: View) -> Second:
        """Score the same under another model, or under the same one loaded in another way.

        Raises:
            PlaygroundError: as `first` does.
        """
        assert self._first is not None
        assert self._exact is not None
        await self._keep_more()
        assert self.score is not None
        if view.options is None and not view.place:  # a file that nobody has opened yet
            view = view._replace(options=other_options(self._pool.settings.load, len(self._exact.ids)))
        backend = await self._opened(view)
        try:
            exact = structs.replace(self._exact, against=self._rows.path)
            score, same = await score_alike(
                self._first, exact, backend, self._request(backend), self._computing(view.name)
            )
        finally:
            if backend is not self._first:
                self._open.remove(backend)
                await self._pool.close(backend)
        comparison = compare_scores(self.score, score) if same else None
        return Second(view.name, score, comparison, self._names(view, backend))

    async def close(self) -> None:
        """Give the models back, and the room on the disk."""
        try:
            while self._open:
                await self._pool.close(self._open.pop())
        finally:
            await self._rows.remove()

    def _request(self, backend: Backend) -> ScoreRequest:
        name = backend.card.short_name
        request = plain_text(self._text.text) if self._alone else self._text.request(name)
        return structs.replace(request, most=self._most)

    async def _opened(self, view: View) -> Backend:
        backend = await self._pool.open(
            view.ref, lambda share: self._tell(f"loading {view.name}", share), options=view.options
        )
        self._open.append(backend)
        if not backend.capabilities.score:
            raise Unsupported(f"{view.name} does not score texts.", backend.capabilities.why_not("score"))
        return backend

    def _computing(self, name: str) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            self._tell(f"{name} reads: {done:,} of {total:,} tokens", done / max(1, total))

        self._tell(f"{name} reads", 0.0)
        return tell

    def _names(self, view: View, backend: Backend) -> tuple[str, str]:
        """What to write over two columns: the models, or what is different about how they are loaded."""
        first = self._first
        if isinstance(first, LocalBackend) and isinstance(backend, LocalBackend) and first.info and backend.info:
            if first.info.path == backend.info.path:
                return f"KV {first.info.kv_type}", f"KV {backend.info.kv_type}"
            return first.info.short_name, backend.info.short_name
        return "first", view.name
