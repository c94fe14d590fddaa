"""What there is to be scored: the texts of a conversation, and one of a person's own."""

from __future__ import annotations

from typing import Final, NamedTuple

from playground.domain.messages import Prompt, RawPrompt, Role
from playground.domain.scoring import ScoreRequest
from playground.domain.session import Session
from playground.domain.transcript import Turn

OWN: Final = "A text of your own"
CANDIDATES: Final = 20
"""How many candidates are kept for each token: enough that what two models think of the rest hardly matters."""


class ScoreText(NamedTuple):
    """A text that can be scored."""

    name: str
    """What it is, for a list, e.g. "The last reply"."""
    title: str
    """The same behind "SmolLM2's view of", e.g. "what claude-sonnet-5 wrote"."""
    text: str
    """The text itself, or the part of it by which a person knows it again."""
    prompt: Prompt | None = None
    """What stands before a reply, or the whole of a prompt; None for a text by itself."""
    turn: Turn | None = None
    """The reply, if it is one."""

    def request(self, model: str) -> ScoreRequest:
        """What to ask a model.

        Args:
            model: Short name of the model that is asked: its own reply keeps its tokens, any other is taken as text.
        """
        if self.prompt is None:
            return plain_text(self.text)
        if self.turn is None:
            return ScoreRequest(prompt=self.prompt, top=CANDIDATES)
        ids = tuple(token.id for token in self.turn.tokens if token.id is not None)
        if self.turn.model == model and len(ids) == len(self.turn.tokens):
            return ScoreRequest(prompt=self.prompt, reply_ids=ids, only_reply=True, top=CANDIDATES)
        return ScoreRequest(prompt=self.prompt, reply_text=self.text, only_reply=True, top=CANDIDATES)

    def headline(self, model: str) -> str:
        """Whose view of what."""
        own = self.turn is not None and self.turn.model == model
        return f"{model}'s view of {'its own reply' if own else self.title}"


def plain_text(text: str) -> ScoreRequest:
    """A text by itself; what looks like the name of a control token is text like all the rest."""
    return ScoreRequest(prompt=RawPrompt(text), parse_special=False, top=CANDIDATES)


def own_text(text: str) -> ScoreText:
    """A text that a person pasted or typed."""
    return ScoreText(OWN, "a text of yours", text)


def texts_of(session: Session, prompt: Prompt, draft: str, at_cursor: Turn | None = None) -> list[ScoreText]:
    """What a conversation has to score, the likeliest to be meant first.

    Args:
        session: The conversation.
        prompt: What would be sent now, the draft included.
        draft: What is written in the editor.
        at_cursor: The reply with the token under the cursor; None without a cursor.
    """
    last = session.transcript.last(Role.ASSISTANT)
    found = [_reply("The reply under the token cursor", session, at_cursor)] if at_cursor is not None else []
    if draft.strip():
        found.append(ScoreText("The prompt in the editor", "the prompt in the editor", draft))
    if last is not None and last is not at_cursor:
        found.append(_reply("The last reply", session, last))
    if draft.strip() or session.transcript.head is not None:
        name = "The whole prompt, as the model gets it" if draft else "The whole conversation, as the model gets it"
        said = next((turn.content for turn in reversed(session.transcript.path()) if turn.content), "")
        found.append(ScoreText(name, f"{name[0].lower()}{name[1:]}", draft or said, prompt))
    return [one for one in found if one.text]


def _reply(name: str, session: Session, turn: Turn) -> ScoreText:
    prompt = turn.prompt if turn.prompt is not None else session.prompt(turn.parent)
    return ScoreText(name, f"what {turn.model or 'the model'} wrote", turn.content, prompt, turn)
