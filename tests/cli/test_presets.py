"""`llm-playground presets`: what there is, what one saves, and what comes from elsewhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from playground.services.presets import preset_folders, read_preset
from tests.cli.support import run, start


def test_a_preset_is_saved_listed_shown_and_deleted() -> None:
    saved = run("presets", "save", "calm", "--from", "min-p", "--set", "temperature=0.6", "--summary", "Quiet.")
    assert saved.status == 0
    path = Path(saved.out.strip())
    assert read_preset(path).params.temperature == 0.6
    listed = run("presets", "list").out
    assert any(line.startswith("calm") and "yours" in line for line in listed.splitlines())
    shown = run("presets", "show", "calm")
    assert "temperature = 0.6" in shown.out
    assert "Stages: min_p > temperature > dist" in shown.out
    assert run("presets", "delete", "calm").status == 0
    assert not path.exists()
    again = run("presets", "delete", "calm")
    assert again.status == 2
    assert "no preset 'calm' of your own" in again.error


def test_a_shipped_preset_cannot_be_deleted_but_exported() -> None:
    assert run("presets", "delete", "balanced").status == 2
    toml = run("presets", "export", "balanced")
    assert toml.status == 0
    assert "top_k = 40" in toml.out


def test_what_was_done_to_presets_is_told_to_programs(tmp_path: Path) -> None:
    (saved,) = run("presets", "save", "calm", "--from", "min-p", "--json").objects
    assert saved["sampling"]["min_p"] == read_preset(Path(saved["path"])).params.min_p
    (printed,) = run("presets", "export", "calm", "--format", "ollama", "--json").objects
    assert printed["text"] == run("presets", "export", "calm", "--format", "ollama").out
    file = tmp_path / "file"
    (written,) = run("presets", "export", "calm", "-o", str(file), "--json").objects
    assert Path(written["path"]).read_text() == run("presets", "export", "calm").out
    assert run("presets", "delete", "calm", "--json").objects == [{"deleted": saved["path"]}]
    assert not Path(saved["path"]).exists()


@pytest.mark.parametrize("form", ["json", "llama.cpp", "ollama"])
def test_what_is_exported_is_imported_again_as_the_same(tmp_path: Path, form: str) -> None:
    file = tmp_path / "file"
    assert run("presets", "export", "balanced", "--format", form, "-o", str(file)).status == 0
    (told,) = run("presets", "import", str(file), "--name", "again", "--json").objects
    assert (told["name"], told["left_out"]) == ("again", {})
    original = run("presets", "show", "balanced", "--json").objects[0]["sampling"]
    assert {name: told["sampling"].get(name) for name in original} == original


def test_what_a_notation_does_not_have_is_said() -> None:
    done = run("presets", "export", "xtc-dry", "--format", "ollama")
    assert done.status == 0
    assert "dry_multiplier is not said as a whole: Ollama has no parameter like it." in done.err


def test_importing_names_every_key_that_is_left_out_and_goes_on_behind_a_bad_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"temp": 1.5, "tfs": 1, "evil\x1b[31m": 3}))
    bad.write_text("{")
    done = run("presets", "import", str(bad), str(good))
    assert done.status == 2
    assert "bad.json is not valid JSON" in done.error
    assert "left out: tfs (there is nothing like it in llama.cpp)" in done.out
    assert "\x1b" not in done.out
    assert read_preset(preset_folders()[-1] / "good.toml").params.temperature == 1.5


def test_who_covers_a_shipped_preset_is_told_and_gets_it_back(tmp_path: Path) -> None:
    shipped = run("presets", "show", "balanced").out
    saved = run("presets", "save", "balanced", "--set", "temperature=1.9")
    assert saved.status == 0
    assert "presets delete balanced brings that one back" in saved.error
    path = tmp_path / "balanced.json"
    path.write_text('{"temperature": 1.7, "top_k": 3}')
    assert "in place of the one that came with the program" in run("presets", "import", str(path)).error
    assert run("presets", "delete", "balanced").status == 0
    assert run("presets", "show", "balanced").out == shipped


def test_a_preset_with_nothing_that_can_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text('{"temperature": "hot", "genre": "jazz"}')
    assert "temperature: " in run("presets", "import", str(path)).error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_output_that_finds_no_room_is_a_sentence() -> None:
    with open("/dev/full", "wb") as full:
        process = start("presets", "list", stdout=full, stderr=subprocess.PIPE)
        _, told = process.communicate()
    assert (process.returncode, told.decode()) == (
        1,
        "llm-playground: The output cannot be written: no room is left. Make room first.\n",
    )


def test_an_unknown_preset_is_a_sentence() -> None:
    done = run("presets", "show", "nosuch")
    assert done.status == 2
    assert "nosuch" in done.error
