"""Tokens of several tokenizers wrapped together."""

from __future__ import annotations

from itertools import groupby, pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from playground.services.token_table import Split, Stretch, aligned
from playground.widgets.piece_layout import BETWEEN, PieceLayout, visible


def splits(text: str, random: Random, rows: int) -> list[Split]:
    data = text.encode("utf-8", "replace")
    found = []
    for number in range(rows):
        cuts = sorted(random.sample(range(1, len(data)), random.randint(0, len(data) - 1)))
        pieces = tuple(data[a:b] for a, b in pairwise([0, *cuts, len(data)]))
        found.append(Split(tokenizer=str(number), text_bytes=len(data), ids=tuple(range(len(pieces))), pieces=pieces))
    return found


@given(
    st.text(min_size=1, max_size=80),
    st.integers(1, 3),
    st.integers(8, 40),
    st.randoms(use_true_random=False),
)
def test_every_token_has_one_place_and_nothing_leaves_its_line(text: str, rows: int, room: int, random: Random) -> None:
    found = splits(text, random, rows)
    layout = PieceLayout(rows, room)
    for part in aligned(found):
        layout.add(part)
    for row, split in enumerate(found):
        cells = [cell for band in layout.bands for cell in band.lines[row]]
        assert [token for token, _ in groupby(cells, key=lambda cell: cell.token)] == list(range(len(split.ids)))
        for token, parts in groupby(cells, key=lambda cell: cell.token):
            assert "".join(cell.text for cell in parts) == visible(split.pieces[token])[0] + BETWEEN
        for band in layout.bands:
            assert all(a.x + a.width <= b.x for a, b in pairwise(band.lines[row]))
            assert all(cell.x + cell.width <= room for cell in band.lines[row])
        for token in range(len(split.ids)):
            place = layout.find(row, token)
            assert place is not None
            first = next(n for n, band in enumerate(layout.bands) if any(c.token == token for c in band.lines[row]))
            assert (place[0], place[1].token) == (first, token)


def test_where_all_split_the_next_tokens_begin_in_one_column() -> None:
    layout = PieceLayout(2, 40)
    layout.add(Stretch((((1, b"un"), (2, b"believ")), ((3, b"unbelie"), (4, b"v")))))
    layout.add(Stretch((((5, b"able"),), ((6, b"able"),))))
    (band,) = layout.bands
    assert {line[-1].x for line in band.lines} == {10}
    assert band.different == [(0, 10)]


def test_a_line_of_the_text_ends_a_line_of_the_screen() -> None:
    layout = PieceLayout(1, 40)
    for piece in (b"a", b"\n", b"b"):
        layout.add(Stretch((((1, piece),),)))
    assert [[cell.text for cell in band.lines[0]] for band in layout.bands] == [["a│", "↵│"], ["b│"]]
