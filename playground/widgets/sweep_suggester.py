"""Offers the rest of a parameter's range while it is typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.suggester import Suggester


class RangeSuggester(Suggester):
    """Completes the last of several words; the right arrow takes it."""

    def __init__(self, offers: Sequence[str]) -> None:
        super().__init__(use_cache=False)
        self._offers = tuple(offers)

    async def get_suggestion(self, value: str) -> str | None:
        """The value with its last word completed; None when nothing begins so."""
        word = value.rpartition(" ")[2]
        offer = next((one for one in self._offers if word and one.startswith(word) and one != word), None)
        return None if offer is None else value + offer[len(word) :]
