"""The plot of watched words: figures at a token, curves over the reply, keys and mouse."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.content import Content
from textual.pilot import Pilot

from playground.domain.tokens import Stage, Token
from playground.domain.watch_list import Curve, Shown
from playground.domain.watching import Watched, WatchedWord
from playground.widgets.watch_grid import LEAST, SIGNS, columns_of, draw, height_of, token_of, zoom_of
from playground.widgets.watch_plot import WatchPlot
from tests.widgets.support import Stand

WORDS = (
    WatchedWord(word=" Yes", id=7, piece=b" Yes"),
    WatchedWord(word="hippopotamus", id=8, piece=b"hip\x1b[31m", tokens=4),
)
STAGES = (Stage("top_k", 40, 0.9), Stage("dist", 40, 0.9))


def reply(count: int, *, before: float = 0.5, after: float = 0.0) -> list[Token]:
    watched = (Watched(7, before, after, 0 if not after else -1), Watched(8, 3e-7, 0.0, 0))
    return [Token(index, 9, b"x", -1.0, 0.4, 1, 2.0, (), STAGES, watched=watched) for index in range(count)]


class Bench(Stand):
    def __init__(self) -> None:
        super().__init__(lambda: WatchPlot(id="plot"))

    @property
    def plot(self) -> WatchPlot:
        return self.query_one(WatchPlot)

    def rows(self) -> list[str]:
        return [self.row(self.plot, y) for y in range(self.plot.size.height)]


async def showing(pilot: Pilot[None], app: Bench, shown: Shown, most: int = 9) -> list[str]:
    app.plot.show(shown, most)
    await pilot.pause()
    await pilot.pause()
    return app.rows()


async def test_figures_of_the_latest_token_or_of_the_one_under_the_cursor() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        tokens = [*reply(5), replace(reply(6)[5], watched=(Watched(7, 0.9, 1.0), Watched(8, 2e-5, 0.0, 0)))]
        head, yes, hippo, *_ = await showing(pilot, app, Shown((), WORDS, tokens))
        assert head.split()[:4] == ["#6", "latest", "model", "sampled"]
        assert yes.split()[:4] == ["●", "·Yes", "90.0%", "100%"]
        assert hippo.split()[:6] == ["▲", "hip␛[31m…", "<0.01%", "0%", "✂", "top-k"]
        head, yes, *_ = await showing(pilot, app, Shown((), WORDS, tokens, at=2))
        assert head.split()[:2] == ["#3", "pinned"]
        assert yes.split()[:6] == ["●", "·Yes", "50.0%", "0%", "✂", "top-k"]


async def test_a_word_that_was_not_watched_at_a_token_has_no_figures_there() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        tokens = [*reply(3), replace(reply(4)[3], watched=())]
        _, yes, *_ = await showing(pilot, app, Shown((), WORDS, tokens))
        assert yes.split()[:4] == ["●", "·Yes", "–", "–"]


async def test_before_there_is_a_reply_the_words_stand_there() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        rows = await showing(pilot, app, Shown((" Yes", "#504"), note="The figures come with the reply."))
        assert rows[1].split()[:4] == ["●", "·Yes", "–", "–"]
        assert rows[2].split()[:2] == ["▲", "#504"]
        assert "The figures come with the reply." in rows[1]


async def test_dots_are_the_model_and_signs_the_samplers_each_at_its_height() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        rows = await showing(pilot, app, Shown((), WORDS[:1], reply(40, before=0.999, after=0.02)))
        plot = [row[43:] for row in rows]
        assert set(plot[0].strip()[4:].strip()) == {"⠉"}, "the model's own at the top"
        assert set(plot[-2].strip()[2:].strip()) <= {"●", " "}, "what the samplers left, at the foot"
        assert plot[-2].count("●") == 40
        assert not any(row.strip() for row in plot[1:2])
        app.plot.focus()
        await pilot.press("l")
        plot = [row[43:] for row in app.rows()]
        assert "●" in plot[1] + plot[2], "two percent are well up a logarithmic scale"
        assert "0.0001%" in app.rows()[-2]


async def test_a_long_reply_is_compressed_and_says_so() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        rows = await showing(pilot, app, Shown((), WORDS, reply(10_000)))
        assert "10,000 tokens" in rows[-1]
        assert "highest of 64" in rows[-1]
        assert max(len(row) for row in rows) == 128


async def test_more_of_a_reply_costs_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Bench()
    async with app.run_test(size=(130, 20)) as pilot:
        tokens = reply(5000)
        await showing(pilot, app, Shown((), WORDS, tokens))
        added: list[Token] = []
        real = Curve.add

        def counted(curve: Curve, token: Token) -> None:
            added.append(token)
            real(curve, token)

        monkeypatch.setattr(Curve, "add", counted)
        await showing(pilot, app, Shown((), WORDS, tokens))
        assert not added
        await showing(pilot, app, Shown((), WORDS, [*tokens, *reply(5003)[5000:]]))
        assert [token.index for token in added[::2]] == [5000, 5001, 5002]
        added.clear()
        await showing(pilot, app, Shown((), WORDS, reply(4)))
        assert len(added) == 8, "another reply is read from its beginning"


async def test_a_click_and_the_arrows_go_to_tokens() -> None:
    app = Bench()
    async with app.run_test(size=(130, 20), message_hook=app.note) as pilot:
        tokens = reply(12)
        await showing(pilot, app, Shown((), WORDS, tokens, at=3))
        marked = columns_of(3, 1, zoom_of(12, app.plot._curves.columns, whole=True))
        left = app.row(app.plot, 0).index("100%") + 5
        await pilot.click(WatchPlot, offset=(1 + left + marked[0], 2))
        app.plot.focus()
        await pilot.press("right", "left", "enter", "delete")
        await pilot.pause()
        assert [message.at for message in app.posted(WatchPlot.TokenChosen)] == [3, 4, 2]
        assert len(app.posted(WatchPlot.WordsWanted)) == len(app.posted(WatchPlot.FoldWanted)) == 1


@pytest.mark.parametrize("width", [30, 46, 60, 80, 200])
async def test_every_width_has_its_figures(width: int) -> None:
    app = Bench()
    async with app.run_test(size=(width, 20)) as pilot:
        rows = await showing(pilot, app, Shown((), WORDS, reply(40, after=0.25)), most=5)
        assert len(rows) == 5
        assert "50.0%" in rows[1]
        assert "25.0%" in rows[1] or width < 32
        assert {len(row) for row in rows} == {width - 2}


async def test_words_without_a_row_are_counted() -> None:
    app = Bench()
    async with app.run_test(size=(80, 20)) as pilot:
        rows = await showing(pilot, app, Shown(tuple("abcdefgh")), most=5)
        assert rows[-1].split()[:3] == ["…", "5", "more"]
        assert isinstance(app.plot.tooltip, Content)


def test_scales() -> None:
    assert [height_of(value, log=False) for value in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]
    assert [height_of(value, log=True) for value in (0.0, LEAST, 1.0)] == [0.0, 0.0, 1.0]
    assert height_of(1e-3, log=True) == pytest.approx(0.5)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("columns", [16, 33, 100])
@pytest.mark.parametrize("count", [1, 2, 7, 31, 100, 1000])
def test_every_token_is_drawn_in_a_column_that_leads_back_to_it(columns: int, count: int, whole: bool) -> None:
    curve = Curve(7, columns * 2)
    for token in reply(count, after=0.5):
        curve.add(token)
    zoom = zoom_of(len(curve.before), columns, whole=whole)
    grid = draw([curve], columns, 4, log=False, whole=whole)
    drawn = {column for row in grid for column, cell in enumerate(row) if cell.word == 0}
    assert drawn == set(range(max(drawn) + 1)), "no gap"
    if whole and count >= columns // 4:
        assert max(drawn) == columns - 1, "all the room there is"
    assert any(cell.char == SIGNS[0] for row in grid for cell in row)
    for at in range(count):
        places = columns_of(at, curve.length, zoom)
        assert set(places) <= drawn
        assert abs(token_of(places[0], curve.length, zoom) - at) < 2 * curve.length
