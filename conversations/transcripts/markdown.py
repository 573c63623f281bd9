"""A transcript as Markdown.

What people wrote is escaped, so no link, image, heading or HTML of theirs comes alive in whatever renders the file.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from conversations.transcripts.parts import Attachment, Transcript, TranscriptMessage
from conversations.transcripts.visible import visible
from conversations.transcripts.wording import (
    KINDS,
    ROLES,
    as_json,
    confidence,
    moment,
    outcome_facts,
    session_facts,
)

# What can begin something anywhere, and what can at the beginning of a line: no more, for the file is read raw too.
_INLINE = re.compile(r"[\\`*<\[\]]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|&(?=#?\w+;)|#(?=#*$)")
_AT_THE_START = re.compile(r"^(\s*\d*)([#>+\-=|:~.)])")
_BACKTICKS = re.compile(r"`{3,}")


def render_markdown(transcript: Transcript) -> str:
    """The whole document, ending in a line feed."""
    return "\n\n".join(_blocks(transcript)) + "\n"


def _blocks(transcript: Transcript) -> Iterator[str]:
    session = transcript.session
    yield f"# {'Runbook: ' if session.is_runbook else ''}{_line(session.heading)}"
    yield _facts(session_facts(session))
    if session.outcome and (facts := outcome_facts(session.outcome)):
        yield "## Outcome"
        yield _facts(facts)
    if session.outcome and session.outcome.knowledge:
        yield "## Knowledge"
        yield _prose(session.outcome.knowledge)
    yield "## Steps" if session.is_runbook else "## Conversation"
    if not transcript.messages:
        yield "Nothing was said."
    for message in transcript.messages:
        yield from _message(message)


def _message(message: TranscriptMessage) -> Iterator[str]:
    role = ROLES.get(message.role, message.role)
    speaker = f"{role} ({_line(message.name)})" if message.name else role
    yield f"### {message.position}. {speaker}"
    said = [moment(message.created_at)]
    if message.intent:
        said.append(f"intent {_line(message.intent)} {confidence(message)}".rstrip())
    if message.model:
        said.append(f"model {_line(message.model)}")
    yield f"*{' · '.join(said)}*"
    if message.text:
        yield _code(message.text) if message.role == "tool" else _prose(message.text)
    for call in message.tool_calls:
        yield f"**Calls {_line(call.name)}**"
        yield _code(call.arguments)
    for attachment in message.attachments:
        yield from _attachment(attachment)
    for agent, result in (message.agent_responses or {}).items():
        yield f"**Result of {_line(agent)}**"
        yield _code(result)


def _attachment(attachment: Attachment) -> Iterator[str]:
    address = f": {_line(attachment.uri)}" if attachment.uri else ""
    yield f"**{KINDS.get(attachment.kind, attachment.kind)}**{address}"
    if attachment.text:
        yield _prose(attachment.text)
    if attachment.data is not None:
        yield _code(attachment.data)


def _facts(facts: list[tuple[str, str]]) -> str:
    return "\n".join(f"- **{label}:** {_line(value)}" for label, value in facts)


def _escaped(text: str) -> str:
    return _INLINE.sub(r"\\\g<0>", text)


def _line(text: str) -> str:
    """Text inside a line of ours."""
    return _escaped(" ".join(visible(text).split()))


def _prose(text: str) -> str:
    """Text as a quotation that keeps its lines: each but the last of a paragraph ends in a hard break."""
    lines = [line.rstrip() for line in visible(text).split("\n")]
    breaks = ["\\" if line and following else "" for line, following in pairwise([*lines, ""])]
    return "\n".join(
        f"> {_escaped_line(line)}{end}" if line else ">" for line, end in zip(lines, breaks, strict=True)
    )


def _escaped_line(line: str) -> str:
    escaped = _AT_THE_START.sub(r"\1\\\2", _escaped(line))
    # Indented text would become code, so leading blanks become non-breaking spaces.
    return re.sub(r"^[ \t]+", lambda spaces: "&nbsp;" * len(spaces[0]), escaped)


def _code(value: Any) -> str:
    """Text or JSON between fences longer than any inside."""
    text = visible(as_json(value))
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{fence}{'' if isinstance(value, str) else 'json'}\n{text}\n{fence}"
