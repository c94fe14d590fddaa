"""`llm-playground tokens`: a text under several tokenizers, side by side."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.services.token_table import Split, _parts, aligned, can_align
from tests.cli.support import run, start
from tests.services.test_counting import cached, vocabulary

MIXED = "unbelievable, isn't it?\n\tÜnï 🙂 日本語 12345 <|im_end|>"


@pytest.fixture(autouse=True)
def no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own is found, unless a test brings it."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "nothing"))


@pytest.fixture
def tiktoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both vocabularies, where tiktoken keeps them."""
    folder = tmp_path / "tiktoken"
    folder.mkdir()
    for name in ("o200k_base", "cl100k_base"):
        cached(folder, name, vocabulary(name))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
def test_the_pieces_of_each_tokenizer_are_the_text() -> None:
    done = run("tokens", MIXED, "--json", "--offline")
    assert (done.status, done.err) == (0, "")
    assert [one["tokenizer"] for one in done.objects] == ["SmolLM2-135M-Instruct.Q4_1", "o200k_base", "cl100k_base"]
    for one in done.objects:
        assert b"".join(bytes(piece["bytes"]) for piece in one["pieces"]) == MIXED.encode()
        assert one["tokens"] == len(one["pieces"])
        assert one["bytes_per_token"] == pytest.approx(len(MIXED.encode()) / one["tokens"])
    assert [piece["id"] for piece in done.objects[1]["pieces"]][:3] == [373, 9880, 45794]


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
def test_a_line_is_marked_where_the_tokenizers_differ() -> None:
    done = run("tokens", "unbelievable, isn't it", "--offline")
    table, _, totals = done.out.partition("\n\n")
    rows = table.splitlines()[1:]
    assert rows[0].split() == ["un", "419", "un", "373", "un", "359"]
    assert rows[1].split() == ["≠", "belie", "23282", "bel", "9880", "belie", "32898"]
    assert rows[2].split() == ["≠", "vable", "16275", "ievable", "45794", "vable", "24694"]
    assert rows[3].split() == [",", "28", ",", "11", ",", "11"]
    assert rows[-1].split() == ["·it", "357", "·it", "480", "·it", "433"]
    assert [line.split()[1] for line in totals.splitlines()[1:4]] == ["7", "6", "7"]


@pytest.mark.usefixtures("starter_gguf")
def test_a_vocabulary_that_is_not_there_is_said_and_no_error() -> None:
    done = run("tokens", "Hello", "--offline")
    assert done.status == 0
    assert done.err.count("This vocabulary is not on this machine") == 2
    assert "SmolLM2" in done.out
    (only,) = run("tokens", "Hello", "--only-models", "--json").objects
    assert (only["tokens"], only["pieces"][0]["id"]) == (1, 19556)


@pytest.mark.usefixtures("starter_gguf")
def test_names_of_control_tokens_are_text_unless_asked_otherwise() -> None:
    (plain,) = run("tokens", "<|im_end|>", "--only-models", "--json").objects
    (special,) = run("tokens", "<|im_end|>", "--only-models", "--special", "--json").objects
    assert plain["tokens"] > 1
    assert [piece["id"] for piece in special["pieces"]] == [2]


def test_several_models_and_one_whose_pieces_carry_a_space_of_their_own(
    starter_gguf: Path, tiny_models: object
) -> None:
    assert callable(tiny_models)
    tiny = str(tiny_models("chat"))
    done = run("tokens", "the water", "-m", str(starter_gguf), "-m", tiny, "--only-models", "--json")
    assert [one["tokenizer"] for one in done.objects] == ["SmolLM2-135M-Instruct.Q4_1", "chat"]
    table = run("tokens", "the water", "-m", str(starter_gguf), "-m", tiny, "--only-models")
    assert table.status == 0
    assert "chat" in table.out


def test_stretches_end_where_all_tokenizers_split() -> None:
    text = "ab cd"
    pieces = {"one": (b"ab", b" c", b"d"), "two": (b" a", b"b", b" cd"), "three": (b"ab", b" cd")}
    splits = [
        Split(tokenizer=name, text_bytes=len(text), ids=tuple(range(len(own))), pieces=own)
        for name, own in pieces.items()
    ]
    assert all(can_align(split, text) for split in splits), "a space that a tokenizer puts in front does not matter"
    first, second = aligned(splits)
    assert first.cells == (((0, b"ab"),), ((0, b" a"), (1, b"b")), ((0, b"ab"),))
    assert second.cells == (((1, b" c"), (2, b"d")), ((2, b" cd"),), ((1, b" cd"),))
    assert not first.same
    assert next(aligned(splits[::2])).same
    lower = Split(tokenizer="lower", text_bytes=2, ids=(1,), pieces=(b"ab",))
    assert not can_align(lower, "AB")


@given(st.text(min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_however_a_text_is_split_nothing_is_lost_and_ends_are_common(text: str, random: Random) -> None:
    data = text.encode("utf-8", "replace")
    splits = []
    for name in ("one", "two", "three"):
        cuts = sorted(random.sample(range(1, len(data)), random.randint(0, len(data) - 1)))
        pieces = tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))
        splits.append(Split(tokenizer=name, text_bytes=len(data), ids=tuple(range(len(pieces))), pieces=pieces))
    stretches = list(aligned(splits))
    for at, split in enumerate(splits):
        assert tuple(piece for stretch in stretches for _, piece in stretch.cells[at]) == split.pieces
    common = set.intersection(*(set(accumulate(map(len, split.pieces))) for split in splits))
    assert len(stretches) == len(common), "each is as short as can be"
    for stretch in stretches:
        assert len({b"".join(piece for _, piece in cell) for cell in stretch.cells}) == 1


def test_a_large_text_is_cut_for_tiktoken_only_where_it_would_split_anyway() -> None:
    text = "The quick brown fox, isn't it?\nAnd so on 123456.\n\n" * 1_000
    parts = list(_parts(text))
    assert "".join(parts) == text
    assert len(parts) > 4
    assert all(part.endswith("\n") and after[0] in "TA" for part, after in pairwise(parts))


@pytest.mark.usefixtures("starter_gguf")
def test_who_reads_no_further_is_not_told_about_it() -> None:
    process = start("tokens", "word " * 20_000, "--only-models")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(30)


@pytest.mark.usefixtures("starter_gguf")
def test_an_argument_that_names_a_file_is_read_as_one(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("Hello")
    plain = ("--only-models", "--json")
    assert run("tokens", str(file), *plain).objects[0]["tokens"] == 1
    assert run("tokens", str(file), "--text", *plain).objects[0]["bytes"] == len(str(file).encode())
    assert run("tokens", "-", *plain, stdin=b"Hello").objects[0]["pieces"][0]["id"] == 19556


@pytest.mark.usefixtures("starter_gguf")
def test_what_looks_like_a_file_that_is_not_there_is_told_to_be_taken_for_text(tmp_path: Path) -> None:
    for name in ("nosuchfile.txt", str(tmp_path), "notes/today"):
        done = run("tokens", name, "--only-models")
        assert done.status == 0
        assert f"There is no file '{name}', so it was taken for the text itself" in done.error
        assert run("tokens", name, "--only-models", "--text").err == ""
    for text in ("</s>", "3.14", "Hello.", "Read a.txt or b/c."):
        assert run("tokens", text, "--only-models", "--counts").err == ""


@pytest.mark.usefixtures("starter_gguf")
def test_one_byte_is_a_byte() -> None:
    assert run("tokens", "a", "--only-models", "--counts").out.splitlines()[-1] == "1 byte"


@pytest.mark.usefixtures("starter_gguf")
def test_nothing_reaches_the_terminal_as_it_is() -> None:
    done = run("tokens", "a\x1b[31m\x07\u202eb", "--only-models")
    assert done.status == 0
    assert not set("\x1b\x07\u202e") & set(done.out)


def test_bad_input_is_one_sentence(tmp_path: Path, starter_gguf: Path) -> None:
    large, half, binary = tmp_path / "large.txt", tmp_path / "half.gguf", tmp_path / "binary"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    half.write_bytes(starter_gguf.read_bytes()[:50_000_000])
    binary.write_bytes(b"\xff\xff\x00")
    for arguments, status, says in [
        ((str(large),), 2, "larger than 8 MB"),
        ((str(binary),), 2, "not UTF-8 text (byte 0)"),
        (("",), 2, "The text is empty"),
        (("Hi", "--model", "/no/such.gguf"), 2, "does not exist"),
        (("Hi", "--model", "openai/gpt-5"), 2, "The tokenizer of openai/gpt-5 is not on this machine"),
        (("Hi", "--model", str(half), "--only-models"), 1, "cut off"),
    ]:
        done = run("tokens", *arguments)
        assert done.status == status, arguments
        assert says in done.error
