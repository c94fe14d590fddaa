"""What `llm-playground compare` leaves in the history: one conversation, in which the replies are versions."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from playground.domain.history import Entry, Query
from playground.services.history import history_path, read_history
from tests.cli.support import COMMAND, one_thread, run
from tests.cli.test_compare import SHORT, compare, fake
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import KEY

__all__ = ["fake"]


@pytest.mark.usefixtures("starter_gguf")
def test_replies_are_versions_in_one_conversation_each_with_its_preset() -> None:
    presets = ("--preset", "deterministic", "--preset", "creative", "--set", "top_k=9")
    shown = run("compare", *SHORT, "-m", "starter", "-m", "nosuch", *presets, "--json").objects
    second, first = read_history(history_path(), lambda reader: reader.find(Query()))
    assert [entry.origin for entry in (first, second)] == ["compare", "compare"]
    assert [entry.preset for entry in (first, second)] == ["deterministic", "creative"]
    assert [entry.reply for entry in (first, second)] == [one["text"] for one in shown[:2]]
    assert [entry.cost for entry in (first, second)] == [0.0, 0.0]
    assert first.tree == second.tree
    tree = read_history(history_path(), lambda reader: reader.tree(first.tree))
    assert [turn.parent for turn, _ in tree.turns] == [None, 1, 1]
    assert all(setting.model_hash and setting.prompt_ids for setting in tree.settings.values())
    for entry in (first, second):
        (report,) = run("history", "replay", str(entry.id), "--json").objects
        assert report["verdict"] in ("equal", "near tie", "edge")


async def test_replies_of_servers_have_their_cost_and_reason(fake: FakeApi) -> None:
    asked = ("-p", "Hello?", "-m", "box/m:ok", "-m", "claude/claude-sonnet-4-5:ok", "-m", "box/m:401")
    assert (await compare(*asked, "--private")).status == 1
    assert not history_path().exists()
    assert (await compare(*asked)).status == 1
    entries = read_history(history_path(), lambda reader: reader.find(Query()))
    assert {entry.model: (entry.stop, entry.cost) for entry in entries} == {
        "m:ok": ("stop", None),
        "claude-sonnet-4-5:ok": ("stop", pytest.approx(0.007095)),
        "m:401": ("failed", 0.0),
    }
    assert KEY.encode() not in history_path().read_bytes()


async def test_killed_it_leaves_what_was_written_by_then(fake: FakeApi) -> None:
    one_thread()
    pipe = asyncio.subprocess.PIPE
    arguments = ("compare", "-p", "Hello?", "-m", "box/m:stall", "-m", "claude/m:stall", "--json")
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=pipe, stderr=pipe)
    found: list[Entry] = []
    while len(found) < 2 or not all(entry.tokens for entry in found):
        await asyncio.sleep(0.05)
        found = read_history(history_path(), lambda reader: reader.find(Query()))
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()
    assert [entry.stop for entry in found] == ["", ""]
    assert all("Hello, world".startswith(entry.reply) for entry in found)
    assert len(read_history(history_path(), lambda reader: reader.unfinished())) == 1


@pytest.mark.usefixtures("starter_gguf")
def test_a_history_that_is_damaged_holds_nothing_up() -> None:
    path = history_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"this is not a database" * 100)
    before = path.read_bytes()
    done = run("compare", *SHORT, "-m", "starter", "--json")
    assert done.status == 0
    assert done.objects[0]["state"] == "done"
    assert "database" in done.error
    assert path.read_bytes() == before, "nothing was destroyed"
