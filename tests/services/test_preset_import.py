"""Presets of other programs: told apart by content, nothing dropped without a word."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from playground.domain.errors import ConfigError
from playground.domain.params import replace
from playground.domain.sampling import DEFAULT_ORDER, NEUTRAL, SamplingParams
from playground.services.preset_import import Imported, read_foreign
from playground.services.presets import load_presets

TEXTGEN = """
temperature: 1.1
dynamic_temperature: true
dynatemp_low: 0.5
dynatemp_high: 1.5
min_p: 0.02
repetition_penalty: 1.07
repetition_penalty_range: 2048
dry_sequence_breakers: '"\\n", ":", "\\""'
sampler_priority: |
  temperature
  min_p
  top_k
smoothing_factor: 0.3
"""
SILLYTAVERN = {
    "temp": 1.25,
    "top_k": 0,
    "min_p": 0.1,
    "rep_pen": 1,
    "rep_pen_range": 0,
    "freq_pen": 0.25,
    "dynatemp": False,
    "min_temp": 0,
    "max_temp": 2,
    "nsigma": 1.5,
    "xtc_probability": 0.5,
    "dry_sequence_breakers": '["\\n", "*"]',
    "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    "sampler_order": [6, 0, 1, 3, 4, 2, 5],
    "tfs": 1,
}
KOBOLD = {"preset": "Plain", "temp": 0.3, "typical": 0.9, "rep_pen": 1.02, "sampler_order": [6, 5, 0, 1, 3, 4, 2]}
LM_STUDIO = {
    "identifier": "@local:x",
    "name": "Careful",
    "operation": {
        "fields": [
            {"key": "llm.prediction.temperature", "value": 0.2},
            {"key": "llm.prediction.topKSampling", "value": 20},
            {"key": "llm.prediction.topPSampling", "value": {"checked": True, "value": 0.9}},
            {"key": "llm.prediction.minPSampling", "value": {"checked": False, "value": 0.05}},
            {"key": "llm.prediction.stopStrings", "value": ["##"]},
            {"key": "llm.prediction.systemPrompt", "value": "Be careful."},
        ]
    },
    "load": {"fields": [{"key": "llm.load.contextLength", "value": 4096}]},
}
MODELFILE = '''
FROM llama3.2
PARAMETER temperature 0.6
PARAMETER repeat_last_n 33
PARAMETER stop "<|user|>"
PARAMETER stop "<|end|>"
PARAMETER num_ctx 4096
SYSTEM """
You say things like
PARAMETER temperature 5
"""
'''
GENERATION_CONFIG = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "eos_token_id": [2, 3]}
LLAMA_INI = """
; presets
[*]
top-k = 30

[sharp]
temp = 0.1
samplers = top_k;temperature

[loose]
LLAMA_ARG_TEMP = 1.4
ctx-size = 4096
"""


def read(folder: Path, content: str | dict[str, Any], name: str = "some file") -> list[Imported]:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_foreign(path)


def test_text_generation_webui(tmp_path: Path) -> None:
    (one,) = read(tmp_path, TEXTGEN, "Wild.yaml")
    assert (one.format, one.preset.name) == ("text-generation-webui", "Wild")
    params = one.preset.params
    assert (params.temperature, params.dynatemp_range) == (1.0, 0.5), "a lowest and a highest become middle and range"
    assert (params.min_p, params.repeat_penalty, params.penalty_last_n) == (0.02, 1.07, 2048)
    assert params.dry_breakers == ("\n", ":", '"')
    order = params.order
    assert order.index("temperature") < order.index("min_p") < order.index("top_k")
    assert set(order) == set(DEFAULT_ORDER)
    assert one.left_out == {
        "temperature": "dynamic_temperature says it in its place",
        "smoothing_factor": "there is nothing like it in llama.cpp",
    }


def test_sillytavern(tmp_path: Path) -> None:
    (one,) = read(tmp_path, SILLYTAVERN)
    assert one.format == "SillyTavern"
    params = one.preset.params
    assert (params.temperature, params.min_p, params.frequency_penalty) == (1.25, 0.1, 0.25)
    assert (params.top_n_sigma, params.xtc_probability, params.dry_breakers) == (1.5, 0.5, ("\n", "*"))
    assert params.dynatemp_range == 0.0, "it is switched off there"
    assert params.order == DEFAULT_ORDER
    assert one.left_out == {
        "dynatemp": "switched off there",
        "min_temp": "switched off there",
        "max_temp": "switched off there",
        "sampler_order": "samplers says it in its place",
        "tfs": "there is nothing like it in llama.cpp",
    }


def test_koboldai(tmp_path: Path) -> None:
    (one,) = read(tmp_path, KOBOLD)
    assert (one.format, one.preset.name) == ("KoboldAI", "Plain")
    assert (one.preset.params.typical_p, one.preset.params.repeat_penalty) == (0.9, 1.02)
    order = one.preset.params.order
    assert order.index("penalties") < order.index("temperature") < order.index("top_k") < order.index("typical_p")


def test_lm_studio(tmp_path: Path) -> None:
    (one,) = read(tmp_path, LM_STUDIO)
    assert (one.format, one.preset.name) == ("LM Studio", "Careful")
    expected = replace(NEUTRAL, temperature=0.2, top_k=20, top_p=0.9, stop=("##",), repeat_penalty=1.1)
    assert one.preset.params == expected
    assert set(one.left_out) == {"minPSampling", "systemPrompt", "llm.load.contextLength"}
    (old,) = read(
        tmp_path, {"name": "Old", "load_params": {"n_ctx": 2048}, "inference_params": {"temp": 0.4, "tfs": 1}}
    )
    assert old.format == "LM Studio"
    defaults = {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1}
    assert (old.preset.sampling, old.defaults) == ({"temperature": 0.4, **defaults}, defaults)
    assert old.left_out == {
        "tfs": "there is nothing like it in llama.cpp",
        "load_params": "belongs to loading a model, not to a preset of sampling",
    }


def test_ollama_and_what_only_looks_like_a_parameter(tmp_path: Path) -> None:
    (one,) = read(tmp_path, MODELFILE, "Modelfile")
    assert one.format == "Ollama"
    params = one.preset.params
    assert (params.temperature, params.penalty_last_n, params.stop) == (0.6, 33, ("<|user|>", "<|end|>"))
    assert set(one.left_out) == {"num_ctx", "FROM", "SYSTEM"}


def test_hugging_face(tmp_path: Path) -> None:
    (one,) = read(tmp_path, GENERATION_CONFIG, "generation_config.json")
    assert one.format == "Hugging Face"
    assert one.preset.params == replace(NEUTRAL, temperature=0.6, top_k=20, top_p=0.95)
    assert set(one.left_out) == {"eos_token_id"}
    (greedy,) = read(tmp_path, {"do_sample": False, "repetition_penalty": 1.1})
    assert greedy.preset.params.temperature == 0.0


def test_llama_cpp_with_several_presets_in_one_file(tmp_path: Path) -> None:
    sharp, loose = read(tmp_path, LLAMA_INI, "presets.ini")
    assert [one.preset.name for one in (sharp, loose)] == ["sharp", "loose"]
    assert (sharp.preset.params.temperature, sharp.preset.params.top_k) == (0.1, 30)
    assert (loose.preset.params.temperature, loose.preset.params.top_k) == (1.4, 30), "what [*] says holds for all"
    assert set(loose.left_out) == {"ctx-size"}


def test_a_value_that_cannot_be_is_left_out_and_says_why(tmp_path: Path) -> None:
    (one,) = read(tmp_path, {"temperature": 0.5, "top_p": 7, "top_k": "many", "seed": -1})
    assert one.preset.params == replace(NEUTRAL, temperature=0.5)
    assert "outside 0 to 1" in one.left_out["top_p"]
    assert "many" in one.left_out["top_k"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"temperature": 0.5', "not valid JSON"),
        ("[" * 100_000, "cannot be read"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("temperature: [1", "cannot be read"),
        ("just a text", "no sampling parameter"),
        ('{"colour": "red"}', "no sampling parameter"),
        ("", "no sampling parameter"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntemperature: [*c, *c]", "refers to another one"),
        ("a: &a [*a]\ntemperature: 1", "refers to another one"),
        ("a: " + "[" * 400_000, "nested too deeply"),
        ("- " * 200_000, "nested too deeply"),
        ("".join(f"key_{number}: 1\n" for number in range(60_000)), "more values than a preset has"),
        ("temperature: " + "1" * 5000, "cannot be read"),
        ("temperature: 2024-99-99", "cannot be read"),
        ("temperature: 99", r"used here\. temperature is 99, outside 0 to 5\. Known"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    ["\n" * 200_000 + "x", "FROM x\nPARAMETER top_q 1" + " " * 200_000 + "x", 'FROM x\nSYSTEM """\n' * 20_000],
    ids=["empty lines", "blanks", "quotes"],
)
def test_a_file_made_to_take_for_ever_does_not(tmp_path: Path, content: str) -> None:
    """Where a search begins anew in every line and goes on to the end, it takes minutes: over the time of a test."""
    with pytest.raises(ConfigError, match="no sampling parameter"):
        read(tmp_path, content)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_of_very_many_keys_the_first_are_told_by_name(tmp_path: Path, form: str) -> None:
    keys = {"temperature": 0.5} | {f"key_{number}": 1 for number in range(5_000)}
    text = json.dumps(keys) if form == "json" else "".join(f"{key}: {value}\n" for key, value in keys.items())
    (one,) = read(tmp_path, text)
    assert one.preset.params == replace(NEUTRAL, temperature=0.5)
    assert list(one.left_out)[:2] == ["key_0", "key_1"]
    assert list(one.left_out)[200:] == ["4,800 others"]


@pytest.mark.parametrize("content", [b"{", b"[sampling]\n", b"temperature: 1\n", b"\n"])
def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "huge.toml"
    path.write_bytes(content * (100 * 1024 * 1024 // len(content)))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as foreign:
            read_foreign(path)
        presets, errors = load_presets([tmp_path])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10_000_000
    assert foreign.value.message == f"{path} is larger than 1 MB."
    assert (presets, [error.message for error in errors]) == ({}, [foreign.value.message])


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    (one,) = read(tmp_path, {"name": "../../\x1b[31metc/passwd\n" + "x" * 500, "inference_params": {"temp": 0.4}})
    assert one.preset.name.isprintable()
    assert len(one.preset.name) <= 40


def test_defaults_are_those_of_nobody(tmp_path: Path) -> None:
    (one,) = read(tmp_path, "min_p: 0.05\n")
    assert one.preset.apply(SamplingParams()).top_k == 0, "what the file does not set is off, as in all presets"


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "value",
    [json.dumps("[" * 200_000), json.dumps(nested(200_000)), *(nested(depth) for depth in (900, 970, 990))],
    ids=["open", "closed", "900", "970", "990"],
)
@pytest.mark.parametrize("key", ["stop", "temp", "samplers", "logit_bias", "structured", "colour"])
def test_what_is_nested_too_deeply_is_left_out_with_a_word(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text(f'{{"top_k": 5, "{key}": {value}}}', encoding="utf-8")
    read: list[Imported] = []
    with contextlib.suppress(ConfigError):  # of the file as a whole, where JSON's reader gives up before that
        read = read_foreign(path)
    for one in read:
        assert one.preset.params.top_k == 5
        assert all(len(why) < 200 for why in one.left_out.values())
    path.write_text(f'{{"{key}": "[", "x": {value}}}', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_foreign(path)
    assert len(str(caught.value)) < 800


def test_a_number_too_long_to_be_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(f"top_k: 5\ntemperature: 0x{'f' * 5000}\n", encoding="utf-8")
    (one,) = read_foreign(path)
    assert "cannot be read" in one.left_out["temperature"]
