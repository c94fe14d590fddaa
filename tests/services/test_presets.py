"""Presets: the shipped ones, the person's own, and broken ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from playground.domain.errors import BadInput, ConfigError
from playground.domain.models import ModelInfo
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams, active_stages
from playground.services.paths import shipped
from playground.services.presets import (
    KEPT,
    Preset,
    load_presets,
    preset_folders,
    read_preset,
    recommended_preset,
    save_preset,
)
from tests.toy_model import TOY


def info(recommended: dict[str, float | int]) -> ModelInfo:
    return structs.replace(TOY, recommended=recommended)


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_presets() -> None:
    presets, errors = load_presets([shipped("presets")])
    assert errors == []
    names = "deterministic precise balanced creative neutral min-p top-n-sigma xtc-dry mirostat"
    assert set(presets) == set(names.split())
    for preset in presets.values():
        assert Path(preset.path).stem == preset.name
        assert preset.summary.endswith(".")
        assert preset.watch.endswith(".")
        assert not set(preset.sampling) & set(KEPT)
    assert active_stages(presets["deterministic"].params)[-1] == "greedy"
    assert active_stages(presets["neutral"].params) == ("dist",)
    assert active_stages(presets["mirostat"].params) == ("mirostat_v2",)
    assert active_stages(presets["xtc-dry"].params) == ("dry", "min_p", "xtc", "dist")
    assert presets["balanced"].params == SamplingParams()


def test_a_preset_leaves_grammar_schema_and_guessing_alone_unless_it_has_its_own() -> None:
    plain, strict = Preset(name="p", summary="s"), Preset(name="g", summary="s", sampling={"grammar": 'root ::= "a"'})
    schema = SamplingParams(json_schema='{"type": "integer"}', speculate=8)
    assert plain.apply(schema).json_schema == schema.json_schema
    assert plain.apply(schema).speculate == 8
    assert plain.apply(SamplingParams(grammar='root ::= "b"')).grammar == 'root ::= "b"'
    assert (strict.apply(schema).grammar, strict.apply(schema).json_schema) == ('root ::= "a"', "")


def test_applying_takes_all_but_what_is_kept() -> None:
    current = SamplingParams(seed=7, stop=("x",), max_tokens=9, top=3, ignore_eos=True, top_k=5, repeat_penalty=1.5)
    applied = Preset(name="p", summary="s", sampling={"min_p": 0.1}).apply(current)
    assert applied == replace(NEUTRAL, seed=7, stop=("x",), max_tokens=9, top=3, ignore_eos=True, min_p=0.1)
    assert Preset(name="p", summary="s", sampling={"seed": None, "top": 5}).apply(current).seed is None


def test_own_presets_override_shipped_ones(sealed: Path) -> None:
    folder = preset_folders()[-1]
    assert folder.is_relative_to(sealed)
    path = write(folder, "mine.toml", 'name = "balanced"\nsummary = "Mine."\n[sampling]\ntop_k = 3\n')
    presets, errors = load_presets()
    assert errors == []
    assert presets["balanced"].path == str(path)
    assert presets["balanced"].params.top_k == 3
    assert len(presets) == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        ('summary = "s"', "name must be a text"),
        ('name = "n"', "summary must be a text"),
        ('name = "n"\nsummary = "s"\nwatch = 3', "watch must be a text"),
        ('name = "n"\nsumary = "s"', "Did you mean 'summary'?"),
        ('name = "a\\u0007b"\nsummary = "s"', "cannot be the name of a preset"),
        ('name = "' + "n" * 41 + '"\nsummary = "s"', "cannot be the name of a preset"),
        ('name = "n"\nsummary = "s"\nsampling = 3', "sampling is 3; it must be a table"),
        ('name = "n"\nsummary = "s"\n[sampling]\ntemp = 1', "no setting 'sampling.temp'"),
        ('name = "n"\nsummary = "s"\n[sampling]\ntemprature = 1', "Did you mean 'temperature'?"),
        (
            'name = "n"\nsummary = "s"\n[sampling]\ntemperature = 9',
            "sampling.temperature is 9, outside 0 to 5",
        ),
        ('name = "n"\nsummary = "s"\n[sampling]\ntop_k = "x"', "sampling.top_k"),
        ('name = "n"\nsummary = "s"\n[sampling]\ntop_p = nan', "sampling.top_p"),
        ('name = "n"\nsummary = "s"\n[sampling]\norder = ["top_q"]', "sampling.order"),
    ],
)
def test_a_broken_preset_is_skipped_and_reported(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, "broken.toml", text)
    write(tmp_path, "good.toml", 'name = "good"\nsummary = "s"\n')
    presets, errors = load_presets([tmp_path])
    assert list(presets) == ["good"]
    assert len(errors) == 1
    assert str(path) in errors[0].message
    assert said in str(errors[0])


def test_the_same_name_twice_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", 'name = "n"\nsummary = "first"\n')
    write(tmp_path, "b.toml", 'name = "n"\nsummary = "second"\n')
    presets, errors = load_presets([tmp_path])
    assert presets["n"].summary == "first"
    assert "a.toml has the same name" in errors[0].message


def test_folders_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    write(tmp_path, "file", "")
    assert load_presets([tmp_path / "gone", tmp_path / "file"]) == ({}, [])


def test_saving_and_reading_again(tmp_path: Path) -> None:
    params = replace(
        SamplingParams(),
        temperature=0.65,
        logit_bias={" Yes": 2.5, "#504": -math.inf},
        order=("top_k", "temperature"),
        dry_breakers=("\n", '"'),
        seed=3,
        max_tokens=50,
    )
    path = save_preset(tmp_path / "new", "My preset", params, "Two\nlines [red]\x1b")
    assert path == tmp_path / "new" / "my-preset.toml"
    preset = read_preset(path)
    assert preset.name == "My preset"
    assert preset.summary == "Two␊lines [red]␛"
    assert not set(preset.sampling) & set(KEPT)
    assert preset.apply(params) == params


def test_a_name_is_never_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "presets"
    names = ["../../etc/passwd", "/abs", "..", "漢字", "漢", "a b", "a-b", "A.B", "con", "-", "é"]
    for name in names:
        path = save_preset(folder, name, NEUTRAL, "s")
        assert path.parent == folder
        assert path.name.isascii()
    presets, errors = load_presets([folder])
    assert (set(presets), errors) == (set(names), [])
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "home"] == ["presets"]


def test_saving_under_a_name_again_replaces_it(tmp_path: Path) -> None:
    write(tmp_path, "odd-name.toml", 'name = "mine"\nsummary = "old"\n')
    path = save_preset(tmp_path, "mine", NEUTRAL, "new", watch="Look.")
    assert path.name == "odd-name.toml"
    assert (read_preset(path).summary, read_preset(path).watch) == ("new", "Look.")


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    for name in ("", "  ", "a\nb", "n" * 41):
        with pytest.raises(BadInput, match="cannot be the name"):
            save_preset(tmp_path, name, NEUTRAL, "s")
    write(tmp_path, "file", "")
    with pytest.raises(ConfigError, match="cannot be saved"):
        save_preset(tmp_path / "file", "n", NEUTRAL, "s")


def test_what_a_model_recommends() -> None:
    assert recommended_preset(info({}).card) is None
    preset = recommended_preset(info({"temperature": 0.6, "top_k": 20}).card)
    assert preset is not None
    assert preset.params == replace(NEUTRAL, temperature=0.6, top_k=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=45), summary=st.text(max_size=30), watch=st.text(max_size=30))
def test_any_text_is_saved_or_refused(tmp_path: Path, name: str, summary: str, watch: str) -> None:
    try:
        path = save_preset(tmp_path / "presets", name, SamplingParams(), summary, watch)
    except BadInput:
        return
    assert path.parent == tmp_path / "presets"
    assert read_preset(path).name == name.strip()
