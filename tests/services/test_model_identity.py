"""Which model it was: hashes that are computed once, and versions that cost no import."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from playground.domain.errors import ModelFileError
from playground.services import model_identity
from playground.services.model_identity import hash_file, known_hash, llama_cpp_version, setting_of
from tests.toy_model import TOY


async def test_the_hash_is_computed_once_and_again_when_the_file_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF one")
    assert known_hash(model) == ""
    first = await hash_file(model)
    assert first == hashlib.sha256(b"GGUF one").hexdigest() == known_hash(model)
    with monkeypatch.context() as patch:
        patch.setattr(model_identity, "_digest", None)
        assert await hash_file(model) == first, "nothing was read again"
    model.write_bytes(b"GGUF two")
    os.utime(model, ns=(1, 1))
    assert known_hash(model) == ""
    assert await hash_file(model) == hashlib.sha256(b"GGUF two").hexdigest()


async def test_a_split_model_has_one_hash_of_all_its_parts(tmp_path: Path) -> None:
    parts = [tmp_path / f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(part.name.encode())
    whole = await hash_file(parts[0])
    parts[1].write_bytes(b"another second part")
    assert await hash_file(parts[0]) != whole


async def test_a_file_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    assert known_hash(tmp_path / "gone.gguf") == ""
    with pytest.raises(ModelFileError, match=r"gone\.gguf"):
        await hash_file(tmp_path / "gone.gguf")


def test_a_hash_that_nobody_waits_for_any_more_is_given_up(tmp_path: Path) -> None:
    endless = tmp_path / "endless.gguf"
    endless.touch()
    os.truncate(endless, 1 << 40)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(hash_file(endless), 0.1))  # which waits for its threads


def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, sealed: Path) -> None:
    cache = sealed / "playground" / "cache" / "model-hashes.json"
    cache.parent.mkdir(parents=True)
    cache.write_text('{"x": 3')
    assert known_hash(tmp_path / "model.gguf") == ""


def test_the_version_is_told_without_loading_the_library() -> None:
    code = (
        "import sys; from playground.services.model_identity import llama_cpp_version; print(llama_cpp_version());"
        "print('llama_cpp' in sys.modules or 'numpy' in sys.modules)"
    )
    version, loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert version == llama_cpp_version()
    assert version[0].isdigit()
    assert loaded == "False"


def test_a_setting_says_what_the_reply_was_written_by() -> None:
    setting = setting_of("/models/toy.gguf", info=TOY, preset="balanced")
    assert setting.model_facts["architecture"] == TOY.architecture
    assert setting.llama_cpp_version
    hosted = setting_of("anthropic/claude", preset="balanced")
    assert (hosted.model_facts, hosted.llama_cpp_version) == ({}, "")
