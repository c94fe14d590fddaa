"""`llm-playground score`: how likely a model finds a text, and how another one differs about it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from playground.cli.completion import complete_model
from playground.cli.run_output import say
from playground.cli.score_output import print_score, score_json
from playground.cli.status_line import StatusLine
from playground.cli.unused import tell_context
from playground.domain.display import display_line
from playground.domain.errors import BadInput, PromptTooLong
from playground.domain.messages import ChatPrompt, Message, RawPrompt, Role
from playground.domain.score_texts import CANDIDATES, ScoreText, own_text

if TYPE_CHECKING:
    from playground.services.model_pool import ModelPool
    from playground.services.score_views import View
    from playground.services.scorer import Scorer

_Form = Literal["text", "raw", "chat"]


@click.command("score")
@click.argument("file", metavar="FILE|-")
@click.option("--model", "-m", metavar="PATH|NAME", default="", shell_complete=complete_model, help="The model.")
@click.option("--raw", "form", flag_value="raw", help="Names such as <|im_end|> stand for control tokens.")
@click.option("--chat", "form", flag_value="chat", help="Put the text into the model's chat template, as a question.")
@click.option("--compare", metavar="PATH|NAME", default="", shell_complete=complete_model, help="A second model.")
@click.option(
    "--compare-kv", type=click.Choice(["f16", "q8_0", "q4_0"]), help="Or: the same with this type of KV cache."
)
@click.option("--tokens", "each", is_flag=True, help="Print every token, not only the summary.")
@click.option("--surprises", type=click.IntRange(0, 1000), default=10, show_default=True, help="How many to list.")
@click.option(
    "--top", type=click.IntRange(0, CANDIDATES), default=3, show_default=True, help="Candidates shown for each token."
)
@click.option("--context", type=click.IntRange(1), default=None, help="Context window in tokens.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each token, and one at the end.")
def score_command(file: str, form: _Form | None, context: int | None, **given: Any) -> None:
    """Tell how likely a model finds a text: perplexity, bits a byte, and the tokens that surprised it.

    Nothing is generated. With a second model the same tokens are compared: mean difference, and how far the
    distributions are apart (Kullback-Leibler, over the whole vocabulary).

    \b
    Examples:
      llm-playground score essay.txt
      llm-playground score essay.txt --tokens --top 5 | less
      llm-playground score - --model SmolLM2 --compare-kv q4_0 < essay.txt
      llm-playground score essay.txt --compare Qwen3 --json
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    from playground.cli.texts import read_text_file, text_argument

    text = text_argument("-") if file == "-" else read_text_file(Path(file))
    if given["compare"] and given["compare_kv"]:
        raise BadInput("--compare and --compare-kv are two ways to name one second view.", "Give one of them.")
    asyncio.run(_run(_score_text(text, form or "text"), context, **given))


def _score_text(text: str, form: _Form) -> ScoreText:
    match form:
        case "raw":
            return own_text(text)._replace(prompt=RawPrompt(text))
        case "chat":
            return own_text(text)._replace(prompt=ChatPrompt((Message(Role.USER, text),)))
        case "text":
            return own_text(text)


async def _run(
    text: ScoreText,
    context: int | None,
    *,
    model: str,
    compare: str,
    compare_kv: str | None,
    each: bool,
    surprises: int,
    top: int,
    as_json: bool,
) -> None:
    from playground.services.recent_models import remember_model
    from playground.services.score_views import view_of_file
    from playground.services.scorer import Scorer

    pool = _pool(context)
    first = view_of_file(_file(pool, model))
    second = view_of_file(_file(pool, compare)) if compare else None
    status = StatusLine()
    scorer = Scorer(pool, text, lambda what, share: status.show(f"{display_line(what)} {share:4.0%}"))
    try:
        score = await scorer.first(first, compare=second is not None or compare_kv is not None)
        other = None
        if compare_kv:
            second = _kv_view(first, compare_kv, scorer)
        if second is not None:
            other = await scorer.second(second)
            remember_model(Path(first.ref.name))  # or else the next command would begin with the second one
    except PromptTooLong as error:
        raise PromptTooLong(error.message, _hint(error.hint)) from error
    finally:
        status.clear()
        if scorer.card is not None:
            tell_context(scorer.card, context, hosted=False)
        await scorer.close()
        await pool.close_all()
    if score.note:
        say(score.note)
    if as_json:
        score_json(score, other, top)
    else:
        print_score(score, other, each=each, count=surprises, top=top)


def _pool(context: int | None) -> ModelPool:
    from playground.services.model_pool import ModelPool
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    if context is not None:
        load = msgspec.structs.replace(settings.load, context=context)
        settings = msgspec.structs.replace(settings, load=load)
    return ModelPool(settings)


def _file(pool: ModelPool, name: str) -> str:
    ref = pool.find(name)
    if ref.endpoint:
        raise BadInput(
            f"{ref.text} does not score texts.", "Servers tell how likely their own words are; name a model file."
        )
    return ref.name


def _kv_view(first: View, kind: str, scorer: Scorer) -> View:
    """The first model's file with another KV cache, and no more context than the text needs."""
    found = next(
        (view for view in scorer.others(()) if view.options is not None and view.options.kv_type == kind), None
    )
    if found is None:
        raise BadInput(f"The KV cache of {first.name} is {kind} already.", "Choose another type.")
    return found


def _hint(hint: str) -> str:
    """The next step in terms of this command."""
    return hint.partition(", or load")[0].rstrip(".") + ", or give the model a larger window with --context."
