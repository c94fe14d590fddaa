"""Export and import: nothing is lost, and nothing bad gets in."""

from __future__ import annotations

import html.parser
import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import ParamsChanged, TokenGenerated
from playground.domain.history import Query, Setting
from playground.domain.messages import Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Mark
from playground.screens.page_colours import page_look
from playground.services.history import history_path, read_history
from playground.services.history_export import find_branches, to_json_lines, to_markdown
from playground.services.history_html import to_html
from playground.services.history_import import MAX_LINE_BYTES, import_file
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from tests.services.history_support import ask, begin, end, write

SCRIPT = "<script>document.title = 'it ran'</script><img src=x onerror=\"document.title = 'it ran'\">"
SETTING = Setting(
    model_ref="/models/toy.gguf",
    model_hash="0f" * 32,
    model_facts={"architecture": "llama"},
    preset="<b>calm</b>",
    prompt_ids=(1, 2, 3),
    load=LoadOptions(context=512),
    app_version="1",
    llama_cpp_version="2",
)


def keep(session: Session, path: Path | None = None, *, title: str = "") -> str:
    """Put a whole session into the history, and delete its last reply if it is one of several; returns its uid."""
    store, recorder = HistoryStore(path or history_path(), "test"), Recorder()
    change = recorder.take(session, SETTING)
    assert change is not None
    store.apply(change)
    last = session.transcript.last(Role.ASSISTANT)
    if last is not None and len(session.transcript.siblings(last)) > 1:
        session.transcript.delete(last)
        change = recorder.take(session, SETTING)
        assert change is not None
        store.apply(change)
    if title:
        (entry, *_) = read_history(path or history_path(), lambda reader: reader.entries_of(recorder.uid))
        store.set_title(entry, title)
    store.close()
    return recorder.uid


def rich_session() -> Session:
    """Everything that can be in a conversation: branches, marks, odd bytes, infinities, what was deleted."""
    session = Session(SamplingParams(logit_bias={" no": -math.inf}, seed=7), system="Be brief.")
    session.model = "Toy <1>"
    ask(session, "Hello\n```\nnot closed", "Hi", " there")
    begin(session, f"Say {SCRIPT}", SCRIPT)
    request = session.stream
    session.apply(ParamsChanged(stream=request, index=1, params=SamplingParams(temperature=1.5), changed=()))
    odd = (
        Token(1, 5, b"\xf0\x9f", -math.inf, 0.0, 9, None, (Candidate(5, b"\xf0\x9f", -math.inf, 0.0, False, 0),)),
        Token(2, 6, b"\x98\x80", -0.5, 0.5, 1, 0.1),
        Token(3, None, b" \x1b[31mred", None, None, None, None, chunk=True),
        Token(4, 2, b"", -0.1, 0.9, 1, 0.1, special="<|im_end|>"),
    )
    for token in odd:
        session.apply(TokenGenerated(stream=request, token=token))
    end(session, cost=0.25)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    reply.by_hand.add(0)
    reply.notes.append("attempt 1 of 3: busy")
    session.regenerate()
    write(session, "Another")
    end(session)
    return session


def exported(path: Path, *uids: str) -> str:
    """The JSON Lines of some conversations."""
    trees = [
        read_history(path, lambda reader, uid=uid: (reader.tree(uid), reader.entries_of(uid)))  # type: ignore[misc]
        for uid in uids
    ]
    return "".join(f"{line}\n" for line in to_json_lines(trees))


def page_of(*sessions: Session) -> str:
    """The sessions' last replies as HTML."""
    for session in sessions:
        keep(session)
    entries = read_history(history_path(), lambda reader: reader.find(Query()))
    return to_html(
        read_history(history_path(), lambda reader: find_branches(reader, [e.id for e in entries])), page_look()
    )


def test_what_is_imported_is_what_was_exported(tmp_path: Path) -> None:
    path, other, file = tmp_path / "one.sqlite3", tmp_path / "two.sqlite3", tmp_path / "talk.jsonl"
    uids = [keep(rich_session(), path, title="A name"), keep(rich_session(), path)]
    store = HistoryStore(path, "test")
    store.set_starred(1, True)
    store.set_deleted(2, True)
    store.close()
    file.write_text(exported(path, *uids), encoding="utf-8")
    assert not [line for line in file.read_text().splitlines() if "Infinity" in line or "NaN" in line]
    elsewhere = HistoryStore(other, "test")
    assert import_file(file, elsewhere) == (2, 6, 0)
    assert import_file(file, elsewhere) == (0, 0, 2), "what is here already stays as it is"
    elsewhere.close()
    for uid in uids:
        before = read_history(path, lambda reader, uid=uid: reader.tree(uid))  # type: ignore[misc]
        assert read_history(other, lambda reader, uid=uid: reader.tree(uid)) == before  # type: ignore[misc]
        lists = [
            [
                msgspec.structs.replace(entry, id=0)
                for entry in read_history(place, lambda reader, uid=uid: reader.entries_of(uid))  # type: ignore[misc]
            ]
            for place in (path, other)
        ]
        assert lists[0] == lists[1]
        assert exported(other, uid).splitlines()[1:4] == exported(path, uid).splitlines()[1:4]
    found = read_history(other, lambda reader: reader.find(Query(text="another")))
    assert len(found) == 2, "what was imported can be searched"


HEAD = '{"kind":"head","format":"llm-playground history","version":1}'


def broken(lines: list[dict[str, Any]], at: int, **changes: Any) -> str:
    """The lines with something else in one of them."""
    lines[at] = {**lines[at], **changes}
    return "\n".join(json.dumps(line) for line in lines)


@pytest.mark.parametrize(
    ("what", "line", "sentence"),
    [
        ("head of another", 1, "no exported history"),
        ("newer", 1, "version 2"),
        ("no JSON", 3, "malformed"),
        ("cut off", 0, "ends too early"),
        ("empty", 0, "ends too early"),
        ("wrong type", 3, "Expected `int`"),
        ("no parent", 3, "which is not there"),
        ("own parent", 3, "which is not there"),
        ("a turn twice", 4, "out of order"),
        ("huge number", 3, ""),
        ("bad parameter", 4, "temperature"),
        ("a path as a name", 2, "uid"),
        ("tokens of nothing", 5, "no turn 99"),
        ("unknown kind", 5, "Invalid value"),
        ("not UTF-8", 3, ""),
    ],
)
def test_a_broken_or_hostile_file_is_refused_with_its_line(tmp_path: Path, what: str, line: int, sentence: str) -> None:
    session = Session()
    ask(session, "Hello", "Hi", " there")
    path, file = tmp_path / "one.sqlite3", tmp_path / "talk.jsonl"
    good = exported(path, keep(session, path))
    lines = [json.loads(one) for one in good.splitlines()]
    user, reply, tokens = lines[2]["turn"], lines[3]["turn"], lines[4]
    assert (user["role"], reply["role"], tokens["kind"]) == ("user", "assistant", "tokens")
    texts: dict[str, Callable[[], str]] = {
        "head of another": lambda: broken(lines, 0, format="shopping list"),
        "newer": lambda: broken(lines, 0, version=2),
        "no JSON": lambda: good.replace('{"kind":"turn"', '{"kind":turn', 1),
        "cut off": lambda: good[: len(good) * 2 // 3].rsplit("\n", 1)[0],
        "empty": lambda: "",
        "wrong type": lambda: broken(lines, 2, turn={**user, "id": "1"}),
        "no parent": lambda: broken(lines, 2, turn={**user, "parent": 77}),
        "own parent": lambda: broken(lines, 2, turn={**user, "parent": user["id"]}),
        "a turn twice": lambda: broken(lines, 3, turn={**reply, "id": user["id"]}),
        "huge number": lambda: broken(lines, 2, turn={**user, "continued_at": 10**30}),
        "bad parameter": lambda: broken(lines, 3, turn={**reply, "params": {"temperature": -5.0}}),
        "a path as a name": lambda: broken(lines, 1, uid="../../etc/passwd"),
        "tokens of nothing": lambda: broken(lines, 4, turn=99),
        "unknown kind": lambda: broken(lines, 4, kind="surprise"),
        "not UTF-8": lambda: good.replace("Hello", "\udcff", 1),
    }
    file.write_bytes(texts[what]().encode("utf-8", "surrogateescape"))
    store = HistoryStore(tmp_path / "two.sqlite3", "test")
    with pytest.raises(BadInput) as caught:
        import_file(file, store)
    assert caught.value.message.startswith(f"{file} cannot be imported: line {line or ''}")
    assert sentence in caught.value.message
    store.close()
    assert read_history(tmp_path / "two.sqlite3", lambda reader: reader.find(Query(deleted=False))) == []


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HistoryStore(tmp_path / "two.sqlite3", "test")
    pipe, large, long = tmp_path / "pipe", tmp_path / "large", tmp_path / "long"
    os.mkfifo(pipe)
    large.touch()
    os.truncate(large, 2 << 30)
    long.write_text(f"{HEAD}\n")
    os.truncate(long, MAX_LINE_BYTES + 1000)
    for path, sentence in (
        (pipe, "not a file"),
        (tmp_path, "directory"),
        (tmp_path / "gone", "No such file"),
        (large, "larger than"),
        (long, "line 1: it is longer than"),
    ):
        with pytest.raises(BadInput, match=sentence):
            import_file(path, store)
    store.close()


def test_markdown_can_be_read_and_nothing_in_it_runs_over(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    keep(rich_session(), path, title="A *name* | with | bars")
    (last,) = [one for one in read_history(path, lambda reader: reader.find(Query())) if one.turn == 4]
    text = to_markdown(read_history(path, lambda reader: find_branches(reader, [last.id])))
    assert text.startswith("# A \\*name\\* \\| with \\| bars\n")
    assert "| Preset | \\<b\\>calm\\</b\\> |" in text
    assert "| temperature | 0.8 |" in text
    assert "**System**\n\nBe brief." in text
    assert "```\nnot closed\n```\n\n**Toy \\<1\\>**" in text, "a fence that was left open ends with its message"
    assert "\n\\<script>" in text, "HTML does not begin a block"
    assert "\x1b" not in text
    assert "*from token 2 on: temperature 0.8 → 1.5" in text


def test_of_two_replies_of_one_branch_the_later_one_has_both() -> None:
    session = Session()
    ask(session, "First", "one")
    ask(session, "Second", "two")
    keep(session)
    entries = read_history(history_path(), lambda reader: reader.find(Query()))
    branches = read_history(history_path(), lambda reader: find_branches(reader, [entry.id for entry in entries]))
    assert [[turn.content for turn in branch.turns] for branch in branches] == [["First", "one", "Second", "two"]]


class _Page(html.parser.HTMLParser):
    """What a browser would see in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_has_candidates_and_colours_and_nothing_foreign_in_it() -> None:
    page = page_of(rich_session())
    seen = _Page(page)
    assert "script" not in seen.tags
    assert "img" not in seen.tags
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("href", "src", "style")}
    assert SCRIPT in seen.text
    assert "<b>calm</b>" in seen.text
    assert "cut by top_p" in seen.text
    assert "other3" in seen.text.replace("·", " ")
    assert "😀" in seen.text, "a character of two tokens is put together"
    assert "put here by hand" in seen.text
    assert "\x1b" not in page
    assert 'class="t l' in page
    assert "http" not in page.replace("http-equiv", "")


def test_colours_are_those_of_the_theme() -> None:
    assert page_look("parchment").levels != page_look("ember").levels
    assert page_look("no such theme").levels == page_look("ember").levels
    assert all(colour.startswith("#") for colour in page_look("lagoon").levels[0])


def test_a_browser_runs_nothing_and_has_the_candidates(tmp_path: Path) -> None:
    names = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("there is no chromium on this machine")
    file = tmp_path / "page.html"
    file.write_text(page_of(rich_session()), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", file.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    assert "<title>it ran</title>" not in done.stdout
    seen = _Page(done.stdout)
    assert "script" not in seen.tags
    assert "img" not in seen.tags
    assert SCRIPT in seen.text
    assert "other3" in seen.text.replace("·", " ")


def test_marks_keep_their_parameters(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    uid = keep(rich_session(), path)
    tree = read_history(path, lambda reader: reader.tree(uid))
    marks = [mark for turn, _ in tree.turns for mark in turn.marks]
    assert marks == [Mark(1, marks[0].text, SamplingParams(temperature=1.5))]
