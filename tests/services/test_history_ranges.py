"""Numbers that cannot be: refused where a file brings them, and drawn all the same where a history holds them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import TokenGenerated
from playground.domain.history import Query
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Token
from playground.domain.watching import Watched
from playground.screens.page_colours import page_look
from playground.services.history import read_history
from playground.services.history_export import find_branches, to_json_lines, to_markdown
from playground.services.history_html import to_html
from playground.services.history_import import import_file, read_conversations
from playground.services.history_preview import read_exchange
from playground.services.history_store import HistoryStore
from playground.widgets.bars import percent, probability, thin_bar
from playground.widgets.colour_scale import ColourMode, level_of_token
from tests.services.history_support import ask, begin, end
from tests.services.test_history_files import exported, keep, rich_session

ODD: tuple[float | int, ...] = (1e30, -1e30, math.nan, -1, 2**63)
FLOATS = (1e30, -1e30, math.nan, math.inf, -math.inf, 1e308, -5.0)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a number stands in a line; of a row of alike things, in the first two."""
    match value:
        case dict():
            for key, one in value.items():
                yield from places(one, (*way, key))
        case list():
            alike = bool(value) and isinstance(value[0], list)
            for index, one in enumerate(value[:2] if alike else value):
                yield from places(one, (*way, index))
        case bool():
            return
        case int() | float():
            yield way


def put(line: dict[str, Any], way: tuple[Any, ...], value: float) -> None:
    *before, last = way
    at: Any = line
    for step in before:
        at = at[step]
    at[last] = value if not isinstance(value, float) or math.isfinite(value) else {"$float": str(value)}


def use(path: Path) -> None:
    """List, show, look at and write out everything that is in a history."""
    entries = read_history(path, lambda reader: reader.find(Query()))
    for entry in entries:
        read_exchange(path, entry.tree, entry.turn)
        branches = read_history(path, lambda reader, run=entry.id: find_branches(reader, [run]))  # type: ignore[misc]
        to_html(branches, page_look())
        to_markdown(branches)
        tree = read_history(path, lambda reader, uid=entry.tree: reader.tree(uid))  # type: ignore[misc]
        for line in to_json_lines([(tree, [entry])]):
            json.loads(line)


def test_every_number_of_a_file_is_refused_or_can_be_used(tmp_path: Path) -> None:
    one, file = tmp_path / "one.sqlite3", tmp_path / "talk.jsonl"
    lines = [json.loads(line) for line in exported(one, keep(rich_session(), one)).splitlines()]
    refused: list[str] = []
    taken = 0
    for at, line in enumerate(lines):
        for way in places(line):
            for number, odd in enumerate(ODD):
                changed = copy.deepcopy(line)
                put(changed, way, odd)
                file.write_text(
                    "\n".join(json.dumps(changed if other == at else one) for other, one in enumerate(lines))
                )
                try:
                    list(read_conversations(file))
                except BadInput as error:
                    refused.append(error.message)
                    continue
                taken += 1
                other = tmp_path / f"{at}-{taken}-{number}.sqlite3"
                store = HistoryStore(other, "test")
                import_file(file, store)
                store.close()
                use(other)
    assert all(message.startswith(f"{file} cannot be imported: line ") for message in refused)
    assert len(refused) > taken > 0


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (3, 1e30, "logprob is 1e+30, which cannot be: it is 0 or less"),
        (4, 1.5, "prob is 1.5, which cannot be: it is 0 to 1"),
        (5, 0, "rank is 0, which cannot be: it is 1 or more"),
        (1, -3, "id is -3, which cannot be: it is 0 or more"),
        (6, {"$float": "nan"}, "entropy is nan"),
        (9, -2.0, "time_ms is -2"),
    ],
)
def test_a_number_that_cannot_be_is_named_with_its_line(
    tmp_path: Path, place: int, value: object, sentence: str
) -> None:
    one, file = tmp_path / "one.sqlite3", tmp_path / "talk.jsonl"
    lines = [json.loads(line) for line in exported(one, keep(rich_session(), one)).splitlines()]
    at = next(number for number, line in enumerate(lines) if line["kind"] == "tokens")
    lines[at]["tokens"][0][place] = value
    file.write_text("\n".join(map(json.dumps, lines)))
    store = HistoryStore(tmp_path / "two.sqlite3", "test")
    with pytest.raises(BadInput) as caught:
        import_file(file, store)
    store.close()
    assert f"line {at + 1}: " in caught.value.message
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "params",
    [
        {"json_schema": '{"type": "number", "minimum": 5, "maximum": 3}'},
        {"json_schema": '{"type": "integer", "minimum": null}'},
        {"json_schema": '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}'},
        {"grammar": "no grammar at all"},
        {"grammar": 'root ::= "a"', "json_schema": "{}"},
        {"logit_bias": {"": 1.0}},
        {"stop": [""]},
    ],
)
def test_a_reply_is_kept_with_texts_that_no_reply_would_be_written_with_today(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    one, two, file = (tmp_path / name for name in ("one.sqlite3", "two.sqlite3", "talk.jsonl"))
    lines = [json.loads(line) for line in exported(one, keep(rich_session(), one)).splitlines()]
    replies = [line["turn"] for line in lines if line["kind"] == "turn" and line["turn"].get("params") is not None]
    replies[0]["params"] = params
    file.write_text("\n".join(map(json.dumps, lines)))
    store = HistoryStore(two, "test")
    assert import_file(file, store).replies == len(replies)
    store.close()
    use(two)
    again = [json.loads(line) for line in exported(two, lines[1]["uid"]).splitlines()]
    assert params in [line["turn"].get("params") for line in again if line["kind"] == "turn"], "nothing is lost"


@pytest.mark.parametrize("logprob", [1e-6, 0.004, 0.25])
def test_a_logprob_a_little_above_0_as_some_servers_send_it_is_taken(tmp_path: Path, logprob: float) -> None:
    session = Session(SamplingParams())
    ask(session, "Hello")
    begin(session, "Hi")
    top = (Candidate(5, b"Hi", logprob, None),)
    session.apply(TokenGenerated(stream=session.stream, token=Token(0, 5, b"Hi", logprob, None, 1, None, top)))
    end(session)
    one, two, file = (tmp_path / name for name in ("one.sqlite3", "two.sqlite3", "talk.jsonl"))
    uid = keep(session, one)
    file.write_text(exported(one, uid))
    store = HistoryStore(two, "test")
    assert import_file(file, store).conversations == 1
    store.close()
    use(two)
    assert percent(probability(logprob)).strip() == "100%"


@pytest.mark.parametrize("odd", FLOATS)
def test_a_history_that_somebody_else_wrote_can_be_used_whatever_it_measured(tmp_path: Path, odd: float) -> None:
    one, two = tmp_path / "one.sqlite3", tmp_path / "two.sqlite3"
    uid = keep(rich_session(), one)
    tree = read_history(one, lambda reader: reader.tree(uid))
    entries = read_history(one, lambda reader: reader.entries_of(uid))
    token = Token(
        0, 5, b"x", odd, odd, -1, odd, (Candidate(5, b"x", odd, odd),), time_ms=odd, watched=(Watched(5, odd, odd),)
    )
    when = 0.0 if math.isnan(odd) else odd  # the file has no room for what is no number
    spoilt = msgspec.structs.replace(
        tree, turns=[(turn, [token] if tokens else []) for turn, tokens in tree.turns], created_at=when, updated_at=when
    )
    store = HistoryStore(two, "test")
    store.restore(
        spoilt, [msgspec.structs.replace(one, began_at=when, cost=odd, tokens_per_second=odd) for one in entries]
    )
    store.close()
    use(two)
    for mode in ColourMode:
        assert level_of_token(token, mode) >= 0
    assert percent(probability(token.logprob))
    assert len(thin_bar(odd, 4)) <= 4
