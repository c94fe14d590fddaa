"""What `llm-playground sweep` leaves in the history: its replies whole, in one line, and never in its way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.domain.history import Query, StoredTree
from playground.domain.messages import Role
from playground.services.experiment_shelf import sweeps_folder
from playground.services.history import history_path, read_history
from playground.services.model_identity import hash_file
from tests.cli.support import run

QUICK = ("--set", "ignore_eos=true", "--max-tokens", "4", "--streams", "2")


def trees() -> list[StoredTree]:
    """All conversations, the first one first."""
    uids = read_history(history_path(), lambda reader: [entry.tree for entry in reader.find(Query())])
    return read_history(history_path(), lambda reader: [reader.tree(uid) for uid in dict.fromkeys(uids[::-1])])


async def test_samples_are_versions_of_a_reply_and_each_can_be_run_again(starter_gguf: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Name a bird."},
    ]
    prompts.write_text(f"{json.dumps({'prompt': 'Name a river.'})}\n{json.dumps({'messages': said})}\n")
    out = tmp_path / "out"
    done = run("sweep", "--prompts", str(prompts), "--range", "temperature=0,1", "-n", "2", *QUICK, "-o", str(out))
    assert (done.status, done.err) == (0, "")
    (line,) = run("history", "list", "--json").objects
    assert (line["origin"], line["more"], line["tokens"]) == ("sweep", 7, 32)
    name = line["batch"]
    assert f"sweep {name} (8 replies): Name a" in run("history", "list").out
    cells = run("history", "list", "--from", "sweep", name, "--json").objects
    assert len(cells) == 8
    assert sorted(cell["label"] for cell in cells) == [
        f"temperature {value} · sample {sample}" for value in (0, 1) for sample in (1, 2) for _ in range(2)
    ]
    listed = run("history", "list", "--from", "sweep", name).out
    assert listed.count(f"sweep {name} (temperature 1 · sample 2): Name a") == 2
    assert run("history", "list", "--from", "run").out == ""
    river, bird = trees()
    assert [(turn.role, turn.text, turn.parent) for turn, _ in river.turns[:2]] == [
        (Role.USER, "Name a river.", None),
        (Role.ASSISTANT, "", 1),
    ]
    assert [turn.parent for turn, _ in river.turns[1:]] == [1, 1, 1, 1]
    assert (bird.info.system, [turn.text for turn, _ in bird.turns[:3]]) == ("Be brief.", ["Hi", "", "Name a bird."])
    assert bird.turns[1][1][0].piece == b"Hello!"
    assert [turn.parent for turn, _ in bird.turns[3:]] == [3, 3, 3, 3]
    digest = await hash_file(starter_gguf)
    assert {setting.model_hash for tree in (river, bird) for setting in tree.settings.values()} == {digest}
    texts = {json.loads(cell)["text"] for cell in (out / "cells.jsonl").read_text().splitlines()[1:]}
    assert {cell["reply"] for cell in cells} == texts
    cold = next(cell for cell in cells if cell["turn"] == 2)
    (report,) = run("history", "replay", str(cold["id"]), "--json").objects
    assert report["verdict"] in ("equal", "near tie")
    exported = tmp_path / "talk.jsonl"
    run("history", "export", str(cold["id"]), "--format", "jsonl", "-o", str(exported))
    before = run("history", "list", cold["prompt"], "--from", "sweep", "--json").objects
    history_path().unlink()
    run("history", "import", str(exported))
    after = run("history", "list", "--from", "sweep", "--json").objects
    assert [one | {"id": 0} for one in after] == [one | {"id": 0} for one in before]


@pytest.mark.usefixtures("starter_gguf")
def test_what_was_done_later_stands_in_the_same_line_and_nothing_is_kept_in_private(tmp_path: Path) -> None:
    command = ("sweep", "--raw", "-p", "Once upon a time", *QUICK, "-o", str(tmp_path), "-n")
    assert run(*command, "2", "--private").status == 0
    assert not history_path().exists()
    assert run(*command, "3").status == 0
    assert run(*command, "5").status == 0
    (line,) = run("history", "list", "--json").objects
    assert line["more"] == 2, "cells that were there already do not come again"
    assert [turn.raw for tree in trees() for turn, _ in tree.turns if turn.text] == [True, True]


@pytest.mark.usefixtures("starter_gguf")
def test_a_private_sweep_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    command = ("sweep", "--raw", "-p", "Once upon a xylophone", *QUICK, "-n", "2", "--private")
    done = run(*command)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("samples")
    *_, written = run(*command, "--json").objects
    assert written == {"event": "written", "files": []}
    assert not sweeps_folder().exists()
    assert not history_path().exists()
    assert list((tmp_path / "temporary").glob("llm-playground-*")) == []
    assert run(*command, "-o", str(tmp_path / "out")).status == 0
    assert "xylophone" in (tmp_path / "out/cells.jsonl").read_text(encoding="utf-8")


@pytest.mark.usefixtures("starter_gguf")
def test_a_history_that_cannot_be_kept_is_one_line_and_the_sweep_goes_on(tmp_path: Path) -> None:
    history_path().parent.mkdir(parents=True)
    history_path().write_bytes(b"A letter to my aunt. " * 300)
    done = run("sweep", "--raw", "-p", "Once upon a time", *QUICK, "-n", "2", "-o", str(tmp_path))
    assert done.status == 0
    assert "damaged" in done.error
    assert done.out.startswith("samples")
    assert history_path().read_bytes() == b"A letter to my aunt. " * 300
