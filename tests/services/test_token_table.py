"""Questions about vocabularies one after another, and the characters that tokens break."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.domain.errors import ModelFileError, RunFailed
from playground.domain.pieces import Shared, is_whole, shared_characters
from playground.engine.probe import TokensWanted
from playground.services.probing import Prober
from playground.services.token_table import Split, partition, split_by_model


async def test_a_process_that_stays_answers_what_one_of_its_own_would(starter_gguf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    prober = Prober()
    try:
        for text in ("strawberry", "", "日本 🙂<|im_end|>" * 400):
            alone = await split_by_model(starter_gguf, text, special=True)
            assert await split_by_model(starter_gguf, text, special=True, ask=prober.tokens) == alone
        with pytest.raises(ModelFileError):
            await prober.tokens(TokensWanted(str(broken), "a"))
        assert (await prober.tokens(TokensWanted(str(starter_gguf), "a"))).pieces == (b"a",)
    finally:
        await prober.close()


async def test_the_newest_question_is_answered_right_behind_what_is_under_way(starter_gguf: Path) -> None:
    prober = Prober()
    try:
        asked = []
        for number in range(30):
            question = TokensWanted(str(starter_gguf), f"question {number} " * 2000)
            asked.append(asyncio.create_task(prober.tokens(question)))
            await asyncio.sleep(0)
            if number:
                asked[number - 1].cancel()
        found = await asked[-1]
        assert b"".join(found.pieces[:5]).startswith(b"question 29")
        assert all(task.cancelled() for task in asked[:-1])
    finally:
        await prober.close()


async def test_a_file_on_which_the_process_breaks_is_not_tried_again_and_others_are(
    starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from playground.services import probing

    code = "import sys; sys.stdin.buffer.read(4); sys.exit(3)"
    monkeypatch.setattr(probing, "_COMMAND", (sys.executable, "-c", code))
    prober, bad = Prober(), TokensWanted(str(tmp_path / "bad.gguf"), "a")
    with pytest.raises(RunFailed):
        await prober.tokens(bad)
    monkeypatch.undo()
    with pytest.raises(RunFailed):
        await prober.tokens(bad)
    assert (await prober.tokens(TokensWanted(str(starter_gguf), "a"))).ids
    await prober.close()


def test_pieces_that_are_the_texts_own_bytes_go_side_by_side_and_others_do_not() -> None:
    def made(*pieces: bytes) -> Split:
        return Split(tokenizer="t", text_bytes=3, ids=tuple(range(len(pieces))), pieces=pieces)

    same, spaced, lost, none = made(b"a", b" b"), made(b" a", b" b"), made(b"a", b"b"), made()
    other, long = made(b"a", b" c"), made(b"-a", b" b")
    assert partition([lost, same, none, spaced, other, long], "a b") == ([same, spaced], [lost, other, long])


def test_a_part_of_a_character_is_told_with_the_character() -> None:
    pieces = [b"a", b"\xf0\x9f", b"\x99", b"\x82b", b"\xe6\x97\xa5"]
    assert [is_whole(piece) for piece in pieces] == [True, False, False, False, True]
    assert shared_characters(pieces, 1) == [Shared("🙂", 1, 2, 4)]
    assert shared_characters(pieces, 2) == [Shared("🙂", 3, 3, 4)]
    assert shared_characters(pieces, 3) == [Shared("🙂", 4, 4, 4)]
    assert shared_characters(pieces, 0) == shared_characters(pieces, 4) == []
    assert shared_characters([b"\xff", b"\x80"], 1) == [], "bytes of no character"


@given(st.text(min_size=1, max_size=12), st.data())
def test_every_broken_character_is_found_from_each_of_its_parts(text: str, data: st.DataObject) -> None:
    raw = text.encode("utf-8", "replace")
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(raw) - 1)))))
    edges = sorted({0, *(cut for cut in cuts if cut < len(raw)), len(raw)})
    pieces = [raw[a:b] for a, b in pairwise(edges)]
    for index, piece in enumerate(pieces):
        shared = shared_characters(pieces, index)
        assert bool(shared) == (not is_whole(piece))
        for one in shared:
            assert one.character in text.encode("utf-8", "replace").decode()
            assert one.character.encode()[one.first - 1 : one.last] in piece
