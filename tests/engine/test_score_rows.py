"""The divergence over the whole vocabulary, against two passes with the library alone in double precision."""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from playground.domain.messages import RawPrompt
from playground.domain.scoring import KeepRows, Score, ScoreRequest, compare_scores
from playground.engine.libllama import FLASH, KV_TYPES
from playground.engine.model import LoadedModel
from playground.engine.score_rows import Row, RowReader, RowWriter
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, log_softmax, opened
from tests.engine.test_score import TEXT, WORDS, begin, score

PLENTY = 2_000_000_000


def keep(path: Path, **changes: Any) -> KeepRows:
    return structs.replace(KeepRows(path=str(path), most_bytes=PLENTY, spare_bytes=0), **changes)


def rows(model: LoadedModel, ids: list[int], kv_type: str) -> NDArray[np.float64]:
    """Log-probabilities behind each of the tokens, from a context and one batch of the test's own."""
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads_batch = 1024, 512, 512, 1
    params.type_k = params.type_v = KV_TYPES[kv_type]
    params.flash_attn_type = FLASH["auto" if kv_type == "f16" else "on"]
    context = lib.llama_init_from_model(model.pointer, params)
    batch = lib.llama_batch_init(len(ids), 0, 1)
    for place, token in enumerate(ids):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    batch.n_tokens = len(ids)
    assert lib.llama_decode(context, batch) == 0
    found = [
        log_softmax(
            np.ctypeslib.as_array(lib.llama_get_logits_ith(context, place), (model.info.n_vocab,)).astype(float)
        )
        for place in range(len(ids))
    ]
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    return np.array(found)


def whole(p: NDArray[np.float64], q: NDArray[np.float64]) -> list[float]:
    """Divergence of q from p in bits, a row each."""
    divergences: list[float] = ((np.exp(p) * (p - q)).sum(axis=1) / math.log(2)).tolist()
    return divergences


def compared(first: LoadedModel, second: LoadedModel, text: str, path: Path) -> tuple[Score, Score]:
    one = score(Harness(first), text, keep=keep(path), top=20)
    other = score(Harness(second), text, against=str(path), top=20)
    return one, other


@pytest.mark.parametrize("kind", ["q4_0", "q8_0"])
def test_the_divergence_of_a_cache_type_is_that_over_the_whole_vocabulary(
    harness: Harness, starter_gguf: Path, tmp_path: Path, kind: str
) -> None:
    with opened(starter_gguf, context=1024, kv_type=kind, **ONE_THREAD) as other:
        first, second = compared(harness.model, other, TEXT, tmp_path / "rows")
        ids = [token.id or 0 for token in first.tokens][:-1]
        expected = whole(rows(harness.model, ids, "f16"), rows(other, ids, kind))
    assert stat.S_IMODE((tmp_path / "rows").stat().st_mode) == 0o600
    found = compare_scores(first, second)
    assert found.mean_kl == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert [one.kl for one in found.tokens[1:]] == pytest.approx(expected, abs=5e-4)
    assert found.tokens[0].kl is None
    assert found.mean_kl_kept is not None
    assert found.mean_kl_kept < sum(expected) / len(expected), "few candidates tell less"
    assert (found.why_bound, found.kl_text[:1]) == ("", "0")


def test_the_divergence_of_two_models_is_that_over_the_whole_vocabulary(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    """Their vocabulary is the same and their weights have nothing in common."""
    with opened(tiny_models("base"), **ONE_THREAD) as one, opened(tiny_models("sliding window"), **ONE_THREAD) as two:
        first, second = compared(one, two, WORDS, tmp_path / "rows")
        ids = [token.id or 0 for token in first.tokens][:-1]
        expected = whole(rows(one, ids, "f16"), rows(two, ids, "f16"))
    found = [one.kl for one in compare_scores(first, second).tokens[1:]]
    assert sum(expected) / len(expected) > 0.1
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_model_does_not_diverge_from_itself_by_any_rounding(harness: Harness, tmp_path: Path) -> None:
    first, second = compared(harness.model, harness.model, TEXT * 3, tmp_path / "rows")
    found = compare_scores(first, second)
    assert {one.kl for one in found.tokens[1:]} == {0.0}
    assert (found.mean_kl, found.kl_text) == (0.0, "0.0000")


def test_rows_of_a_reply_are_those_of_its_tokens(harness: Harness, tmp_path: Path) -> None:
    prompt, reply = TEXT[:40], tuple(harness.model.tokenize(TEXT[40:], special=True, begin=False))
    kept = keep(tmp_path / "rows")
    first = score(harness, prompt, reply_ids=reply, only_reply=True, keep=kept)
    again = score(harness, prompt, reply_ids=reply, only_reply=True, against=kept.path)
    assert len(again.divergences) == len(first.tokens) == len(reply)
    assert again.divergences == pytest.approx([0.0] * len(reply), abs=1e-3)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.0, 1.0, -1e30, 2.0], [0.5, 1.0, 3.0, 2.0]),
        ([0.0, 1.0, -math.inf, 2.0], [0.5, 1.0, -math.inf, 2.0]),
        ([0.0, 1.0, -3e38, 2.0], [0.5, 1.0, -3e38, 2.0]),
        ([-200.0, 100.0, 99.0, 0.0], [-1.0, 1.0, 2.0, 0.0]),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]),
        ([1e4, 1e4 - 1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_tokens_that_a_model_rules_out_count_for_nothing(
    tiny_models: TinyModels, tmp_path: Path, first: list[float], second: list[float]
) -> None:
    """Some models pad their vocabulary with tokens that can never come."""
    with opened(tiny_models("base"), **ONE_THREAD) as model:
        x, y = (np.tile(np.array(row, np.float32), model.info.n_vocab // 4 + 1) for row in (first, second))
        x, y = x[: model.info.n_vocab], y[: model.info.n_vocab]
        writer = RowWriter(model, keep(tmp_path / "rows"), 3)
        writer.keep(2, x)
        writer.close()
        reader = RowReader(model, str(tmp_path / "rows"))
        p, q = log_softmax(x.astype(float)), log_softmax(y.astype(float))
        log_sum = float(np.log(np.exp(y.astype(float) - y.max()).sum()) + y.max())
        found = reader.divergence(2, y, log_sum)
        reader.close()
    can = p > -60
    expected = float((np.exp(p[can]) * (p[can] - q[can])).sum() / math.log(2))
    assert found == pytest.approx(expected, abs=1e-4)


def test_what_is_too_large_is_not_kept(harness: Harness, tmp_path: Path) -> None:
    few = score(harness, TEXT, keep=keep(tmp_path / "few", most_bytes=1_000_000))
    assert few.no_rows.startswith("all distributions would take ")
    full = score(harness, TEXT, keep=keep(tmp_path / "full", spare_bytes=10**18))
    assert "the disk has no room" in full.no_rows
    gone = score(harness, TEXT, keep=keep(tmp_path / "nowhere" / "rows"))
    assert "No such file or directory" in gone.no_rows
    assert not any((tmp_path / name).exists() for name in ("few", "full", "nowhere"))
    assert few.tokens == full.tokens == gone.tokens


def test_a_disk_that_fills_up_ends_the_keeping_and_leaves_nothing(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([1, 1, 1])

    def write(self: Any, data: Any) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return FileIO.write(self, data)

    monkeypatch.setattr("playground.engine.score_rows.FileIO", type("Full", (FileIO,), {"write": write}))
    found = score(harness, TEXT, keep=keep(tmp_path / "rows"))
    assert found.no_rows == "the distributions cannot be kept on the disk (No space left on device)"
    assert not (tmp_path / "rows").exists()
    assert found.scored == len(found.tokens) - 1


def test_other_vocabularies_and_lost_rows_leave_the_bound_and_say_why(
    harness: Harness, tiny_models: TinyModels, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    first = score(harness, TEXT, keep=keep(path))
    with opened(tiny_models("chat"), **ONE_THREAD) as other:
        told = score(Harness(other), WORDS, against=str(path))
    assert told.divergences == ()
    assert told.no_rows.startswith("the vocabularies have 49,152 and ")
    data = bytearray(path.read_bytes())
    data[8] ^= 1
    path.write_bytes(data)
    assert score(harness, TEXT, against=str(path)).no_rows == "the vocabularies differ"
    data[8] ^= 1
    path.write_bytes(data[: len(data) // 2])
    short = score(harness, TEXT, against=str(path))
    assert (short.divergences, short.no_rows) == ((), "the first one's distributions cannot be read")
    found = compare_scores(first, short)
    assert (found.mean_kl, found.why_bound) == (None, short.no_rows)
    assert found.kl_text == "≥ 0.0000"


def test_a_score_that_is_withdrawn_takes_its_file_along(harness: Harness, tmp_path: Path) -> None:
    slow = Harness(harness.model, batch=32)
    begin(slow, ScoreRequest(prompt=RawPrompt(TEXT * 10), keep=keep(tmp_path / "rows")))
    slow.engine.step()
    assert (tmp_path / "rows").exists()
    slow.engine.questions.withdraw(1)
    assert not (tmp_path / "rows").exists()
    slow.finish()


@contextmanager
def aborting(model: LoadedModel) -> Iterator[None]:
    """The decode after this one is broken off, as by a stream that is stopped."""
    model.context.abort.raise_()
    yield
    assert model.context.abort._byte[0] == b"\x00", "it was"


def test_a_pass_that_had_to_begin_again_counts_each_token_once(tiny_models: TinyModels, tmp_path: Path) -> None:
    with opened(tiny_models("recurrent"), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        alone = score(harness, WORDS * 2, keep=keep(tmp_path / "rows"))
        again = begin(harness, ScoreRequest(prompt=RawPrompt(WORDS * 2), against=str(tmp_path / "rows")))
        harness.engine.step()
        harness.engine.step()
        with aborting(model):
            harness.engine.step()
        harness.finish()
    (found,) = again.answers
    assert isinstance(found, Score)
    assert [token.id for token in found.tokens] == [token.id for token in alone.tokens]
    assert found.divergences == (None, *[0.0] * alone.scored)


def test_a_row_loses_no_more_than_half_a_step() -> None:
    logits = np.linspace(-20.0, 30.0, 1000, dtype=np.float32)
    row = Row(1000)
    row.encode(logits)
    step, clipped = row.head
    assert clipped == 0
    assert step == pytest.approx(50 / 65535)
    assert np.abs(row.codes * step - 20.0 - logits).max() <= 0.51 * step
