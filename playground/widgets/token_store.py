"""The items of a transcript: what a token view knows besides where things stand on the screen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple


class Item(NamedTuple):
    """A piece of a transcript: mostly a token, sometimes a heading, a person's text or a mark."""

    text: str
    """As it came, not made safe; the view does that. Empty for a token that is half a character."""
    style: int
    """Index into the view's palette, 0 to 255."""
    ref: Hashable | None = None
    """What the owner knows the token by. None: not a token; cursor and mouse pass over it."""
    copy: str | None = None
    """What stands for it in copied text: None is `text` itself, "" leaves it out."""


class TokenStore:
    """Items in columns, which is a fraction of the memory of an object each."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.styles = bytearray()
        self.refs: list[Hashable | None] = []
        # Nearly every item is copied as it stands, so only the others are kept.
        self._copies: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def append(self, item: Item) -> int:
        """Add an item and return its index; ValueError when its style is not in 0 to 255."""
        text, style, ref, copy = item
        index = len(self.texts)
        self.styles.append(style)
        self.texts.append(text)
        self.refs.append(ref)
        if copy is not None:
            self._copies[index] = copy
        return index

    def truncate(self, count: int) -> None:
        """Drop every item from index `count` on."""
        del self.texts[count:], self.styles[count:], self.refs[count:]
        while self._copies and next(reversed(self._copies)) >= count:  # they came in the order of their indexes
            self._copies.popitem()

    def restyle(self, start: int, styles: Sequence[int]) -> None:
        """New styles for the items from `start` on; ValueError when they reach past the end."""
        if not 0 <= start <= start + len(styles) <= len(self):
            raise ValueError(f"styles for items {start} to {start + len(styles)}, but there are {len(self)}")
        self.styles[start : start + len(styles)] = bytes(styles)

    def token_near(self, index: int, step: int) -> int | None:
        """First token at `index` or beyond it in the direction of `step` (1 or -1); None when there is none."""
        while 0 <= index < len(self.refs):
            if self.refs[index] is not None:
                return index
            index += step
        return None

    def copied(self, indexes: Iterable[int]) -> str:
        """Original text of some items, without what stands on the screen but is not text."""
        return "".join(self._copies.get(index, self.texts[index]) for index in indexes)
