"""`llm-playground models`: what is on disk, getting more over real sockets, and taking it away again."""

from __future__ import annotations

import hashlib
import os
import pty
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.services.model_folders import own_folder
from playground.services.settings import save_setting, settings_path
from playground.services.suggestions import SUGGESTIONS
from tests.cli.support import run, start
from tests.conftest import TinyModels
from tests.fakes.model_hub import FakeHub, fake_hub

REPOSITORY = "acme/Tiny-GGUF"


@pytest.fixture
def hub(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    data = tiny_models("chat").read_bytes()
    with fake_hub() as fake:
        fake.repositories = {REPOSITORY: {"tiny-Q4_K_M.gguf": data, "tiny-F32.gguf": data, "mmproj-tiny.gguf": b"x"}}
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def test_a_model_is_pulled_listed_described_and_removed(hub: FakeHub) -> None:
    pulled = run("models", "pull", REPOSITORY)
    assert pulled.status == 0
    path = Path(pulled.out.strip())
    assert path == own_folder() / REPOSITORY / "tiny-Q4_K_M.gguf"
    assert "Q4_K_M of acme/Tiny-GGUF" in pulled.err
    assert "licence apache-2.0" in pulled.err
    assert "There is also: F32." in pulled.err
    assert "\r" not in pulled.err, "no progress on a pipe"
    listed = next(line for line in run("models", "list").out.splitlines() if line.startswith("tiny-Q4_K_M"))
    assert "fits" in listed
    assert listed.endswith("pulled")
    (told,) = run("models", "info", "tiny-Q4_K_M", "--hash", "--json").objects
    assert told["sha256"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    assert (told["came_from"], told["licence"]) == (f"{REPOSITORY} at {hub.commit[:12]}", "apache-2.0")
    again = run("models", "pull", REPOSITORY, "--json")
    assert (again.objects[0]["was_there"], again.objects[0]["path"]) == (True, str(path))
    removed = run("models", "remove", "tiny-Q4_K_M")
    assert removed.status == 0
    assert "freed" in removed.out
    assert [*own_folder().iterdir()] == []
    assert run("models", "info", "tiny-Q4_K_M").status == 2


def test_the_memory_of_a_model_is_weights_and_cache(starter_gguf: Path) -> None:
    (model,) = run("models", "list", "--context", "1000", "--json").objects
    weights = starter_gguf.stat().st_size
    assert (model["source"], model["architecture"], model["n_ctx_train"]) == ("starter", "llama", 8192)
    memory = model["memory"]
    assert memory["context"] == 1024
    assert memory["kv_bytes"] == 2 * 30 * 3 * 64 * 1024 * 2
    assert memory["total_bytes"] == weights + memory["kv_bytes"]
    save_setting(settings_path(), "load.kv_type", "q8_0")
    (smaller,) = run("models", "list", "--context", "1000", "--json").objects
    assert smaller["memory"]["kv_bytes"] == memory["kv_bytes"] * 17 // 32
    shown = run("models", "info", "starter").out
    facts = {line[:15].strip(): line[16:] for line in shown.splitlines()}
    assert (facts["layers"], facts["KV heads"], facts["head size"]) == ("30", "3", "64")
    assert (facts["vocabulary"], facts["chat template"]) == ("49,152", "yes")


@pytest.mark.parametrize(("kind", "grows"), [("recurrent", False), ("hybrid", True), ("sliding window", True)])
def test_models_with_another_kind_of_memory(tiny_models: TinyModels, tmp_path: Path, kind: str, grows: bool) -> None:
    path = Path(shutil.copy(tiny_models(kind), tmp_path / "model.gguf"))
    (told,) = run("models", "info", str(path), "--json").objects
    small, *_, large = told["memory"] if len(told["memory"]) > 1 else told["memory"] * 2
    assert (told["kv_bytes_per_token"] > 0) is grows
    assert large["kv_bytes"] == told["kv_bytes_per_token"] * large["context"]
    assert small["total_bytes"] >= path.stat().st_size


def test_a_model_that_cannot_be_used_is_listed_with_the_reason(tmp_path: Path, tiny_models: TinyModels) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "cut.gguf").write_bytes(tiny_models("chat").read_bytes()[:2000])
    (folder / "evil\x1b[31m.gguf").write_bytes(b"GGUF")
    (folder / "odd\udcff.gguf").write_bytes(b"GGUF")
    save_setting(settings_path(), "models.folders", [str(folder)])
    done = run("models", "list")
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "damaged" in done.out or "cut off" in done.out
    assert {one["name"]: one["memory"] for one in run("models", "list", "--json").objects}["cut"] is None


def test_without_a_name_good_small_models_are_suggested() -> None:
    shown = run("models", "pull").out
    for one in SUGGESTIONS:
        assert f"llm-playground models pull {one.reference}" in shown
        assert one.licence in shown
    assert "≈ 105 MB" in shown


def test_what_a_repository_has_is_listed_without_fetching(hub: FakeHub) -> None:
    done = run("models", "pull", REPOSITORY, "--files", "--json")
    assert sorted(one["quantisation"] for one in done.objects) == ["F32", "Q4_K_M"]
    assert not hub.files_asked()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["acme/Tiny-GGUF:Q9_K"], 2, "has no Q9_K. There is: F32, Q4_K_M."),
        (["acme/Tny-GGUF"], 2, "There is: acme/Tiny-GGUF."),
        (["nothing"], 2, "is not the name of a repository"),
        (["acme/Tiny-GGUF/../../x.gguf"], 2, "not safe on this computer"),
        (["acme/Tiny-GGUF", "--endpoint", "http://127.0.0.1:9/"], 1, "cannot be reached"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_a_status(hub: FakeHub, arguments: list[str], status: int, said: str) -> None:
    done = run("models", "pull", *arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err.splitlines()[-1]


def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(hub: FakeHub) -> None:
    data = b"GGUF" + os.urandom(2_999_996)
    hub.repositories[REPOSITORY] = {"big-Q8_0.gguf": data}
    hub.hold_after = 2_000_000
    process = start("models", "pull", REPOSITORY)
    try:
        assert hub.held.wait(60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"The same command goes on from there." in err
    assert "big-Q8_0.gguf: pull stopped at" in run("models", "list").out
    hub.hold_after = None
    hub.let_go.set()
    done = run("models", "pull", REPOSITORY)
    assert done.status == 0
    assert "Going on with big-Q8_0.gguf" in done.err
    assert Path(done.out.strip()).read_bytes() == data


def test_progress_is_drawn_on_a_terminal(hub: FakeHub) -> None:
    hub.repositories[REPOSITORY] = {"big-Q8_0.gguf": b"GGUF" + os.urandom(2_999_996)}
    ours, theirs = pty.openpty()
    try:
        process = start("models", "pull", REPOSITORY, stderr=theirs)
        out, _ = process.communicate(timeout=60)
        drawn = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0
    assert out.decode().strip().endswith("big-Q8_0.gguf")
    assert "of 3 MB" in drawn
    assert "big-Q8_0.gguf" in drawn


def test_models_of_other_programs_are_left_alone(sealed: Path, tiny_models: TinyModels) -> None:
    theirs = sealed / ".lmstudio/models/org/repo/theirs.gguf"
    theirs.parent.mkdir(parents=True)
    shutil.copy(tiny_models("chat"), theirs)
    link = own_folder().parent / "link.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    for name in ("theirs", str(theirs), str(link)):
        done = run("models", "remove", name, "--yes")
        assert (done.status, theirs.exists()) == (2, True)
        assert "belongs to LM Studio and is left alone. Remove it in LM Studio" in done.error
    assert "starter package" in run("models", "remove", "starter", "--yes").error


def test_a_model_in_a_folder_of_the_person_wants_a_yes(tmp_path: Path, tiny_models: TinyModels) -> None:
    model, letter = tmp_path / "mine.gguf", tmp_path / "letter.txt"
    shutil.copy(tiny_models("chat"), model)
    letter.write_text("dear")
    refused = run("models", "remove", str(model))
    assert (refused.status, model.exists()) == (2, True)
    assert "Give --yes" in refused.error
    assert run("models", "remove", str(model), "--yes").status == 0
    assert not model.exists()
    assert run("models", "remove", str(letter), "--yes").status == 2
    assert letter.exists()


def test_all_parts_of_a_split_model_go_together(hub: FakeHub, tiny_models: TinyModels) -> None:
    names = [f"big-Q8_0-0000{part}-of-00002.gguf" for part in (1, 2)]
    hub.repositories[REPOSITORY] = dict.fromkeys(names, tiny_models("chat").read_bytes())
    assert run("models", "pull", REPOSITORY).status == 0
    folder = own_folder() / REPOSITORY
    assert {path.name for path in folder.glob("*.gguf")} == {*names}
    assert run("models", "remove", names[0].removesuffix(".gguf")).status == 0
    assert [*own_folder().iterdir()] == []
