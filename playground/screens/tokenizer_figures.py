"""What is said about tokens: their counts with costs, and the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, overload

from textual.content import Content

from playground.domain.display import display_line, visible_piece
from playground.domain.pieces import Shared, is_whole, shared_characters
from playground.domain.prices import usd_text
from playground.services.token_costs import Bill
from playground.services.token_table import Split
from playground.widgets.bars import UNKNOWN
from playground.widgets.token_list import Row
from playground.widgets.tokenizer_counts import CountLine

_MOST_BYTES: Final = 16
"""Bytes of a token that are told one by one."""


def count_lines(
    splits: Sequence[Split], windows: Sequence[int | None], bills: Callable[[Split], Sequence[Bill]]
) -> list[CountLine]:
    """A line for each tokenizer, and one for each further model that counts with it.

    Args:
        splits: The text under each, those of local models first.
        windows: Context windows of the local models, in tokens.
        bills: What the text costs where others count with a tokenizer.
    """
    lines = []
    for place, split in enumerate(splits):
        name = display_line(split.tokenizer)
        if split.problem:
            lines.append(CountLine(name, note=display_line(split.problem)))
            continue
        line = CountLine(
            name,
            tokens=f"{len(split.ids):,}",
            per_token=UNKNOWN if split.bytes_per_token is None else f"{split.bytes_per_token:.2f}",
            broken=f"{split.broken:,}",
        )
        if place < len(windows):
            window = _window(len(split.ids), windows[place])
            lines.append(line._replace(as_prompt="free", as_reply="free", window=window))
            continue
        found = [_priced(bill) for bill in bills(split)]
        first = found[0] if found else CountLine("")
        lines.append(line._replace(model=first.model, **{key: getattr(first, key) for key in _PRICED}))
        lines += found[1:]
    return lines


_PRICED: Final = ("as_prompt", "as_reply", "window")


def _priced(bill: Bill) -> CountLine:
    about = "" if bill.exact else "≈"
    return CountLine(
        "",
        display_line(bill.model),
        tokens=f"{about}{bill.tokens:,}",
        as_prompt=_money(bill.as_prompt),
        as_reply=_money(bill.as_reply),
        window=_window(bill.tokens, bill.window, about),
    )


def _money(usd: float | None) -> str:
    return UNKNOWN if usd is None else usd_text(usd)


def _window(tokens: int, window: int | None, about: str = "") -> str:
    if not window:
        return UNKNOWN
    share = tokens / window
    shown = f"{about}{share:.1%}" if share >= 0.001 or not tokens else "<0.1%"
    return f"{shown} of {window:,}"


class ListedTokens(Sequence[Row]):
    """The tokens of one tokenizer as rows of a list, each made when it is drawn: a long text has many thousand."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split.ids)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        token, piece = self._split.ids[place], self._split.pieces[place]
        return Row(token, piece, token in self._split.special, not is_whole(piece))


def about_token(split: Split, token: int) -> Content:
    """Id, bytes and piece of a token, and what is odd about it."""
    piece = split.pieces[token]
    shown = " ".join(f"{byte:02X}" for byte in piece[:_MOST_BYTES]) + (" …" if len(piece) > _MOST_BYTES else "")
    size = "1 byte" if len(piece) == 1 else f"{len(piece):,} bytes"
    head = Content.assemble(
        (f"{visible_piece(piece)} ", "bold"),
        f" id {split.ids[token]} · {size}: {shown} · token {token + 1:,} of {len(split.ids):,}, ",
        (display_line(split.tokenizer), "$foreground 70%"),
    )
    return Content.assemble(head, "\n", (_oddity(split, token), "$warning"))


def _oddity(split: Split, token: int) -> str:
    piece = split.pieces[token]
    if split.ids[token] in split.special:
        return "A control token: to the model no text but a sign, of which these letters are only the name."
    if not is_whole(piece):
        parts = [_part(one) for one in shared_characters(split.pieces, token)]
        return f"Half a character: {' and '.join(parts)}." if parts else "Bytes that are no character."
    if len(piece) > 1 and piece[:1] == b" " and piece.strip():
        return "Begins with its space: without it, the same word is another token."
    return ""


def _part(one: Shared) -> str:
    which = f"byte {one.first}" if one.first == one.last else f"bytes {one.first} to {one.last}"
    return f"{which} of the {one.size} of {display_line(one.character) or 'an invisible one'}"
