"""`llm-playground score`: the figures of a text, and those of a second view of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.support import run

TEXT = "The quick brown fox jumps over the lazy dog. The quick brown fox sleeps."

pytestmark = pytest.mark.usefixtures("starter_gguf")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


def test_json_has_every_token_and_the_sums(file: str) -> None:
    done = run("score", file, "--json", "--top", "2")
    assert (done.status, done.err) == (0, "")
    *tokens, end = done.objects
    assert "".join(token["text"] for token in tokens) == TEXT
    known = [token["logprob"] for token in tokens if token["logprob"] is not None]
    assert tokens[0]["logprob"] is None
    assert (end["tokens"], end["scored"]) == (len(tokens), len(known)) == (len(known) + 1, len(known))
    assert end["mean_logprob"] == pytest.approx(math.fsum(known) / len(known))
    assert end["perplexity"] == pytest.approx(math.exp(-end["mean_logprob"]))
    assert end["bits_per_byte"] == pytest.approx(-math.fsum(known) / math.log(2) / end["bytes_scored"])
    assert all(len(token["top"]) == 2 for token in tokens[1:])
    for token in tokens[1:]:
        assert (token["rank"] == 1) == (token["top"][0]["id"] == token["id"])


def test_the_summary_tells_the_same(file: str) -> None:
    end = run("score", file, "--json").objects[-1]
    told = run("score", "-", "--surprises", "2", "--tokens", stdin=TEXT.encode())
    assert told.status == 0
    assert f"{end['perplexity']:,.3f}" in told.out
    assert f"{end['bits_per_byte']:.4f} over" in told.out
    assert len(told.out.partition("The least expected tokens:\n")[2].splitlines()) == 2
    assert told.out.splitlines()[0].split() == ["token", "id", "chance", "bits", "rank"]
    assert told.out.splitlines()[2].split()[1] == "·quick"


def test_text_raw_and_chat_are_three_requests(tmp_path: Path) -> None:
    path = tmp_path / "special.txt"
    path.write_text("Hi<|im_end|>\n")
    plain, raw, chat = (run("score", str(path), *form, "--json").objects[-1] for form in ((), ("--raw",), ("--chat",)))
    assert raw["tokens"] == 3
    assert raw["tokens"] < plain["tokens"] < chat["tokens"]


def test_a_second_view_of_the_same_tokens(file: str) -> None:
    *tokens, end = run("score", file, "--compare-kv", "q4_0", "--json").objects
    differences = [token["difference"] for token in tokens]
    assert differences[0] == {"logprob": None, "rank": None, "kl_bits": None, "kl_at_least": None}
    assert any(one["logprob"] for one in differences[1:])
    assert all(one["kl_at_least"] >= 0 for one in differences[1:])
    found = end["comparison"]
    mean = end["second"]["mean_logprob"] - end["mean_logprob"]
    assert found["mean_logprob"] == pytest.approx(mean, abs=1e-9)
    whole = [one["kl_bits"] for one in differences[1:]]
    assert found["mean_kl_bits"] == pytest.approx(math.fsum(whole) / len(whole))
    assert found["mean_kl_bits"] > found["mean_kl_at_least"] > 0
    assert found["kl_unknown_because"] == ""
    told = run("score", file, "--compare-kv", "q4_0")
    assert f"KL divergence              {found['mean_kl_bits']:.6f} bits a token\n" in told.out
    assert f"mean difference            {found['mean_logprob'] / math.log(2):+.5f} bits a token" in told.out
    assert "nats" not in told.out
    assert "Where they differ the most, in bits:" in told.out


def test_nothing_is_left_in_the_temporary_folder(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_models: Callable[[str], Path]
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    models = [str(tiny_models(kind)) for kind in ("chat", "hybrid")]
    assert run("score", file, "--compare-kv", "q8_0").status == 0
    other = run("score", file, "--model", models[0], "--compare", models[1])
    assert other.status == 0
    assert list(temporary.iterdir()) == []


def test_a_second_model_with_other_tokens(file: str, tiny_models: object) -> None:
    assert callable(tiny_models)
    done = run("score", file, "--compare", str(tiny_models("chat")))
    assert done.status == 0
    assert "It splits the text into other tokens" in done.out
    # What something is compared with does not become the model to begin with.
    end = run("score", file, "--compare", str(tiny_models("chat")), "--json").objects[-1]
    assert "comparison" not in end
    assert end["second"]["bits_per_byte"] > end["bits_per_byte"]


def test_a_text_longer_than_the_context_is_told_with_its_number(file: str) -> None:
    text = b"river " * 600
    done = run("score", "-", "--context", "512", stdin=text)
    assert done.status == 2
    scored = run("score", "-", "--context", "768", "--json", stdin=text)
    assert scored.status == 0
    (size,) = [int(one) for one in re.findall(r"The text has (\d+) tokens", done.error)]
    assert size == scored.objects[-1]["tokens"]
    assert "the context window holds 512. Shorten it by 88 or more (the last one takes no room)" in done.error
    assert "--context" in done.error


def test_a_context_that_is_rounded_up_is_told() -> None:
    done = run("score", "-", "--context", "1", stdin=b"Hello there")
    assert (done.status, "Context 256, as set, rounded up from 1." in done.error) == (0, True)


def test_one_token_is_told_to_have_nothing_before_it() -> None:
    done = run("score", "-", stdin=b"Hello")
    assert (done.status, "One token has nothing before it to be scored by" in done.err) == (0, True)
    assert "nothing before it" not in run("score", "-", stdin=b"Hello there").err


def test_bad_input_is_one_sentence(file: str, tmp_path: Path) -> None:
    for arguments, says in [
        ((str(tmp_path / "none.txt"),), "cannot be read: No such file"),
        ((str(tmp_path),), "cannot be read: Is a directory"),
        ((file, "--model", "openai/gpt-5"), "does not score texts"),
        ((file, "--compare", "nosuch"), "'nosuch'"),
        ((file, "--compare", "x", "--compare-kv", "q8_0"), "Give one of them"),
        ((file, "--compare-kv", "f16"), "is f16 already"),
    ]:
        done = run("score", *arguments)
        assert (done.status, done.out) == (2, ""), arguments
        assert says in done.error
