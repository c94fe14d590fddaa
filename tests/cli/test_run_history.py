"""What `llm-playground run` leaves in the history: as it streams, and without ever standing in its way."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from pathlib import Path

import pytest

from playground.domain.history import Entry, Query, StoredTree
from playground.services import history_schema
from playground.services.history import history_path, is_alive, read_history
from playground.services.model_identity import hash_file
from playground.services.settings import save_setting, settings_path
from tests.cli.support import run, start
from tests.cli.test_compare import fake

__all__ = ["fake"]

SHORT = ("--prompt", "Name a river.", "--max-tokens", "8", "--seed", "1")


def entries() -> list[Entry]:
    return read_history(history_path(), lambda reader: reader.find(Query()))


def tree_of(entry: Entry) -> StoredTree:
    return read_history(history_path(), lambda reader: reader.tree(entry.tree))


async def test_a_run_is_kept_with_all_that_belongs_to_it_and_can_be_run_again(starter_gguf: Path) -> None:
    asked = ("run", *SHORT, "--system", "Be brief.", "--preset", "creative", "--set", "top_k=7")
    done = run(*asked)
    assert (done.status, done.err) == (0, "")
    (entry,) = entries()
    assert (entry.origin, entry.preset, entry.prompt, entry.tokens) == ("run", "creative", "Name a river.", 8)
    assert (entry.stop, entry.cost) == ("length", 0.0)
    assert entry.ttft_ms is not None
    assert done.out.startswith(entry.reply)
    tree = tree_of(entry)
    (_, _), (reply, tokens) = tree.turns
    assert reply.params is not None
    assert (reply.params.top_k, reply.params.order[0], tree.info.system) == (7, "penalties", "Be brief.")
    assert [len(token.top) >= 10 for token in tokens] == [True] * 8
    setting = tree.settings[entry.turn]
    assert setting.model_ref == str(starter_gguf)
    assert setting.model_hash == await hash_file(starter_gguf)
    assert setting.model_facts["architecture"] == "llama"
    assert setting.load is not None
    assert setting.llama_cpp_version
    assert reply.started is not None
    assert len(setting.prompt_ids) == reply.started.prompt_tokens
    assert read_history(history_path(), lambda reader: reader.unfinished()) == []
    assert "The runs are equal: all 8 tokens came again" in run("history", "replay", str(entry.id)).out
    assert run(*asked, "--json").objects[-1]["text"] == entry.reply
    assert len(entries()) == 2, "a replay is no reply of its own"


@pytest.mark.usefixtures("starter_gguf")
def test_killed_it_leaves_what_it_wrote_up_to_the_last_second() -> None:
    process = start("run", "--prompt", "Count.", "--set", "ignore_eos=true", "--max-tokens", "400", "--json")
    assert process.stdout is not None
    heard = []
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "token":
            heard.append(event)
        if len(heard) == 60:
            break
    process.kill()
    heard += [event for event in map(json.loads, process.stdout) if event["event"] == "token"]
    process.communicate()
    (entry,) = entries()
    _, (reply, tokens) = tree_of(entry).turns
    assert (entry.stop, entry.origin, reply.finished) == ("", "run", None)
    assert [token.id for token in tokens] == [event["id"] for event in heard[: len(tokens)]]
    missing_ms = heard[-1]["time_ms"] - tokens[-1].time_ms
    assert missing_ms < 1000
    ((uid, instance),) = read_history(history_path(), lambda reader: reader.unfinished())
    assert uid == entry.tree
    assert not is_alive(instance), "so the app offers to go on"


@pytest.mark.usefixtures("starter_gguf")
def test_in_private_nothing_is_kept_and_no_file_is_made() -> None:
    assert run("run", *SHORT, "--private").status == 0
    save_setting(settings_path(), "history", False)
    assert run("run", *SHORT).status == 0
    assert not history_path().exists()


@pytest.mark.usefixtures("starter_gguf")
@pytest.mark.parametrize("fault", ["damaged", "newer", "no folder"])
def test_a_history_that_cannot_be_kept_is_one_line_and_the_run_goes_on(fault: str) -> None:
    plain = run("run", *SHORT, "--private")
    before = b"A letter to my aunt. " * 300
    if fault == "newer":
        connection = history_schema.connect(history_path(), write=True)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        before = history_path().read_bytes()
    elif fault == "damaged":
        history_path().parent.mkdir(parents=True, exist_ok=True)
        history_path().write_bytes(before)
    else:
        history_path().mkdir(parents=True)
    done = run("run", *SHORT)
    assert (done.status, done.out) == (0, plain.out)
    assert {"damaged": "damaged", "newer": "newer version", "no folder": "cannot be kept"}[fault] in done.error
    if fault != "no folder":
        assert history_path().read_bytes() == before


@pytest.mark.usefixtures("starter_gguf")
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on() -> None:
    room = 24 << 10  # bytes of a file: less than the tables take
    process = start("run", *SHORT, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    out, err = process.communicate()
    assert process.returncode == 0
    assert out
    (line,) = err.decode().splitlines()
    assert line.startswith("llm-playground: The history cannot be kept: ")


@pytest.mark.usefixtures("fake")
async def test_a_reply_of_a_server_has_its_cost_and_one_that_fails_its_reason() -> None:
    model = "claude/claude-sonnet-4-5:ok"
    assert (await asyncio.to_thread(run, "run", "-p", "Hello?", "-m", model)).status == 0
    (entry,) = entries()
    assert entry.cost == pytest.approx(0.007095)
    assert tree_of(entry).settings[entry.turn].model_ref == model
    assert (await asyncio.to_thread(run, "run", "-p", "Hello?", "-m", "box/m:401")).status == 2
    broken, _ = entries()
    assert (broken.stop, broken.cost) == ("failed", 0.0), "nothing was written"
    assert "unknown cost" not in run("history", "cost").out
    assert "key" in str(next(turn.problem for turn, _ in tree_of(broken).turns if turn.problem)).lower()


@pytest.mark.usefixtures("starter_gguf")
def test_who_reads_no_further_leaves_a_reply_that_was_stopped() -> None:
    process = start("run", "--prompt", "Count.", "--set", "ignore_eos=true", "--max-tokens", "4000")
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == 0
    (entry,) = entries()
    assert entry.stop == "cancelled"
    assert entry.tokens > 0
