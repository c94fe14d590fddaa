"""`llm-playground run` on the real model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.support import run

pytestmark = pytest.mark.usefixtures("starter_gguf")

GREEDY = ("--preset", "deterministic", "--max-tokens", "12")
STORY = "Here is a short story about a river."


def test_json_has_everything_that_was_seen() -> None:
    result = run("run", "--prompt", "Say hello.", "--json", "--seed", "42", "--top", "5", "--max-tokens", "6")
    assert (result.status, result.err) == (0, "")
    started, *tokens, finished = result.objects
    assert started["event"] == "started"
    assert started["model"]["architecture"] == "llama"
    assert started["seed"] == started["params"]["seed"] == 42
    assert started["params"]["top"] == 5
    assert (started["prompt_tokens"] > 0, started["cached_tokens"]) == (True, 0)
    for index, token in enumerate(tokens):
        assert list(token) == [
            "event", "index", "id", "text", "bytes", "special", "chunk", "drafted", "logprob", "prob", "rank",
            "entropy", "time_ms", "top", "stages", "watched",
        ]  # fmt: skip
        assert (token["event"], token["index"]) == ("token", index)
        assert bytes(token["bytes"]).decode() == token["text"]
        assert token["id"] in [candidate["id"] for candidate in token["top"]]
        assert 5 <= len(token["top"]) <= 6
        for candidate in token["top"]:
            assert list(candidate) == ["id", "text", "bytes", "logprob", "prob", "cut_by"]
            assert (candidate["prob"] == 0.0) or candidate["cut_by"] is None
        assert [stage["name"] for stage in token["stages"]][-1] == "dist"
        for stage in token["stages"]:
            assert list(stage) == ["name", "candidates", "mass", "at_least"]
            assert 0 < stage["mass"] <= 1
        assert sum(math.exp(candidate["logprob"]) for candidate in token["top"]) <= 1.0001
    assert finished["event"] == "finished"
    assert finished["reason"] == "length"
    assert finished["text"] == "".join(token["text"] for token in tokens)
    usage = finished["usage"]
    assert (
        usage.items()
        >= {
            "prompt_tokens": started["prompt_tokens"],
            "cached_tokens": 0,
            "cache_write_5m_tokens": 0,
            "cache_write_1h_tokens": 0,
            "completion_tokens": len(tokens),
            "thinking_tokens": None,
            "estimate": False,
            "cost": 0.0,
        }.items()
    )
    for name in ("ttft_ms", "prefill_tokens_per_second", "tokens_per_second"):
        assert finished["timings"][name] > 0


def test_text_is_the_text_of_the_json() -> None:
    arguments = ("run", "--prompt", "Name a river.", "--seed", "3", "--max-tokens", "16")
    text, objects = run(*arguments), run(*arguments, "--json").objects
    assert text.status == 0
    assert text.out == objects[-1]["text"] + "\n"
    assert text.err == ""


def test_the_prompt_from_standard_input_is_the_same_prompt() -> None:
    text = "Say «häß» \n twice 🙂"
    given = run("run", "--prompt", text, *GREEDY)
    read = run("run", "--prompt", "-", *GREEDY, stdin=text.encode())
    assert given.status == read.status == 0
    assert given.out == read.out


def test_raw_text_gets_no_template() -> None:
    chat = run("run", "--prompt", "<|im_start|>", *GREEDY, "--json").objects[0]
    raw = run("run", "--raw", "--prompt", "<|im_start|>", *GREEDY, "--json").objects[0]
    assert raw["prompt_tokens"] == 1
    assert chat["prompt_tokens"] > 10


def test_a_stop_string_is_never_printed() -> None:
    free = run("run", "--raw", "--prompt", STORY, *GREEDY).out
    objects = run("run", "--raw", "--prompt", STORY, *GREEDY, "--json").objects
    pieces = [entry["text"] for entry in objects[1:-1]]
    across = pieces[4][-2:] + pieces[5] + pieces[6][:1]
    stopped = run("run", "--raw", "--prompt", STORY, *GREEDY, "--stop", "never there", "--stop", across)
    assert stopped.out == free[: free.index(across)] + "\n"
    finished = run("run", "--raw", "--prompt", STORY, *GREEDY, "--stop", across, "--json").objects[-1]
    assert (finished["reason"], finished["stop_string"]) == ("stop_string", across)
    assert finished["text"] == stopped.out.removesuffix("\n")


def test_the_system_prompt_and_its_absence() -> None:
    default, own = (
        run("run", "--prompt", "Hi", *system, *GREEDY, "--json").objects[0]["prompt_tokens"]
        for system in ((), ("--system", "Answer in one word."))
    )
    assert default != own


def test_presets_and_parameters_reach_the_engine() -> None:
    given = ("--preset", "creative", "--set", "top_k=7", "--set", "logit_bias= the:-inf", "--seed", "1")
    objects = run("run", "--prompt", "Hi", *given, "--max-tokens", "3", "--json").objects
    params = objects[0]["params"]
    assert (params["top_k"], params["logit_bias"], params["max_tokens"]) == (7, {" the": "-inf"}, 3)
    stages = {stage["name"]: stage["candidates"] for stage in objects[1]["stages"]}
    assert stages["top_k"] == 7


def test_a_grammar_and_a_schema_from_files(tmp_path: Path) -> None:
    grammar, schema = tmp_path / "answer.gbnf", tmp_path / "shape.json"
    grammar.write_text('root ::= "Certainly." | "Never."\n')
    schema.write_text('{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}')
    held = run("run", "--prompt", "Is water wet?", "--grammar", str(grammar), "--seed", "1")
    assert held.out.strip() in ("Certainly.", "Never.")
    shaped = run("run", "--prompt", "A number", "--json-schema", str(schema), "--seed", "1", "--max-tokens", "40")
    assert json.loads(shaped.out)["n"] in (1, 2)


def test_a_mistake_in_a_grammar_file_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.gbnf"
    file.write_text('root ::= item\nitem ::= "a\n')
    wrong = run("run", "--prompt", "x", "--grammar", str(file))
    assert wrong.status == 2
    assert "Line 2, column 10: this quote is never closed." in wrong.error
    file.write_text("\n")
    assert "is empty" in run("run", "--prompt", "x", "--grammar", str(file)).error
    assert run("run", "--prompt", "x", "--grammar", str(tmp_path / "none")).status == 2


def test_a_model_by_path(starter_gguf: Path) -> None:
    result = run("run", "--model", str(starter_gguf), "--prompt", "Hi", *GREEDY, "--json")
    assert result.objects[0]["model"]["path"] == str(starter_gguf)


def test_no_new_tokens_is_a_reply_too() -> None:
    result = run("run", "--prompt", "Hi", "--max-tokens", "0")
    assert (result.status, result.out) == (0, "\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--prompt", "Hi", "--set", "temperature=99"), "temperature is 99, outside 0 to 5"),
        (("--prompt", "Hi", "--set", "nonsense=1"), "no parameter 'nonsense'"),
        (("--prompt", "Hi", "--set", "top_k"), "not of the form name=value"),
        (("--prompt", "Hi", "--set", "order=top_k,nonsense"), "'nonsense' is no stage"),
        (("--prompt", "Hi", "--set", "logit_bias=two words here:1"), "not one token"),
        (("--prompt", "Hi", "--preset", "balancd"), "Did you mean 'balanced'?"),
        (("--prompt", "Hi", "--seed", "-1"), "seed is -1"),
        (("--prompt", "Hi", "--top", "0"), "top is 0"),
        (("--prompt", "Hi", "--stop", ""), "stop string is empty"),
        (("--prompt", " \n "), "prompt is empty"),
        (("--prompt", "river " * 600, "--context", "512"), "the context window holds 512"),
        (("--prompt", "Hi", "--context", "0"), "--context must be at least 1"),
        (("--prompt", "Hi", "--model", "/no/such/model.gguf"), "/no/such/model.gguf"),
    ],
)
def test_bad_use_is_one_line_and_status_2(arguments: tuple[str, ...], says: str) -> None:
    result = run("run", *arguments, "--json")
    assert result.status == 2
    assert says in result.error
    (failed,) = result.objects
    assert failed["event"] == "failed"
    assert failed["message"] in result.error


def test_options_that_a_local_model_does_not_take_are_told() -> None:
    options = ("--effort", "low", "--thinking", "off", "--cache", "5m", "--context", "300")
    done = run("run", "--prompt", "Hi", *GREEDY, *options, "--json")
    assert done.status == 0
    context, *unused = done.err.splitlines()
    assert "Context 512, as set, rounded up from 300." in context
    assert [line.split()[1:3] for line in unused] == [["--effort", "low"], ["--thinking", "off"], ["--cache", "5m"]]
    assert all(line.endswith("is not used. SmolLM2-135M-Instruct.Q4_1 has no such control.") for line in unused)


def test_of_a_recording_nothing_can_be_chosen() -> None:
    done = run("run", "--prompt", "Hi", "--model", "replay/sky", "--effort", "low", "--context", "512")
    assert done.status == 0
    context, effort = done.err.splitlines()
    assert "--context is not used. It is for models that are loaded here." in context
    assert "--effort low is not used. A recording plays as it was made." in effort


def test_bad_use_of_the_command_line_itself() -> None:
    for arguments in (("run",), ("run", "--prompt", "Hi", "--nonsense"), ("nonsense",), ("bench", "--pairs", "0")):
        result = run(*arguments)
        assert result.status == 2
        assert result.err.count("Error:") == 1
        assert "Traceback" not in result.err


def test_bytes_that_are_no_text() -> None:
    read = run("run", "--prompt", "-", stdin=b"caf\xe9")
    assert (read.status, "not UTF-8" in read.error) == (2, True)
    given = run("run", "--prompt", "caf\udce9")
    assert (given.status, "not UTF-8" in given.error) == (2, True)


def test_a_broken_model_file(tmp_path: Path, starter_gguf: Path) -> None:
    half = tmp_path / "half\n.gguf"
    half.write_bytes(starter_gguf.read_bytes()[:50_000_000])
    result = run("run", "--model", str(half), "--prompt", "Hi")
    assert (result.status, result.out) == (2, "")
    assert "cut off" in result.error


def test_mistakes_in_the_settings_are_told_and_do_not_stop_the_run(sealed: Path) -> None:
    config = sealed / "playground" / "config"
    config.mkdir(parents=True)
    (config / "settings.toml").write_text('nonsense = 1\ntheme = 5\n[load]\nthreads = "many"\n')
    result = run("run", "--prompt", "Hi", *GREEDY)
    assert result.status == 0
    assert result.out.strip()
    for name in ("nonsense", "theme"):
        assert any(name in line and "settings.toml" in line for line in result.err.splitlines())


def test_what_the_template_could_not_take_is_told(tiny_models: object) -> None:
    assert callable(tiny_models)
    result = run("run", "--model", str(tiny_models("chat")), "--system", "so", "--prompt", "the water", *GREEDY)
    assert result.status == 0
    assert "system message" in result.error


def test_watched_words_are_told_with_each_token_and_named_at_the_start() -> None:
    words = ("--watch", " river", "--watch", " hippopotamus!", "--watch", "#28")
    result = run("run", "--raw", "--prompt", STORY, "--seed", "1", "--max-tokens", "4", "--json", *words)
    started, *tokens, _finished = result.objects
    assert [(word["word"], word["text"]) for word in started["watching"]] == [
        (" river", " river"),
        (" hippopotamus!", " hipp"),
        ("#28", ","),
    ]
    assert [word["tokens"] > 1 for word in started["watching"]] == [False, True, False]
    for token in tokens:
        assert [word["id"] for word in token["watched"]] == [word["id"] for word in started["watching"]]
        for word in token["watched"]:
            assert 0.0 < word["before"] < 1.0
            assert (word["after"] == 0.0) == (word["cut_by"] is not None)
        chosen = [word for word in token["watched"] if word["id"] == token["id"]]
        for word in chosen:
            assert word["before"] == pytest.approx(math.exp(token["logprob"]), rel=1e-5)
            assert word["after"] == token["prob"]
    again = run("run", "--raw", "--prompt", STORY, "--seed", "1", "--max-tokens", "4", *words)
    assert again.out == "".join(token["text"] for token in tokens) + "\n"
    first, *peaks = again.err.splitlines()
    assert 'the first one, " hipp"' in first.replace("'", '"')
    assert [line.split(":")[1].strip() for line in peaks] == [
        'watched " river"',
        'watched " hippopotamus!"',
        "watched #28",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("",), "A watched word is empty."),
        (("#99999999",), "is not one of this model"),
        (tuple("abcdefghi"), "9 words are too many."),
    ],
    ids=["empty", "unknown", "too many"],
)
def test_words_that_cannot_be_watched_are_refused_before_anything_runs(words: tuple[str, ...], sentence: str) -> None:
    result = run("run", "--prompt", "Hi", *(part for word in words for part in ("--watch", word)))
    assert (result.status, result.out) == (2, "")
    assert sentence in result.error


def test_what_of_a_schema_is_not_held_is_named_once(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "integer", "minimum": 5, "maximum": 9, "multipleOf": 2}')
    result = run("run", "--prompt", "A number?", "--seed", "1", "--max-tokens", "8", "--json-schema", str(schema))
    assert result.status == 0
    assert 5 <= int(result.out) <= 9
    (said,) = result.err.splitlines()
    assert "its reply may break multipleOf (line 1, at $)" in said
