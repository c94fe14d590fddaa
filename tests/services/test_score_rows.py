"""Two views of a text through worker processes: distributions lie in a folder that goes, whatever happens."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from playground.backends.local import LocalBackend
from playground.domain.errors import EngineDied
from playground.domain.models import LoadOptions
from playground.domain.score_texts import own_text
from playground.domain.scoring import Score
from playground.services import score_rows
from playground.services.model_pool import ModelPool
from playground.services.score_views import View, view_of_file
from playground.services.scorer import Scorer, Second
from playground.services.settings import Settings

TEXT = "The river rises in the hills above the old town, where the water is cold and clear. "
OPTIONS = LoadOptions(context=1024, threads=1, threads_batch=1, batch=64)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


@pytest.fixture
def starter(starter_gguf: Path) -> View:
    return view_of_file(str(starter_gguf), "here", OPTIONS)


def cached_in(kind: str, view: View) -> View:
    """The same file with another KV cache."""
    return view._replace(name=f"KV cache {kind}", options=structs.replace(OPTIONS, kv_type=kind))


@asynccontextmanager
async def scoring(text: str = TEXT * 3) -> AsyncIterator[tuple[Scorer, list[str]]]:
    """A scorer and what it said it was doing."""
    told: list[str] = []
    pool = ModelPool(Settings())
    scorer = Scorer(pool, own_text(text), lambda what, _share: told.append(what))
    try:
        yield scorer, told
    finally:
        await scorer.close()
        await pool.close_all()


def files(place: Path) -> Iterator[Path]:
    return (path for path in place.rglob("*") if path.is_file())


def left(place: Path) -> list[Path]:
    """Everything that is in the folder of temporary folders."""
    return list(place.iterdir())


async def under_way(scorer: Scorer, starter: View) -> asyncio.Task[Score]:
    """A first view of which the beginning is computed."""
    some, told = asyncio.Event(), scorer._tell

    def tell(what: str, share: float) -> None:
        told(what, share)
        if " reads: " in what:
            some.set()

    scorer._tell = tell
    task = asyncio.create_task(scorer.first(starter, compare=True))
    await some.wait()
    return task


def divergence(second: Second) -> tuple[float | None, str]:
    assert second.comparison is not None
    return second.comparison.mean_kl, second.comparison.why_bound


async def test_rows_lie_with_their_owner_alone_serve_several_views_and_go(starter: View, place: Path) -> None:
    async with scoring() as (scorer, _):
        await scorer.first(starter)
        (rows,) = files(place)
        assert stat.S_IMODE(rows.stat().st_mode) == 0o600
        assert stat.S_IMODE(rows.parent.stat().st_mode) == 0o700
        known = [divergence(await scorer.second(cached_in(kind, starter))) for kind in ("q8_0", "q4_0")]
        assert [why for _, why in known] == ["", ""]
        (less, more) = [kl for kl, _ in known]
        assert less is not None
        assert more is not None
        assert 0.0 < less < more
    assert left(place) == []


async def test_what_was_too_large_unasked_is_read_once_more_and_then_known(
    starter: View, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.services.scorer.UNASKED_BYTES", 1_000_000)
    async with scoring() as (scorer, told):
        await scorer.first(starter)
        assert list(files(place)) == []
        told.clear()
        kl, why = divergence(await scorer.second(cached_in("q4_0", starter)))
        assert (kl is not None, why) == (True, "")
        assert told[0] == f"{starter.name} reads"
        told.clear()
        assert divergence(await scorer.second(cached_in("q4_0", starter)))[0] == pytest.approx(kl)
        assert not [line for line in told if line.startswith(f"{starter.name} reads")], "once is enough"


async def test_what_is_too_large_for_the_disk_leaves_the_bound(
    starter: View, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_rows, "_SPARE_BYTES", 10**18)
    async with scoring() as (scorer, _):
        await scorer.first(starter, compare=True)
        kl, why = divergence(await scorer.second(cached_in("q4_0", starter)))
        assert kl is None
        assert why.startswith("the disk has no room for ")
        assert list(files(place)) == []


async def test_without_a_temporary_folder_there_is_a_bound_and_the_reason(
    starter: View, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    async with scoring() as (scorer, _):
        score = await scorer.first(starter, compare=True)
        assert score.no_rows == "there can be no temporary folder: No such file or directory"
        kl, why = divergence(await scorer.second(cached_in("q4_0", starter)))
        assert (kl, why) == (None, score.no_rows)


async def test_a_worker_that_dies_is_one_sentence_and_leaves_nothing(starter: View, place: Path) -> None:
    async with scoring(TEXT * 45) as (scorer, _):
        first = await under_way(scorer, starter)
        assert len(list(files(place))) == 1
        backend = scorer._first
        assert isinstance(backend, LocalBackend)
        psutil.Process(backend.pid).kill()
        with pytest.raises(EngineDied, match="ended unexpectedly"):
            await first
    assert left(place) == []


async def test_a_score_that_is_cancelled_leaves_nothing(starter: View, place: Path) -> None:
    async with scoring(TEXT * 45) as (scorer, _):
        first = await under_way(scorer, starter)
        assert len(list(files(place))) == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert left(place) == []
