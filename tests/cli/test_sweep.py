"""`llm-playground sweep` as a person uses it: plan, run, stop, kill, go on, look at what came."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pty
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.support import COMMAND, Result, one_thread, run, start
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import fake_in_settings

QUICK = ("--raw", "--prompt", "Once upon a time", "--set", "ignore_eos=true", "--max-tokens", "4")


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Cells in the file, without the plans."""
    whole = (folder / "cells.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
    return [entry for entry in map(json.loads, whole) if "plan" not in entry]


@pytest.mark.usefixtures("starter_gguf")
def test_a_sweep_gives_a_table_cells_and_curves(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("sweep", *QUICK, "--range", "temperature=0,1", "-n", "2", "--streams", "2", "--logprobs", "-o", str(out))
    assert (done.status, done.err) == (0, "")
    header, cold, warm, note = done.out.splitlines()
    assert header.split()[:3] == ["temperature", "samples", "consistency"]
    assert cold.split()[:3] == ["0", "2", "1.000"]
    assert warm.split()[0] == "1"
    assert "tokens" in note
    cells = lines_of(out)
    assert sorted((cell["values"]["temperature"], cell["seed"]) for cell in cells) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for cell in cells:
        assert len(cell["tokens"]) == len(cell["logprobs"]) == cell["usage"]["completion_tokens"] == 4
        assert cell["logprob_sum"] == pytest.approx(sum(cell["logprobs"]))
        assert cell["text"]
        assert cell["timings"]["ttft_ms"] > 0
    rows = list(csv.DictReader((out / "groups.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["temperature"] for row in rows] == ["0.0", "1.0"]
    assert (out / "groups.md").read_text(encoding="utf-8").startswith("| model |")
    assert "<polyline" in (out / "consistency.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("starter_gguf")
def test_the_same_command_again_runs_nothing_and_more_samples_run_only_what_is_new(tmp_path: Path) -> None:
    command = ("sweep", *QUICK, "-o", str(tmp_path), "--streams", "2", "--json", "-n")
    first = run(*command, "2").objects
    assert [entry["event"] for entry in first] == ["planned", "cell", "cell", "group", "written"]
    again = run(*command, "2").objects
    assert [entry["event"] for entry in again] == ["planned", "group", "written"]
    assert (again[0]["requests"], again[0]["kept"]) == (0, 2)
    more = run(*command, "3").objects
    assert [entry["sample"] for entry in more if entry["event"] == "cell"] == [3]
    assert more[-2]["samples"] == 3
    assert len(lines_of(tmp_path)) == 3


@pytest.mark.usefixtures("starter_gguf")
def test_a_dry_run_tells_what_it_would_take_and_leaves_no_trace(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "One"}\n\n{"messages": [{"role": "user", "content": "Two"}]}\n')
    out = tmp_path / "out"
    asked = ("sweep", "--prompts", str(prompts), "--range", "temperature=0:1.5:0.25", "--range", "top_k=0,40")
    done = run(*asked, "-n", "8", "--max-tokens", "10", "--dry-run", "-o", str(out))
    assert (done.status, done.err) == (0, "")
    assert "Requests: 224 (2 prompts x 14 settings x 1 model x 8 samples; seeds 1 to 8)" in done.out
    assert "≈2,240 of replies at most" in done.out
    # The template puts a system text of its own before each prompt: 31 tokens with "One" or "Two".
    assert "Tokens: 6,944 of prompts" in done.out
    assert "$0" in done.out
    assert not out.exists()


@pytest.mark.usefixtures("starter_gguf")
def test_what_was_measured_before_tells_how_long_it_takes(tmp_path: Path) -> None:
    again = ("sweep", *QUICK, "-n", "6", "--streams", "2")
    unknown = run(*again, "--dry-run", "--json").objects[0]
    assert (unknown["seconds"], unknown["tokens_per_second"]) == (None, None), "nobody has seen this model write"
    assert run("sweep", *QUICK, "-n", "8", "--streams", "4", "-o", str(tmp_path), "--json").status == 0
    told = run(*again, "--dry-run", "--json").objects[0]
    assert told["seconds"] == pytest.approx(6 * 4 / told["tokens_per_second"])
    assert "tokens/s measured before" in run(*again, "--dry-run").out
    shown = _on_a_terminal(*again, "-o", str(tmp_path / "next"))
    assert "at most, at the" in shown
    assert "time left: after the first reply" not in shown
    seen = run("sweep", *QUICK, "-n", "9", "--streams", "4", "-o", str(tmp_path), "--dry-run", "--json").objects[0]
    assert seen["seconds"] > 0
    assert seen["tokens_per_second"] is None, "replies of this very sweep tell"


@pytest.mark.usefixtures("starter_gguf")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_or_killed_it_goes_on_and_runs_no_cell_twice(tmp_path: Path, number: signal.Signals) -> None:
    command = ("sweep", *QUICK[:-1], "20", "-n", "12", "--streams", "2", "-o", str(tmp_path))
    process = start(*command, "--json")
    assert process.stdout is not None
    seen = 0
    while seen < 3:
        seen += json.loads(process.stdout.readline())["event"] == "cell"
    workers = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, err = process.communicate()
    psutil.wait_procs(workers, timeout=20)
    assert not any(worker.is_running() for worker in workers)
    before = lines_of(tmp_path)
    assert 3 <= len(before) < 12
    if number is signal.SIGINT:
        assert process.returncode == 130
        assert f"{12 - len(before)} cells are not done" in err.decode()
        assert (tmp_path / "groups.csv").exists()
    again = run("sweep", "--resume", str(tmp_path), "--streams", "2", "--json")
    assert again.status == 0
    assert sum(entry["event"] == "cell" for entry in again.objects) == 12 - len(before)
    after = lines_of(tmp_path)
    assert after[: len(before)] == before
    assert len({cell["id"] for cell in after}) == len(after) == 12


@pytest.mark.usefixtures("starter_gguf")
def test_on_a_terminal_it_tells_how_far_it_is_and_draws(tmp_path: Path) -> None:
    shown = _on_a_terminal("sweep", *QUICK, "--range", "temperature=0,1", "-n", "2", "-o", str(tmp_path))
    assert "Requests: 4 (1 prompt x 2 settings x 1 model x 2 samples; seeds 1 to 2)" in shown
    assert "Time: known after the first reply" in shown
    assert "loading" in shown
    assert "consistency (mean Jaccard) over temperature" in shown
    assert "●" in shown
    assert str(tmp_path) in shown.replace("\r\n", "")
    again = _on_a_terminal("sweep", "--resume", str(tmp_path))
    assert "All 4 cells were done already; nothing was run." in again
    assert "Requests:" not in again
    assert "●" in again
    private = _on_a_terminal("sweep", *QUICK, "-n", "1", "--private")
    assert "Private: no file is kept" in private
    assert "Cells, table and curves" not in private


def _on_a_terminal(*asked: str) -> str:
    """Run a command to its end; all that it shows there."""
    master, slave = pty.openpty()
    process = start(*asked, stdout=slave, stderr=slave)
    os.close(slave)
    shown = _read_all(master).decode()
    os.close(master)
    assert process.wait() == 0
    return shown


def _read_all(master: int) -> bytes:
    data = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # Linux: the other side is closed
            return data
        if not piece:
            return data
        data += piece


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "There is no prompt."),
        (("-p", "x", "--range", "heat=1,2"), "no parameter 'heat'"),
        (("-p", "x", "--range", "temperature=0:9:1"), "outside 0 to 5"),
        (("-p", "x", "--preset", "nosuch"), "no preset 'nosuch'"),
        (("-p", " "), "A prompt is empty."),
        (("-p", "\udcff"), "not UTF-8 text"),
        (("-p", "x", "--set", "stop=\udcff"), "not UTF-8 text"),
        (("-p", "x", "--samples", "1000", "--range", "temperature=0:1:0.01"), "101,000 requests"),
        (("--prompts", "/nosuch"), "/nosuch cannot be read"),
        (("--resume", "/nosuch"), "There is no sweep in /nosuch."),
        (("--resume", "/nosuch", "-p", "x"), "--resume goes on with the plan of the file."),
        (("-p", "x", "-m", "box/y"), "box/y"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    done = run("sweep", *arguments)
    assert (done.status, done.out) == (2, "")
    assert says in done.error


def test_a_line_of_a_prompt_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "One"}\n{"prompt": 3}\n')
    done = run("sweep", "--prompts", str(bad))
    assert done.status == 2
    assert "bad.jsonl, line 2 cannot be read" in done.error
    assert "messages" in done.error


def test_an_empty_file_cannot_be_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "cells.jsonl").touch()
    done = run("sweep", "--resume", str(tmp_path))
    assert done.status == 2
    assert "is empty" in done.error


def test_help_has_examples() -> None:
    done = run("sweep", "--help")
    assert done.status == 0
    assert "--range temperature=0:1.5:0.25" in done.out


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    """A server whose model costs a cent a token, and a budget of a dollar a day."""
    money = """
        [prices."box/m:ok"]
        input_per_mtok = 0.0
        output_per_mtok = 10000.0
        [budget]
        per_day_usd = 1.0
    """
    async with fake_in_settings(monkeypatch, money) as made:
        yield made


async def ask(*arguments: str, stdin: bytes = b"") -> Result:
    return await asyncio.to_thread(run, "sweep", "--model", "box/m:ok", *arguments, stdin=stdin)


async def test_above_the_budget_nothing_is_sent_without_a_yes(fake: FakeApi, tmp_path: Path) -> None:
    asked = ("--prompts", "-", "-n", "4", "--max-tokens", "30", "-o", str(tmp_path / "out"))
    dry = await ask(*asked, "--dry-run", stdin=b"One\nTwo\n")
    assert dry.status == 0
    assert "Cost: ≈$2.40 at most" in dry.out
    refused = await ask(*asked, stdin=b"One\nTwo\n")
    assert refused.status == 2
    assert "budget of $1.00" in refused.error
    assert "--yes" in refused.error
    assert not [request for request in fake.requests if request.method == "POST"]
    done = await ask(*asked, "--yes", "--json", stdin=b"One\nTwo\n")
    assert (done.status, done.err) == (0, "")
    cells = [entry for entry in done.objects if entry["event"] == "cell"]
    assert len(cells) == 8
    assert {body["seed"] for body in fake.bodies} == {1, 2, 3, 4}
    assert all(cell["usage"]["cost"] > 0 for cell in cells)


async def test_cells_that_fail_are_told_and_the_exit_status_is_1(fake: FakeApi, tmp_path: Path) -> None:
    asked = ("-p", "Hi", "-n", "2", "--streams", "1", "-o", str(tmp_path), "--yes", "--model", "box/m:rst*1")
    done = await asyncio.to_thread(run, "sweep", *asked)
    assert done.status == 1
    assert "1 (1 failed)" in done.out
    assert "1 cell is not done. Go on with: llm-playground sweep --resume" in done.error
    assert fake.bodies
    again = await asyncio.to_thread(run, "sweep", "--resume", str(tmp_path), "--yes")
    assert again.status == 0
    assert "failed" not in again.out


async def test_ctrl_c_ends_what_waits_for_a_server(fake: FakeApi, tmp_path: Path) -> None:
    one_thread()
    pipe = asyncio.subprocess.PIPE
    asked = ("sweep", "--model", "box/m:stall", "-p", "Hi", "-n", "4", "--yes", "-o", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*COMMAND, *asked, stdout=pipe, stderr=pipe)
    await fake.reached.wait()
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert b"4 cells are not done" in err
    assert lines_of(tmp_path) == []
