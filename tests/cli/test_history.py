"""`llm-playground history`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.domain.history import Setting
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL
from playground.domain.session import Session
from playground.services.history import history_path
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from playground.services.model_identity import hash_file
from playground.services.runs import Runner
from tests.cli.support import run
from tests.services.history_support import ask

DAY_S = 86400.0


def keep(session: Session, setting: Setting | None = None, at: float = 1_700_000_000.0) -> None:
    """Put a session into the test's own history, at a time."""
    store = HistoryStore(history_path(), "test", lambda: at)
    change = Recorder().take(session, setting or Setting(preset="balanced"))
    assert change is not None
    store.apply(change)
    store.close()


@pytest.fixture
def history() -> None:
    """Two conversations, of different days and models: replies 1 and 2."""
    sky, price = Session(), Session()
    sky.model, price.model = "Toy", "claude-x"
    ask(sky, "Why is the sky blue?", "Because", " of", " Rayleigh \x1b[31m scattering")
    ask(price, "How much?", "A lot", cost=0.25)
    keep(sky)
    keep(price, Setting(preset="min-p"), at=1_700_000_000.0 + 3 * DAY_S)


def ids(*arguments: str) -> list[int]:
    return [entry["id"] for entry in run("history", "list", "--json", *arguments).objects]


def test_replies_are_listed_and_filtered(history: None) -> None:
    assert ids() == [2, 1]
    assert ids("rayleigh") == [1]
    assert ids("--model", "CLAUDE") == [2]
    assert ids("--preset", "balanced") == [1]
    assert ids("--cost", "0.2") == [2]
    assert ids("--since", "2023-11-16") == [2]
    assert ids("--until", "2023-11-15") == [1], "the day itself is included"
    assert ids("--limit", "1") == [2]
    listed = run("history", "list")
    assert listed.status == 0
    first, second = listed.out.splitlines()
    assert "claude-x" in first
    assert "$0.2500" in first
    assert "free" in second
    assert run("history", "list", "nowhere").error.endswith("Nothing in the history is like that.")
    bad = run("history", "list", "--since", "yesteryear")
    assert (bad.status, "'yesteryear' is no date" in bad.error) == (2, True)


def test_without_a_history_there_is_nothing_and_no_file_is_made() -> None:
    done = run("history", "list")
    assert (done.status, done.out) == (0, "")
    missing = run("history", "star", "3")
    assert missing.status == 2
    assert "There is no reply 3" in missing.error
    assert run("history", "cost").out == "Nothing was spent.\n"
    assert run("history", "purge").out == "0 purged\n"
    assert not history_path().exists()


def test_one_reply_is_shown_and_no_escape_comes_through(history: None) -> None:
    shown = run("history", "show", "1")
    assert shown.status == 0
    for part in ("Why is the sky blue?", "Because of Rayleigh", "temperature: 0.8", "Preset: balanced", "Toy"):
        assert part in shown.out
    assert "\x1b" not in shown.out
    (told,) = run("history", "show", "1", "--json").objects
    assert told["text"].startswith("Because of Rayleigh")
    assert told["prompt"]["messages"][-1]["content"] == "Why is the sky blue?"
    assert told["params"]["top_k"] == 40
    assert (told["seed"], told["cost"]) == (7, 0.0)


def test_stars_names_and_deletion_can_be_taken_back(history: None) -> None:
    assert run("history", "star", "1", "2").out == "starred 1 2\n"
    assert run("history", "unstar", "2").status == 0
    assert ids("--starred") == [1]
    assert run("history", "rename", "1", "About  the sky").status == 0
    assert "About the sky: Why" in run("history", "list", "about").out
    assert run("history", "delete", "1").status == 0
    assert (ids(), ids("--deleted")) == ([2], [1])
    assert run("history", "undelete", "1").status == 0
    assert ids() == [2, 1]


def test_what_was_changed_is_told_to_programs(history: None, tmp_path: Path) -> None:
    for command, done in (
        ("star", "starred"),
        ("unstar", "unstarred"),
        ("delete", "deleted"),
        ("undelete", "undeleted"),
    ):
        assert run("history", command, "1", "2", "1", "--json").objects == [{done: [1, 2]}]
    assert run("history", "rename", "1", "blue", "--json").objects == [{"renamed": [1]}]
    (printed,) = run("history", "export", "1", "--json").objects
    assert printed["text"] == run("history", "export", "1").out
    out = str(tmp_path / "out.jsonl")
    (written,) = run("history", "export", "1", "--format", "jsonl", "-o", out, "--json").objects
    assert written == {"ids": [1], "format": "jsonl", "path": out}
    assert run("history", "delete", "1", "--sweep", "--json").objects == [{"deleted": [1]}]
    assert run("history", "purge", "--yes", "--json").objects == [{"purged": 1}]
    assert run("history", "purge", "--json").objects == [{"purged": 0}], "there is nothing to ask about"


def test_purging_asks_and_what_is_purged_is_gone(history: None) -> None:
    run("history", "delete", "1")
    asked = run("history", "purge")
    assert asked.status == 2
    assert "Remove 1 deleted reply for good? Nobody is here to answer: --yes does." in asked.error
    assert ids("--deleted") == [1]
    assert run("history", "purge", "--older-than", "100000", "--yes").out == "0 purged\n"
    assert run("history", "purge", "--yes").out == "1 purged\n"
    assert (ids(), ids("--deleted")) == ([2], [])
    assert run("history", "undelete", "1").status == 2


def test_cost_by_day_and_model(history: None) -> None:
    done = run("history", "cost")
    assert done.status == 0
    newest, *_, everything = done.out.splitlines()
    assert "claude-x" in newest
    assert everything.startswith("in all")
    assert "$0.2500" in everything
    assert {one["model"]: one["cost"] for one in run("history", "cost", "--json").objects} == {
        "claude-x": 0.25,
        "Toy": 0,
    }


def test_exports_come_in_three_forms_and_one_is_imported_again(history: None, tmp_path: Path) -> None:
    assert "Because of Rayleigh" in run("history", "export", "1").out
    page = tmp_path / "page.html"
    assert run("history", "export", "1", "2", "--format", "html", "-o", str(page)).status == 0
    assert "<!DOCTYPE html>" in page.read_text(encoding="utf-8")
    lines = tmp_path / "talk.jsonl"
    assert run("history", "export", "1", "2", "--format", "jsonl", "-o", str(lines)).status == 0
    before = run("history", "show", "1", "--json").objects
    for name in ("", "-wal", "-shm"):
        Path(f"{history_path()}{name}").unlink(missing_ok=True)
    assert run("history", "import", str(lines)).out == "2 conversations with 2 replies imported\n"
    assert run("history", "show", "1", "--json").objects == before
    (again,) = run("history", "import", str(lines), "--json").objects
    assert again == {"conversations": 0, "replies": 0, "known": 2}
    lines.write_text(lines.read_text(encoding="utf-8").replace('"version":1', '"version":9'), encoding="utf-8")
    refused = run("history", "import", str(lines))
    assert refused.status == 2
    assert "line 1: it has version 9" in refused.error
    gone = run("history", "export", "1", "-o", "/proc/no/such/file")
    assert gone.status == 2
    assert "cannot be written" in gone.error


def test_a_file_that_cannot_be_used_is_a_sentence() -> None:
    history_path().parent.mkdir(parents=True)
    history_path().write_bytes(b"A letter to my aunt. " * 300)
    for arguments in (("list",), ("show", "1"), ("cost",)):
        done = run("history", *arguments)
        assert done.status == 1
        assert "damaged" in done.error
    assert history_path().read_bytes() == b"A letter to my aunt. " * 300


async def test_a_reply_is_run_again(starter_gguf: Path, tmp_path: Path) -> None:
    session = Session(replace(NEUTRAL, temperature=0.7, max_tokens=12, seed=5))
    runner = Runner(session)
    load = LoadOptions(context=512, threads=1, threads_batch=1)
    runner.backend = backend = await LocalBackend.load(str(starter_gguf), load, tmp_path)
    try:
        runner.start(session.send("Tell me about the sea."))
        await runner.settle()
        runner.drain()
    finally:
        await backend.close()
    digest = await hash_file(starter_gguf)
    keep(session, Setting(model_ref=str(starter_gguf), model_hash=digest, load=load))
    done = run("history", "replay", "1")
    assert (done.status, done.err) == (0, "")
    assert "The runs are equal: all 12 tokens came again" in done.out
    (told,) = run("history", "replay", "1", "--json").objects
    assert (told["verdict"], told["equal_tokens"], told["then"]) == ("equal", 12, None)
    reply = next(turn for turn in session.transcript.turns.values() if turn.tokens)
    other = reply.tokens[4].top[1]
    reply.tokens[4] = type(reply.tokens[4])(
        4, other.id, other.piece, other.logprob, other.prob, 2, 1.0, reply.tokens[4].top
    )
    keep(session, Setting(model_ref=str(starter_gguf), load=load))
    differs = run("history", "replay", "2")
    assert differs.status == 1
    assert "Token 5 differs" in differs.out
    assert "then:" in differs.out
    assert "now:" in differs.out
    assert "hash was not kept" in differs.out
    (told,) = run("history", "replay", "2", "--json").objects
    assert told["index"] == 4
    assert told["then"]["id"] == other.id
    assert len(told["now"]["top"]) >= 10
    keep(session, Setting(model_ref=str(starter_gguf), model_hash="00" * 32))
    assert "Another model is at" in run("history", "replay", "3").error
    keep(session, Setting(model_ref=str(tmp_path / "gone.gguf")))
    assert "The model is gone" in run("history", "replay", "4").error


def test_a_hosted_model_is_not_paid_without_a_question(history: None) -> None:
    session = Session()
    ask(session, "How much?", "A lot", cost=0.25)
    keep(session, Setting(model_ref="anthropic/claude-x"))
    asked = run("history", "replay", "3")
    assert asked.status == 2
    assert "anthropic/claude-x is hosted: it need not repeat itself, and the reply cost $0.2500" in asked.error


def test_help_has_examples() -> None:
    for arguments in ((), ("list",), ("export",)):
        assert "Example" in run("history", *arguments, "--help").out
    assert json.dumps("history")[1:-1] in run("--help").out


@pytest.mark.parametrize("command", ["show", "star", "replay", "delete", "export"])
def test_a_number_that_no_reply_can_have_is_a_sentence(history: None, command: str) -> None:
    done = run("history", command, "99999999999999999999999")
    assert done.status == 2
    assert "There is no reply 99999999999999999999999" in done.error


def test_what_is_no_amount_and_what_is_no_name_is_refused(history: None) -> None:
    for arguments in (("list", "--cost", "nan"), ("purge", "--older-than", "nan"), ("list", "--cost", "inf")):
        done = run("history", *arguments)
        assert (done.status, "is no amount" in done.error) == (2, True)
    long = run("history", "rename", "1", "line\n" * 1000)
    assert (long.status, "This name is too long." in long.error) == (2, True)
    assert run("history", "rename", "1", "n" * 80).status == 0


def test_of_a_sweep_one_reply_is_deleted_or_all_and_it_is_said_which() -> None:
    for number in range(3):
        cell = Session()
        cell.model = "Toy"
        ask(cell, f"Cell {number}", "Yes")
        keep(cell, Setting(origin="sweep", batch="abc"))
    one = run("history", "delete", "3")
    assert one.out == "deleted 3\n"
    assert "deleted 1 of the 3 replies of sweep abc; --sweep deletes all of them" in one.err
    assert ids("--from", "sweep") == [2, 1]
    assert run("history", "delete", "--sweep", "2").out == "deleted 2 replies of sweep abc\n"
    assert ids("--from", "sweep") == []
    assert run("history", "undelete", "--sweep", "1").out == "undeleted 3 replies of sweep abc\n"
    assert ids("--from", "sweep") == [3, 2, 1]


def test_a_name_is_that_of_one_conversation_and_not_of_what_was_begun_anew_after_it() -> None:
    store, recorder, session = HistoryStore(history_path(), "test"), Recorder(), Session()

    def said(prompt: str) -> None:
        ask(session, prompt, "Yes")
        change = recorder.take(session, Setting())
        assert change is not None
        store.apply(change)

    said("First")
    assert run("history", "rename", "1", "my name").status == 0
    said("Second")
    session.new_conversation()
    said("Anew")
    store.close()
    titles = [entry["title"] for entry in run("history", "list", "--json").objects]
    assert titles == ["", "my name", "my name"]
    assert ids("my name") == [2, 1]
    run("history", "rename", "3", "another")
    assert [entry["title"] for entry in run("history", "list", "--json").objects] == ["another", "my name", "my name"]
