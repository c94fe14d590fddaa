"""Whose preset it is, what it does where it says nothing, and the way to llama.cpp and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playground.domain.errors import ConfigError
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.services.preset_export import export_preset
from playground.services.preset_import import Imported, read_foreign
from playground.services.presets import Preset

SHARED = {"temp": 0.3, "top_k": 25, "top_p": 0.6, "min_p": 0.0, "nsigma": 0.0, "xtc_probability": 0.1, "tfs": 1}
SHARED |= {"rep_pen": 1.02, "rep_pen_range": 360, "rep_pen_slope": 0.7, "smoothing_factor": 0.0}
STAGES = ["penalties", "top_k", "temperature"]
KOBOLD_ORDER = [6, 0, 1, 3, 4, 2, 5]


def read(folder: Path, content: str | dict[str, Any]) -> list[Imported]:
    path = folder / "some file"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="")
    return read_foreign(path)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (
            {**SHARED, "preset": "Simple", "typical": 1, "dynatemp_range": 0.0, "sampler_order": KOBOLD_ORDER},
            "KoboldAI",
        ),
        ({**SHARED, "sampler_order": KOBOLD_ORDER}, "KoboldAI"),
        ({**SHARED, "freq_pen": 0, "dynatemp": False, "sampler_order": KOBOLD_ORDER}, "SillyTavern"),
        ({**SHARED, "samplers": STAGES, "sampler_order": KOBOLD_ORDER}, "SillyTavern"),
        (SHARED, "SillyTavern"),
        ({"temperature": 0.6, "top_k": 20, "do_sample": True}, "Hugging Face"),
        ({"temperature": 0.6, "top_k": 20, "eos_token_id": 2}, "Hugging Face"),
        ({"temperature": 0.6, "top_k": 20, "min_p": 0.1, "seed": 3}, "JSON"),
        ({"name": "x", "inference_params": {"temp": 0.4, "top_k": 3}}, "LM Studio"),
    ],
)
def test_a_format_is_told_by_what_it_has_alone(tmp_path: Path, keys: dict[str, Any], kind: str) -> None:
    (one,) = read(tmp_path, keys)
    assert one.format == kind


@pytest.mark.parametrize(
    ("content", "defaults"),
    [
        ("[m]\ntemp = 0.5\n", {"top_k": 40, "top_p": 0.95, "min_p": 0.05}),
        ("FROM x\nPARAMETER top_k 20\n", {"temperature": 0.8, "top_p": 0.9}),
        ('{"do_sample": true, "temperature": 0.6}', {"top_k": 50}),
        ('{"eos_token_id": 2, "top_p": 0.9}', {"top_k": 50, "temperature": 0.0}),
        ("temperature: 0.7\n", {}),
        ('{"temp": 0.7, "rep_pen": 1}', {}),
        ("[m]\nsamplers = top_k;temperature\n", {"temperature": 0.8, "top_k": 40}),
    ],
)
def test_what_a_file_does_not_set_is_as_in_its_program(
    tmp_path: Path, content: str, defaults: dict[str, float]
) -> None:
    (one,) = read(tmp_path, content)
    assert one.defaults == defaults
    assert {name: one.preset.sampling[name] for name in defaults} == defaults
    assert (f"the defaults of {one.format} hold" in one.remark) == bool(defaults)
    assert one.preset.watch == one.remark, "it can be read later on too"


def test_the_file_that_llama_cpp_documents(tmp_path: Path) -> None:
    (one,) = read(tmp_path, "version = 1\n\n[*]\nc = 8192\n\n[m]\ntemp = 0.5 ; calm\n")
    assert (one.preset.name, one.preset.params.temperature) == ("m", 0.5)
    loading = "belongs to loading a model, not to a preset of sampling"
    assert one.left_out == {"version": "says in which notation the file is", "c": loading}
    (bare,) = read(tmp_path, "; for one model\nhf-repo-draft = a/b\ntemp = 0.5\ntop-k = 20\n")
    assert (bare.format, bare.preset.params.top_k, bare.left_out) == ("llama.cpp", 20, {"hf-repo-draft": loading})
    first, _ = read(tmp_path, "[a]\ntemp = 1\ntemp = 2\n[b]\nctx-size = 1\n[c]\nn = 7\n")
    assert first.preset.params.temperature == 2.0
    assert set(first.left_out) == {"temp = 1", "[b] ctx-size"}


@pytest.mark.parametrize(
    "content", ["[m]\n<html>\n", "a: [1", "\x00", '{"a": 1,}', "temperature: 2024-99-99", '{"a": ' + "1" * 5000 + "}"]
)
def test_what_cannot_be_read_is_said_without_the_words_of_a_parser(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    for word in ("Error", "char ", "<unicode", "Expecting", "while parsing", "limit (", "␊", "Exception"):
        assert word not in caught.value.message


def test_where_temperature_stands_does_not_depend_on_which_key_comes_first(tmp_path: Path) -> None:
    priority, last = "sampler_priority: |-\n  temperature\n  top_k\n  min_p\n", "temperature_last: true\n"
    (one,) = read(tmp_path, priority + last)
    (two,) = read(tmp_path, last + priority)
    assert one.preset.params.order == two.preset.params.order
    assert one.preset.params.order[-1] == "temperature"
    assert one.preset.params.order.index("top_k") < one.preset.params.order.index("min_p")
    assert one.left_out == two.left_out == {}


def test_stages_that_llama_cpp_does_not_have_are_named(tmp_path: Path) -> None:
    (one,) = read(tmp_path, {"temp": 1, "samplers": ["penalties", "quadratic", "top_k", "tfs"], "min_temp": 1})
    assert one.preset.params.order == ("penalties", "top_k")
    assert {"samplers: quadratic", "samplers: tfs", "min_temp"} <= set(one.left_out)


def test_greedy_is_not_undone_by_a_temperature(tmp_path: Path) -> None:
    for keys in ({"do_sample": False, "temperature": 0.6}, {"temperature": 0.6, "do_sample": False}):
        (one,) = read(tmp_path, keys)
        assert one.preset.params.temperature == 0.0
        assert set(one.left_out) == {"temperature"}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("num_ctx", "loading a model"),
        ("n-gpu-layers", "loading a model"),
        ("chat-template", "belongs to the model"),
        ("bos_token_id", "belongs to the model"),
        ("systemPrompt", "belongs to the conversation"),
        ("tfs", "nothing like it in llama.cpp"),
        ("colour", "not known as a parameter"),
    ],
)
def test_why_a_key_is_left_out_is_true(tmp_path: Path, key: str, words: str) -> None:
    (one,) = read(tmp_path, {"temperature": 0.6, key: 1})
    assert words in one.left_out[key]


def test_llama_cpp_gets_texts_too_and_they_come_back(tmp_path: Path) -> None:
    sampling = {
        "temperature": 0.123456,
        "dry_breakers": ("\n", "#", ' "quoted" ', "none", "\\n"),
        "stop": ("## End;", "\tü "),
        "grammar": 'root ::= "a" | "b"',
        "order": ("top_k", "temperature", "min_p"),
        "logit_bias": {"#15043": -1.5},
        "ignore_eos": True,
    }
    text, left_out = export_preset(Preset(name="p", summary="s", sampling=sampling), "llama.cpp")
    assert set(left_out) == {"dry_breakers", "stop"}
    assert "the last" in left_out["stop"]
    assert "sampler-seq = ktm" in text
    assert not [line for line in text.splitlines() if set("#;") & set(line)], "a comment would begin there"
    (one,) = read(tmp_path, text)
    assert {name: one.preset.sampling[name] for name in sampling} == sampling
    assert one.left_out == {}


@pytest.mark.parametrize("char", "\u2028\u2029\x85\x1c\x1d\x1e\v\f\r\n\u3000\xa0")
def test_what_only_unicode_takes_for_the_end_of_a_line_or_a_blank_comes_back(tmp_path: Path, char: str) -> None:
    sampling = {"temperature": 0.5, "stop": (f"a{char}b", char, f"{char}c{char}")}
    text, _ = export_preset(Preset(name="p", summary="s", sampling=sampling), "llama.cpp")
    for ended in (text, text.replace("\n", "\r\n")):
        (one,) = read(tmp_path, ended)
        assert (one.preset.params.stop, one.preset.params.temperature) == (sampling["stop"], 0.5)


def test_what_an_ini_file_cannot_hold_is_said(tmp_path: Path) -> None:
    sampling: dict[str, Any] = {"dry_breakers": (), "stop": ("one",), "grammar": 'root ::= a\na ::= "x"', "seed": None}
    text, left_out = export_preset(Preset(name="p", summary="s", sampling=sampling), "llama.cpp")
    assert set(left_out) == {"grammar"}
    assert "grammar-file" in left_out["grammar"]
    (one,) = read(tmp_path, text)
    assert (one.preset.params.dry_breakers, one.preset.params.stop) == ((), ("one",))
    schema = SamplingParams(json_schema='{"type": "string", "pattern": "^#;$"}').json_schema
    text, left_out = export_preset(Preset(name="p", summary="s", sampling={"json_schema": schema}), "llama.cpp")
    (one,) = read(tmp_path, text)
    assert (json.loads(one.preset.params.json_schema), left_out) == (json.loads(schema), {})


@pytest.mark.parametrize("form", ["toml", "json"])
def test_our_own_notations_come_back_whole(tmp_path: Path, form: str) -> None:
    sampling = {"temperature": 0.7, "order": ("temperature", "top_k"), "stop": ("x",), "dry_breakers": ("y",), "top": 3}
    sampling |= {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
    text, left_out = export_preset(Preset(name="p", summary="s", sampling=sampling), form)
    (one,) = read(tmp_path, text)
    assert (one.preset.name, one.preset.sampling, one.left_out, left_out) == ("p", sampling, {}, {})
    assert one.preset.params.repeat_penalty == NEUTRAL.repeat_penalty
