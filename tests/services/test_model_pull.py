"""Fetching a model over real sockets: whatever goes wrong on the way, the file is right in the end, or it is said."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from playground.domain.errors import (
    BadReply,
    ConfigError,
    KeyMissing,
    KeyRefused,
    PlaygroundError,
    RateLimited,
    RequestRefused,
    RunFailed,
    ServerFailed,
    ServerUnreachable,
)
from playground.services.hub_address import USUAL, find_hub
from playground.services.hub_names import parse_reference
from playground.services.hub_offers import look_up
from playground.services.model_folders import own_folder
from playground.services.model_hub import HubClient
from playground.services.model_pull import Progress, Pulled, Puller
from playground.services.models import find_models
from tests.fakes.model_hub import FakeHub, fake_hub

REPOSITORY = "acme/Tiny-GGUF"
NAME = "tiny-Q4_K_M.gguf"
SIZE = 3_000_001
DATA = b"GGUF" + random.Random(7).randbytes(SIZE - 4)
TOKEN = "hf_0123456789secret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as fake:
        fake.repositories = {REPOSITORY: {NAME: DATA, "README.md": b"Hello", "tiny-Q8_0.gguf": DATA[:-1]}}
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


class Heard(NamedTuple):
    """What a pull told, and how long it wanted to wait."""

    said: list[str]
    waits_s: list[float]
    reports: list[Progress]


def _heard() -> Heard:
    return Heard([], [], [])


async def _pull(heard: Heard | None = None, reference: str = REPOSITORY) -> Pulled:
    heard = heard or _heard()

    async def pause(seconds: float) -> None:
        heard.waits_s.append(seconds)
        await asyncio.sleep(0)

    async with HubClient(find_hub(), heard.said.append, pause) as client:
        offer = await look_up(client, parse_reference(reference))
        return await Puller(client, offer, heard.reports.append).pull()


def _files() -> dict[str, int]:
    folder = own_folder()
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _starts(hub: FakeHub) -> list[int]:
    """Offsets that files were asked for from."""
    ranges = [one.headers.get("range", "bytes=0-") for one in hub.files_asked()]
    return [int(one.removeprefix("bytes=").removesuffix("-")) for one in ranges]


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another thread or process
            await asyncio.sleep(0.01)


async def _stopped_at(hub: FakeHub, size: int) -> None:
    """A pull that is cancelled after so many bytes, as Ctrl+C does it."""
    hub.hold_after = size
    task = asyncio.ensure_future(_pull())
    await asyncio.to_thread(hub.held.wait, 30)
    part = own_folder() / REPOSITORY / f"{NAME}.part"
    await _until(lambda: part.exists() and part.stat().st_size >= size // 2)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    hub.hold_after = None
    hub.let_go.set()


async def test_a_model_is_fetched_checked_and_found(hub: FakeHub) -> None:
    heard = _heard()
    pulled = await _pull(heard)
    assert pulled.path == own_folder() / REPOSITORY / NAME
    assert pulled.path.read_bytes() == DATA
    assert (pulled.checked, pulled.was_there, pulled.quantisation) == (True, False, "Q4_K_M")
    assert _files() == {
        f"{REPOSITORY}/{NAME}": SIZE,
        f"{REPOSITORY}/{NAME}.json": _files()[f"{REPOSITORY}/{NAME}.json"],
    }
    last = heard.reports[-1]
    assert (last.done_bytes, last.total_bytes, last.parts) == (SIZE, SIZE, 1)
    assert [(model.path, model.source) for model in find_models() if model.source == "pulled"] == [
        (str(pulled.path), "pulled")
    ]
    asked = len(hub.files_asked())
    assert (await _pull()).was_there
    assert len(hub.files_asked()) == asked


async def test_a_download_that_is_cut_twenty_times_is_right_in_the_end(hub: FakeHub) -> None:
    hub.cuts = [random.Random(at).randrange(1, SIZE // 15) for at in range(20)]
    heard = _heard()
    pulled = await _pull(heard)
    assert hashlib.sha256(pulled.path.read_bytes()).hexdigest() == hashlib.sha256(DATA).hexdigest()
    starts = _starts(hub)
    assert len(starts) == 21
    assert starts == sorted(set(starts)), "each goes on where the one before it ended"
    assert sum(heard.waits_s) < 5
    done = [report.done_bytes for report in heard.reports]
    assert done == sorted(done)


async def test_a_connection_that_brings_nothing_is_given_up_in_the_end(hub: FakeHub) -> None:
    hub.cuts = [500_000, *[0] * 50]
    heard = _heard()
    with pytest.raises(ServerUnreachable, match="broke"):
        await _pull(heard)
    assert 5 <= len(heard.waits_s) <= 8
    assert _files()[f"{REPOSITORY}/{NAME}.part"] == 500_000
    hub.cuts = []
    assert (await _pull()).path.read_bytes() == DATA
    assert _starts(hub)[-1] == 500_000


async def test_what_came_before_ctrl_c_is_not_fetched_again(hub: FakeHub) -> None:
    await _stopped_at(hub, 2_000_000)
    kept = _files()[f"{REPOSITORY}/{NAME}.part"]
    assert not [model for model in find_models() if model.source == "pulled"]
    heard = _heard()
    assert (await _pull(heard)).path.read_bytes() == DATA
    assert _starts(hub)[-1] == kept >= 1_000_000
    assert any(f"Going on with {NAME}" in line for line in heard.said)


@pytest.mark.parametrize("names_checksums", [True, False])
async def test_a_file_that_changed_meanwhile_begins_anew(hub: FakeHub, names_checksums: bool) -> None:
    hub.names_checksums = hub.redirects = names_checksums
    await _stopped_at(hub, 2_000_000)
    other = b"GGUF" + random.Random(8).randbytes(SIZE - 4)
    hub.repositories[REPOSITORY][NAME] = other
    heard = _heard()
    pulled = await _pull(heard)
    assert pulled.path.read_bytes() == other
    assert pulled.checked == names_checksums
    assert _starts(hub)[-1] == 0
    assert any("changed on the hub" in line and "begins anew" in line for line in heard.said)


async def test_a_file_that_is_newer_on_the_hub_takes_the_place_of_the_old_one(hub: FakeHub) -> None:
    await _pull()
    hub.repositories[REPOSITORY][NAME] = other = DATA[:4] + DATA[:3:-1]
    pulled = await _pull()
    assert not pulled.was_there
    assert pulled.path.read_bytes() == other


async def test_a_wrong_checksum_sets_the_file_aside(hub: FakeHub) -> None:
    hub.lied_sha256 = "0" * 64
    with pytest.raises(BadReply, match=r"wrong checksum.*set aside as .*\.wrong"):
        await _pull()
    assert _files() == {f"{REPOSITORY}/{NAME}.wrong": SIZE}
    assert not [model for model in find_models() if model.source == "pulled"]


@pytest.mark.parametrize("says_length", [True, False])
@pytest.mark.parametrize(("extra", "ends_early"), [(b"more", 0), (b"", 1000)])
async def test_a_server_that_sends_more_or_fewer_bytes(
    hub: FakeHub, says_length: bool, extra: bytes, ends_early: int
) -> None:
    hub.says_length, hub.extra, hub.ends_early = says_length, extra, ends_early
    with pytest.raises((BadReply, ServerUnreachable), match=r"bytes of|more than|ended the file early"):
        await _pull()
    assert not (own_folder() / REPOSITORY / NAME).exists()
    hub.extra, hub.ends_early = b"", 0
    assert (await _pull()).path.read_bytes() == DATA


async def test_a_server_that_cannot_go_on_in_the_middle_sends_all_again(hub: FakeHub) -> None:
    hub.knows_ranges, hub.cuts = False, [1_000_000]
    heard = _heard()
    assert (await _pull(heard)).path.read_bytes() == DATA
    assert any("does not go on in the middle" in line for line in heard.said)


async def test_parts_of_a_split_model_come_together_and_nothing_shows_before(hub: FakeHub) -> None:
    parts = {f"Q4_K_M/big-0000{at}-of-00003.gguf": DATA[:4] + DATA[at : at + 899_996] for at in (1, 2, 3)}
    hub.repositories[REPOSITORY] = {**parts, "big-Q8_0.gguf": DATA}
    heard = _heard()
    hub.cuts = [900_000, 900_000, *[0] * 50]
    with pytest.raises(ServerUnreachable):
        await _pull(heard)
    assert not [model for model in find_models() if model.source == "pulled"]
    hub.cuts = []
    pulled = await _pull(heard)
    assert pulled.path.name == "big-00001-of-00003.gguf"
    assert pulled.path.parent.name == "Q4_K_M"
    for name, data in parts.items():
        assert (own_folder() / REPOSITORY / name).read_bytes() == data
    assert len(_starts(hub)) <= 10, "finished parts are not asked for again"
    assert (heard.reports[-1].part, heard.reports[-1].done_bytes) == (1, 2_700_000)


async def test_two_pulls_of_the_same_file_fetch_it_once(hub: FakeHub) -> None:
    hub.hold_after = 1_000_000
    first, second = _heard(), _heard()
    one = asyncio.ensure_future(_pull(first))
    await asyncio.to_thread(hub.held.wait, 30)
    other = asyncio.ensure_future(_pull(second))
    await _until(lambda: any("another process" in line for line in second.said))
    assert not other.done()
    hub.let_go.set()
    assert (await one).path == (await other).path
    assert (await other).was_there
    assert _starts(hub) == [0]


async def test_the_disk_is_looked_at_before_anything_comes(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(Path("/"))._replace(free=50_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RunFailed, match=r"3\.00 MB are to be fetched.*50 MB free"):
        await _pull()
    assert not hub.files_asked()


async def test_the_token_stays_with_the_hub(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.gated, hub.token = {REPOSITORY}, TOKEN
    await _pull()
    carried = {one.server for one in hub.asked if "authorization" in one.headers}
    assert (carried, {one.server for one in hub.asked}) == ({"hub"}, {"hub", "store"})
    assert not any(TOKEN in str(one.headers) for one in hub.asked if one.server == "store")


def test_whom_a_token_goes_to(monkeypatch: pytest.MonkeyPatch, sealed: Path) -> None:
    stored = sealed / ".cache/huggingface/token"
    stored.parent.mkdir(parents=True)
    stored.write_text(f"{TOKEN}\n")
    usual = find_hub()
    assert usual.address == USUAL
    assert usual.token is not None
    assert (usual.token.reveal(), usual.source) == (TOKEN, str(stored))
    stranger = find_hub("https://mirror.example")
    assert stranger.token is None
    assert "is not sent to https://mirror.example" in stranger.note
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert find_hub().token is not None
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    assert find_hub().token is None
    assert "not encrypted" in find_hub().note
    monkeypatch.setenv("HF_TOKEN", "hf two words")
    with pytest.raises(ConfigError) as refused:
        find_hub()
    assert "two" not in str(refused.value)


async def test_a_gated_model_without_and_with_the_wrong_token(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated, hub.token = {REPOSITORY}, TOKEN
    with pytest.raises(KeyMissing) as missing:
        await _pull()
    assert missing.value.message == f"{REPOSITORY} is gated: its licence has to be accepted first."
    assert f"Accept it at {hub.url}/{REPOSITORY}" in missing.value.hint
    assert "HF_TOKEN" in missing.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(KeyRefused) as refused:
        await _pull()
    assert "the account that the token of HF_TOKEN belongs to" in refused.value.hint
    assert "somebody_else" not in str(refused.value.problem)


async def test_a_token_that_the_hub_does_not_know(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.refusals = [(401, {})]
    with pytest.raises(KeyRefused, match=r"does not accept the token of HF_TOKEN.*settings/tokens"):
        await _pull()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, RequestRefused, "knows no acme/Tiny-GGUF.*needs a token in HF_TOKEN"),
        (403, KeyMissing, "acme/Tiny-GGUF is gated"),
        (404, RequestRefused, "knows no acme/Tiny-GGUF"),
        (418, RequestRefused, r"refuses to give acme/Tiny-GGUF \(418\)"),
    ],
)
async def test_answers_without_the_hubs_own_code(
    hub: FakeHub, status: int, kind: type[PlaygroundError], said: str
) -> None:
    """As mirrors give them, which know nothing of the hub's header."""
    hub.refusals = [(status, {"X-Error-Message": "\x1b[31mred"})]
    with pytest.raises(kind, match=said) as refused:
        await _pull()
    assert "\x1b" not in repr(refused.value.problem)
    assert _files() == {}


async def test_a_file_that_was_taken_away_meanwhile(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    told = hub.info(REPOSITORY)
    monkeypatch.setattr(FakeHub, "info", lambda *_: told)
    del hub.repositories[REPOSITORY][NAME]
    with pytest.raises(RequestRefused, match=f"knows no {NAME} in {REPOSITORY}"):
        await _pull()


async def test_a_repository_that_is_not_there_has_neighbours(hub: FakeHub) -> None:
    with pytest.raises(RequestRefused, match=rf"knows no acme/Tiny-GUFF.*There is: {REPOSITORY}"):
        await _pull(reference="acme/Tiny-GUFF")
    hub.repositories["acme/Tiny"] = {"model.safetensors": b"x"}
    with pytest.raises(RequestRefused, match=rf"acme/Tiny holds no GGUF model.*{REPOSITORY}"):
        await _pull(reference="acme/Tiny")


async def test_a_part_that_is_not_there_is_named(hub: FakeHub) -> None:
    parts = [f"big-Q4_K_M-0000{at}-of-00003.gguf" for at in (1, 2, 3)]
    hub.repositories["acme/Split-GGUF"] = {parts[0]: DATA, parts[2]: DATA}
    for meant in ("", ":Q4_K_M", f"/{parts[0]}"):
        with pytest.raises(RequestRefused, match=rf"{parts[1]} is missing\.") as caught:
            await _pull(reference=f"acme/Split-GGUF{meant}")
        assert REPOSITORY in caught.value.hint
        assert "acme/Split-GGUF" not in caught.value.hint, "it is no neighbour of its own"
    hub.repositories["acme/Split-GGUF"]["small-Q8_0.gguf"] = DATA
    with pytest.raises(RequestRefused, match=rf"{parts[1]} is missing\. There is also: Q8_0"):
        await _pull(reference="acme/Split-GGUF:q4_k_m")
    assert (await _pull(reference="acme/Split-GGUF")).path.name == "small-Q8_0.gguf"


@pytest.mark.parametrize("names_checksums", [True, False])
async def test_what_is_no_model_does_not_get_the_name_of_one(hub: FakeHub, names_checksums: bool) -> None:
    hub.names_checksums = names_checksums
    page = b"<html>Log in first</html>"
    hub.repositories[REPOSITORY] = {NAME: page}
    with pytest.raises(BadReply, match="no GGUF file") as caught:
        await _pull()
    assert caught.value.exit_status == 1
    folder = own_folder() / REPOSITORY
    assert [path.name for path in folder.iterdir()] == [f"{NAME}.wrong"]
    assert (folder / f"{NAME}.wrong").read_bytes() == page
    parts = {"big-00001-of-00002.gguf": DATA[:900], "big-00002-of-00002.gguf": page}
    hub.repositories[REPOSITORY] = parts
    with pytest.raises(BadReply, match=r"big-00002-of-00002\.gguf is no GGUF file"):
        await _pull()
    assert not list(folder.glob("*.gguf"))


async def test_what_an_older_program_took_for_a_model_is_fetched_anew(hub: FakeHub) -> None:
    path = (await _pull()).path
    path.write_bytes(b"<html>" + DATA[6:])
    assert (await _pull()).path.read_bytes() == DATA
    path.write_bytes(b"<html>" + DATA[6:])
    hub.repositories[REPOSITORY][NAME] = path.read_bytes()
    with pytest.raises(BadReply, match="no GGUF file"):
        await _pull()
    assert not path.exists()


async def test_too_many_requests_wait_as_long_as_the_hub_asks(hub: FakeHub) -> None:
    hub.refusals = [(429, {"Retry-After": "7"}), (503, {})]
    heard = _heard()
    assert (await _pull(heard)).path.read_bytes() == DATA
    assert heard.waits_s[:2] == [7, 2]
    assert "too many requests (429). Trying again in 7 s." in heard.said[0]
    hub.refusals = [(429, {"Retry-After": "86400"})]
    with pytest.raises(RateLimited):
        await _pull()
    hub.refusals = [(500, {})] * 20
    with pytest.raises(ServerFailed):
        await _pull()


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"sha": 3}', b"\xff", b"[" * 5000])
async def test_a_server_that_is_no_hub(hub: FakeHub, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "repositories", {"x/y": {"resolve/main/a.gguf": body}})
    monkeypatch.setattr(FakeHub, "info", lambda *_: body.decode("latin-1"))
    with pytest.raises(BadReply, match="did not answer as a hub"):
        await _pull(reference="x/y")


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PlaygroundError, match="cannot be reached"):
        await _pull()


async def test_hostile_names_among_the_files_touch_nothing(hub: FakeHub, sealed: Path) -> None:
    hub.repositories[REPOSITORY] = {"../../../evil-Q4_K_M.gguf": DATA, "/evil-Q4_0.gguf": DATA, "good-Q8_0.gguf": DATA}
    assert (await _pull()).path.name == "good-Q8_0.gguf"
    assert not list(sealed.parent.rglob("*evil*"))
