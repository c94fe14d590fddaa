"""Loading: what a model turns out to be, and the options it is loaded with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from playground.domain.errors import OutOfMemory
from playground.engine import memory
from playground.engine.memory import fit_context
from playground.engine.model import LoadedModel
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, opened, request

MIB = 1 << 20


def test_what_the_real_model_is(loaded_starter: LoadedModel) -> None:
    info = loaded_starter.info
    assert (info.architecture, info.quantisation, info.vocab_type) == ("llama", "Q4_1", "BPE")
    assert (info.n_ctx, info.n_ctx_train, info.n_vocab) == (1024, 8192, 49152)
    assert info.parameters == 134_515_008
    assert (info.memory_kind, info.can_cut, info.is_chat) == ("attention", True, True)
    assert (info.device, info.gpu_layers) == ("CPU", 0)
    assert info.kv_bytes_per_token == 30 * 3 * 64 * 2 * 2
    assert info.load_ms > 0


@pytest.mark.parametrize(
    ("kind", "vocabulary", "memory_kind", "cut"),
    [
        ("base", "SPM", "attention", True),
        ("chat", "BPE", "attention", True),
        ("sliding window", "SPM", "sliding window", False),
        ("recurrent", "BPE", "recurrent", False),
        ("hybrid", "BPE", "hybrid", False),
    ],
)
def test_every_kind_of_model(tiny_models: TinyModels, kind: str, vocabulary: str, memory_kind: str, cut: bool) -> None:
    with opened(tiny_models(kind), **ONE_THREAD) as model:
        info = model.info
        assert (info.vocab_type, info.memory_kind, info.can_cut) == (vocabulary, memory_kind, cut)
        assert (info.n_ctx, info.context_decided_by) == (2048, "model")
        assert info.is_chat == (kind == "chat")
        assert info.recommended == ({"temperature": 0.7, "top_k": 20} if kind == "chat" else {})


@pytest.mark.parametrize(
    "options",
    [
        {"kv_type": "q8_0"},
        {"kv_type": "q4_0"},
        {"flash_attention": "on"},
        {"flash_attention": "off"},
        {"batch": 7},
        {"streams": 1},
        {"mmap": False},
    ],
    ids=str,
)
def test_every_option_writes_the_same_first_words(
    starter_gguf: Path, loaded_starter: LoadedModel, options: dict[str, Any]
) -> None:
    text = "The capital of France is"
    reference = Harness(loaded_starter)
    reference.run(request(1, text, max_tokens=1))
    reference.engine.forget()
    with opened(starter_gguf, context=256, **ONE_THREAD, **options) as model:
        harness = Harness(model, batch=options.get("batch", 512), streams=options.get("streams", 8))
        harness.run(request(1, text, max_tokens=3))
        assert harness.ids(1)[:1] == reference.ids(1)
        assert model.info.kv_type == options.get("kv_type", "f16")


def test_a_context_in_figures() -> None:
    as_trained = fit_context(wanted=0, trained=8192, kv_bytes_per_token=1000, free_bytes=4096 * MIB)
    assert (as_trained.n_ctx, as_trained.decided_by) == (8192, "model")
    capped = fit_context(wanted=0, trained=131072, kv_bytes_per_token=100_000, free_bytes=1024 * MIB)
    assert capped.decided_by == "memory"
    assert 512 <= capped.n_ctx < 10_000
    assert capped.n_ctx % 256 == 0
    assert "131,072" in capped.note
    assert "1.07 GB" in capped.note
    assert fit_context(wanted=0, trained=8192, kv_bytes_per_token=1000, free_bytes=0).n_ctx == 512
    on_gpu = fit_context(wanted=0, trained=8192, kv_bytes_per_token=10**9, free_bytes=None)
    assert (on_gpu.n_ctx, on_gpu.decided_by) == (8192, "model")
    assert fit_context(wanted=0, trained=0, kv_bytes_per_token=0, free_bytes=MIB).n_ctx >= 512


def test_a_context_as_set() -> None:
    as_set = fit_context(wanted=1000, trained=8192, kv_bytes_per_token=1000, free_bytes=1024 * MIB)
    assert (as_set.n_ctx, as_set.decided_by) == (1024, "setting")
    assert "rounded up from 1,000" in as_set.note
    more = fit_context(wanted=16384, trained=8192, kv_bytes_per_token=1000, free_bytes=1024 * MIB)
    assert "more than the 8,192 it was trained for" in more.note
    with pytest.raises(OutOfMemory, match=r"only 10\.5 MB") as caught:
        fit_context(wanted=16384, trained=8192, kv_bytes_per_token=1000, free_bytes=10 * MIB)
    assert "9,216 or less" in caught.value.hint


def test_a_container_limits_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "max", tmp_path / "current"
    limit.write_text(f"{300 * MIB}\n")
    used.write_text(f"{100 * MIB}\n")
    monkeypatch.setattr(memory, "_CGROUP", ((limit, used), (tmp_path / "none", used)))
    assert memory.available_bytes() == 200 * MIB
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {30 * MIB}\n")
    assert memory.available_bytes() == 230 * MIB, "copies of files that nobody uses make room"
    limit.write_text("max\n")
    assert memory.available_bytes() > 200 * MIB


def test_weights_that_do_not_fit_are_refused_before_they_are_read(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 50 * MIB)
    with pytest.raises(OutOfMemory, match=r"only 52\.4 MB"), opened(starter_gguf, mmap=False):
        pass


def test_workers_that_compute_at_the_same_time_divide_the_cores(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    with opened(tiny_models("base"), context=256) as model:
        model.share_cores(2)
        assert model.context.threads == (4, 8)
        model.share_cores(100)
        assert model.context.threads == (1, 1)
        model.share_cores(1)
        assert model.context.threads == (8, 16)
    with opened(tiny_models("base"), context=256, threads=3, threads_batch=5) as model:
        model.share_cores(2)
        assert model.context.threads == (3, 5), "what was set is little enough"
        model.share_cores(4)
        assert model.context.threads == (2, 4)
