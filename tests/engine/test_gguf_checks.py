"""Files that hold no text model, and models in several files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from playground.domain.errors import ModelFileError
from playground.engine.gguf import GgufHeader, read_header
from playground.engine.gguf_checks import check_model_file, check_text_model, is_later_part, split_parts
from playground.engine.gguf_reader import TensorInfo
from tests.conftest import TinyModels
from tests.tiny_models import GENERATING


def of(**metadata: Any) -> GgufHeader:
    named = {name.replace("__", "."): value for name, value in metadata.items()}
    tensors = (TensorInfo("t", (32,), 0, 0),)
    return GgufHeader(path="m.gguf", version=3, file_size=128, metadata=named, tensors=tensors, data_start=0)


def refusal(header: GgufHeader) -> str:
    with pytest.raises(ModelFileError) as caught:
        check_text_model(header)
    assert caught.value.hint.endswith(".")
    return caught.value.message


@pytest.mark.parametrize("kind", GENERATING)
def test_models_that_write_text_pass(tiny_models: TinyModels, kind: str) -> None:
    check_model_file(tiny_models(kind))


def test_the_real_model_passes(starter_gguf: Path) -> None:
    assert check_model_file(starter_gguf).architecture == "llama"


def test_other_files_are_refused_by_what_they_are(tiny_models: TinyModels) -> None:
    assert "an embedding model (bert)" in refusal(read_header(tiny_models("embedding")))
    assert "the vision part" in refusal(read_header(tiny_models("projector")))
    assert "a LoRA adapter" in refusal(of(general__type="adapter", general__architecture="llama"))
    assert "importance matrix" in refusal(of(general__type="imatrix"))
    assert "the vision part" in refusal(of(general__architecture="clip"))
    assert "an audio model (whisper)" in refusal(of(general__architecture="whisper"))
    assert "an image or video model (flux)" in refusal(of(general__architecture="flux"))
    assert "diffusion language" in refusal(of(general__architecture="dream"))
    assert "encoder-decoder" in refusal(of(general__architecture="t5"))
    assert "embedding or ranking" in refusal(of(general__architecture="qwen3", qwen3__pooling_type=3))
    assert "embedding or ranking" in refusal(of(general__architecture="gemma3", gemma3__attention__causal=False))
    assert "which architecture" in refusal(of(general__name="x"))
    assert "part 2 of 3" in refusal(of(general__architecture="llama", split__no=1, split__count=3))
    check_text_model(of(general__architecture="llama", llama__pooling_type=0))
    check_text_model(of(general__architecture="an-architecture-of-next-year"))
    vocabulary = GgufHeader(
        path="v.gguf", version=3, file_size=9, metadata={"general.architecture": "llama"}, tensors=(), data_start=0
    )
    assert "only a vocabulary" in refusal(vocabulary)


def test_the_parts_of_a_split_model(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    for path in parts:
        path.touch()
    assert split_parts(parts[0]) == tuple(parts)
    assert split_parts(tmp_path / "whole.gguf") == (tmp_path / "whole.gguf",)
    assert split_parts(tmp_path / "odd-00009-of-00003.gguf") == (tmp_path / "odd-00009-of-00003.gguf",)
    with pytest.raises(ModelFileError, match=r"part 2 of 3.*m-00001-of-00003\.gguf"):
        split_parts(parts[1])
    parts[2].unlink()
    with pytest.raises(ModelFileError, match=r"1 of them are missing.*m-00003-of-00003\.gguf"):
        split_parts(parts[0])
    assert [is_later_part(path.name) for path in parts] == [False, True, True]
    assert not is_later_part("m-00002-of-00003.gguf.part")


def test_every_part_is_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=1)
    for name in ("a", "b"):
        writer.add_tensor(name, np.ones(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    first, second = sorted(tmp_path.glob("*.gguf"))
    assert check_model_file(first).split == (0, 2)
    second.write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"m-00002-of-00002\.gguf is empty"):
        check_model_file(first)


def test_a_part_under_a_name_of_its_own(tmp_path: Path, tiny_models: TinyModels) -> None:
    for number in (1, 2):
        shutil.copy(tiny_models("base"), tmp_path / f"m-{number:05d}-of-00002.gguf")
    with pytest.raises(ModelFileError, match="made as 1 file"):
        check_model_file(tmp_path / "m-00001-of-00002.gguf")
