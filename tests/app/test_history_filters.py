"""Filters of the history by where replies come from, without a screen."""

from __future__ import annotations

from playground.domain.history import Query
from playground.screens.history_filters import Filters


def test_a_sweep_is_one_line_unless_its_replies_are_asked_for() -> None:
    filters = Filters()
    assert filters.query.grouped
    assert not filters.narrow

    def said() -> list[tuple[str, bool]]:
        return [(one.words, one.narrow) for one in filters.words()]

    assert ("from anywhere", False) in said()
    labels = [answer.label for answer in filters.question("origin", ()).answers]
    filters.choose("origin", (), labels.index("every reply of sweeps"))
    assert (filters.query.origins, filters.query.grouped, filters.narrow) == (("sweep",), False, True)
    assert ("every reply of sweeps", True) in said()
    filters.choose("origin", (), labels.index("from the app"))
    assert filters.query.origins == ("app",)
    filters.search("river")
    filters.clear()
    assert filters.query == Query(grouped=True)
