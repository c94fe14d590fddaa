"""The GGUF header reader against real files, files written by another library, and damaged ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playground.domain.errors import ModelFileError
from playground.engine.gguf import GgufHeader, kv_bytes_per_token, read_header, recommended_params
from playground.engine.gguf_reader import Omitted
from playground.engine.gguf_types import FILE_TYPES, TENSOR_TYPES
from tests.conftest import TinyModels


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def header_bytes(*pairs: bytes, tensors: tuple[bytes, ...] = (), version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join((*pairs, *tensors))


def u32(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


def string(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def failure(path: Path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    return caught.value


def of(metadata: dict[str, Any]) -> GgufHeader:
    return GgufHeader(path="m.gguf", version=3, file_size=0, metadata=metadata, tensors=(), data_start=0)


def test_the_real_model(starter_gguf: Path) -> None:
    header = read_header(starter_gguf)
    assert (header.architecture, header.quantisation, header.size_label) == ("llama", "Q4_1", "135M")
    assert (header.context_length, header.block_count, header.vocab_size) == (8192, 30, 49152)
    assert header.parameters == 134_515_008
    assert header.needed_size == header.file_size == starter_gguf.stat().st_size
    assert header.metadata["tokenizer.ggml.merges"] == Omitted(48900)
    assert "<|im_start|>" in header.chat_template
    # 30 layers, keys and values, 3 heads of 64 numbers
    assert kv_bytes_per_token(header, "f16") == 30 * 2 * 3 * 64 * 2
    assert kv_bytes_per_token(header, "q8_0") == 30 * 2 * 3 * 64 * 34 // 32
    assert kv_bytes_per_token(header, "q4_0") == 30 * 2 * 3 * 64 * 18 // 32


def test_agrees_with_the_reference_reader(tiny_models: TinyModels) -> None:
    path = tiny_models("hybrid")
    reference, header = gguf.GGUFReader(path), read_header(path)
    assert [info.name for info in header.tensors] == [tensor.name for tensor in reference.tensors]
    for info, tensor in zip(header.tensors, reference.tensors, strict=True):
        assert info.shape == tuple(int(size) for size in tensor.shape)
        assert info.size == tensor.n_bytes
        assert header.data_start + info.offset == tensor.data_offset
    assert set(header.metadata) == {name for name in reference.fields if not name.startswith("GGUF.")}


def test_tables_agree_with_the_reference() -> None:
    for kind, (block, size) in gguf.GGML_QUANT_SIZES.items():
        assert TENSOR_TYPES[int(kind)] == (kind.name, block, size)
    for ftype in gguf.LlamaFileType:
        if ftype is not gguf.LlamaFileType.GUESSED:
            # Only a mixture's name says which experts it means.
            assert FILE_TYPES[int(ftype)] == ftype.name.split("_", 1)[1].removesuffix("_MOE")


def test_dominant_type_where_the_file_type_is_missing_or_guessed(tmp_path: Path) -> None:
    for ftype in (None, gguf.LlamaFileType.GUESSED | gguf.LlamaFileType.MOSTLY_F16):
        path = tmp_path / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        if ftype is not None:
            writer.add_file_type(ftype)
        writer.add_tensor("norm.weight", np.ones(64, dtype=np.float32))
        raw = np.zeros((64, 34 * 2), dtype=np.uint8)
        writer.add_tensor("big.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        header = read_header(path)
        assert header.quantisation == "Q8_0"
        assert header.size_label == "4.16K"


def test_reads_version_2_and_odd_values(tmp_path: Path) -> None:
    path = tmp_path / "v2.gguf"
    boolean = text("flag") + struct.pack("<IB", 7, 7)
    latin = text("name") + struct.pack("<IQ", 8, 2) + b"\xff\xfe"
    flags = text("pattern") + struct.pack("<IIQ3B", 9, 7, 3, 1, 0, 1)
    path.write_bytes(header_bytes(boolean, latin, flags, version=2))
    header = read_header(path)
    assert header.version == 2
    assert header.metadata["flag"] is True
    assert header.metadata["name"] == "\ufffd\ufffd"
    assert header.metadata["pattern"] == (True, False, True)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"GG", "starts with 'GG'"),
        (b"<!DOCTYPE html>", "not a GGUF file (it starts with '<!DO')"),
        (b"\x1b[2J" * 4, "starts with '␛[2J'"),
        (b"GGUF\x03", "cut off or damaged"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(16), "version 1"),
        (b"GGUF" + struct.pack("<I", 999) + bytes(16), "version 999"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "damaged header at byte 24"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "1,152,921,504,606,846,976 keys"),
        (header_bytes(struct.pack("<Q", 1 << 50)), "a name claims"),
        (header_bytes(text("a") + struct.pack("<IQ", 8, 1 << 50)), "runs past the end of the file"),
        (header_bytes(text("a") + struct.pack("<IIQ", 9, 8, 1 << 61)), "runs past the end of the file"),
        (header_bytes(text("a") + struct.pack("<IIQ", 9, 9, 1)), "items of type 9"),
        (header_bytes(text("a") + struct.pack("<I", 77)), "of type 77"),
        (header_bytes(u32("a", 1), u32("a", 2)), "'a' is there twice"),
        (header_bytes(u32("general.alignment", 33)), "alignment"),
        (header_bytes(tensors=(text("t") + struct.pack("<I", 9),)), "9 dimensions"),
        (header_bytes(tensors=(text("t") + struct.pack("<IQIQ", 1, 33, 2, 0),)), "rows of 33 numbers"),
        (header_bytes(tensors=(text("t") + struct.pack("<I3QIQ", 3, 1 << 40, 1 << 40, 1, 0, 0),)), "larger than"),
        (header_bytes(tensors=(text("t") + struct.pack("<IQIQ", 1, 32, 0, 1 << 50),)), "bytes are missing"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw)
    assert said in failure(path).message


def test_no_file_to_read(tmp_path: Path) -> None:
    assert "does not exist" in failure(tmp_path / "nothing.gguf").message
    assert "is a folder" in failure(tmp_path).message
    (tmp_path / "link.gguf").symlink_to(tmp_path / "gone")
    assert "does not exist" in failure(tmp_path / "link.gguf").message
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "not an ordinary file" in failure(tmp_path / "pipe.gguf").message
    assert "does not exist" in failure(tmp_path / "pipe.gguf" / "below").message
    assert "cannot be read" in failure(Path("a\0b")).message
    assert "\x1b" not in failure(tmp_path / "\x1b[31m\n.gguf").message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(header_bytes())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "no permission" in failure(path).message


def test_a_cut_off_file_says_how_much_is_missing(tmp_path: Path, tiny_models: TinyModels) -> None:
    raw = tiny_models("base").read_bytes()
    needed = read_header(tiny_models("base")).needed_size
    path = tmp_path / "cut.gguf"
    path.write_bytes(raw[: needed - 1000])
    assert f"1,000 of {needed:,} bytes are missing" in failure(path).message
    path.write_bytes(raw[:needed])
    assert read_header(path).missing_bytes == 0


def test_long_values_are_measured_and_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.gguf"
    numbers = text("n") + struct.pack("<IIQ", 9, 0, 5000) + bytes(5000)
    strings = text("s") + struct.pack("<IIQ", 9, 8, 5000) + text("ab") * 4999 + text("c" * 600_000)
    path.write_bytes(header_bytes(numbers, strings, string("t", "x" * (1 << 21)), u32("last", 7)))
    header = read_header(path)
    assert header.metadata == {"n": Omitted(5000), "s": Omitted(5000), "t": Omitted(1 << 21), "last": 7}


def test_a_header_that_wants_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "greedy.gguf"
    path.write_bytes(header_bytes(*(string(f"k{number}", "x" * (1 << 20)) for number in range(17))))
    assert "more than any model needs" in failure(path).message
    with path.open("wb") as file:
        file.write(header_bytes(text("s") + struct.pack("<IIQ", 9, 8, 5_000_000)))
        file.truncate(100_000_000)
    assert "5,000,000 strings" in failure(path).message
    with path.open("wb") as file:
        file.write(header_bytes(text("s") + struct.pack("<IIQ", 9, 8, 2000) + struct.pack("<Q", 1 << 29)))
        file.truncate(1 << 30)
    assert "larger than any model's" in failure(path).message


def kv(architecture: str, **values: Any) -> int | None:
    return kv_bytes_per_token(of({"general.architecture": architecture} | _prefixed(architecture, values)), "f16")


def _prefixed(architecture: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{architecture}.{name.replace('__', '.')}": value for name, value in values.items()}


def test_bytes_of_context(tiny_models: TinyModels) -> None:
    plain = {"block_count": 4, "embedding_length": 64, "attention__head_count": 4}
    assert kv("llama", **plain) == 4 * 4 * (16 + 16) * 2
    assert kv("llama", **plain, attention__head_count_kv=2) == 4 * 2 * (16 + 16) * 2
    assert kv("llama", **plain, attention__key_length=32, attention__value_length=8) == 4 * 4 * (32 + 8) * 2
    assert kv("jamba", **plain, attention__head_count_kv=(0, 2, 0, 2)) == 4 * (16 + 16) * 2
    assert kv("qwen3next", **plain, attention__head_count_kv=2, full_attention_interval=4) == 2 * (16 + 16) * 2
    assert kv("gemma3n", **plain, attention__head_count_kv=2, attention__shared_kv_layers=3) == 2 * (16 + 16) * 2
    assert kv("mamba", block_count=4, embedding_length=64, attention__head_count=0) == 0
    assert kv("llama", embedding_length=64) is None
    assert kv("llama", block_count=4, attention__head_count=4) is None
    assert kv("llama", **plain | {"block_count": 1 << 40}) is None
    assert kv_bytes_per_token(read_header(tiny_models("recurrent")), "f16") == 0


def test_recommended_parameters(tiny_models: TinyModels) -> None:
    assert recommended_params(read_header(tiny_models("chat"))) == {"temperature": 0.7, "top_k": 20}
    header = of(
        {
            "general.sampling.temp": 0.6000000238418579,
            "general.sampling.penalty_repeat": 1.1,
            "general.sampling.penalty_last_n": 128,
            "general.sampling.mirostat": True,
            "general.sampling.top_p": 1.5,
            "general.sampling.top_k": 2.5,
            "general.sampling.min_p": float("nan"),
            "general.sampling.sequence": "kpt",
            "general.sampling.seed": 3,
            "x.general.sampling.temp": 2.0,
        }
    )
    assert recommended_params(header) == {"temperature": 0.6, "repeat_penalty": 1.1, "penalty_last_n": 128}


def _only_model_file_errors(path: Path) -> None:
    try:
        header = read_header(path)
    except ModelFileError:
        return
    for name in ("quantisation", "parameters", "size_label", "vocab_size", "split", "chat_template", "name", "kind"):
        getattr(header, name)
    kv_bytes_per_token(header, "q8_0")
    recommended_params(header)


FUZZ = settings(max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(data=st.data())
def test_damaged_headers_raise_nothing_else(tmp_path: Path, tiny_models: TinyModels, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["chat", "recurrent", "projector"]))
    raw = bytearray(tiny_models(kind).read_bytes()[:20_000])
    places = st.integers(0, len(raw) - 1) | st.integers(0, min(1500, len(raw) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        raw[place] = value
    path = tmp_path / "fuzz.gguf"
    path.write_bytes(raw[: data.draw(st.just(len(raw)) | st.integers(0, len(raw)))])
    with path.open("r+b") as file:  # room behind the header, so that the facts are reached too
        file.truncate(data.draw(st.sampled_from([len(raw), 1_000_000])))
    _only_model_file_errors(path)


@FUZZ
@given(tail=st.binary(max_size=400), tensors=st.integers(0, 5), keys=st.integers(0, 5))
def test_garbage_raises_nothing_else(tmp_path: Path, tail: bytes, tensors: int, keys: int) -> None:
    path = tmp_path / "garbage.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + tail)
    _only_model_file_errors(path)
