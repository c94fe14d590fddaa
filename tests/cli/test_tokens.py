"""`llm-playground tokens`: a text under several tokenizers, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import run
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


@pytest.mark.usefixtures("starter_gguf")
def test_an_argument_that_names_a_file_is_read_as_one(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("Hello")
    plain = ("--only-models", "--json")
    assert run("tokens", str(file), *plain).objects[0]["tokens"] == 1
    assert run("tokens", str(file), "--text", *plain).objects[0]["bytes"] == len(str(file).encode())
    assert run("tokens", "-", *plain, stdin=b"Hello").objects[0]["pieces"][0]["id"] == 19556


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
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, status, says in [
        ((str(large),), 2, "larger than 8 MiB"),
        ((str(binary),), 2, "not UTF-8 text (byte 0)"),
        (("",), 2, "The text is empty"),
        (("Hi", "--model", "/no/such.gguf"), 2, "does not exist"),
        (("Hi", "--model", "openai/gpt-5"), 2, "The tokenizer of openai/gpt-5 is not on this machine"),
        (("Hi", "--model", str(half), "--only-models"), 1, "cut off"),
    ]:
        done = run("tokens", *arguments)
        assert done.status == status, arguments
        assert says in done.error
