"""A conversation as a document: Markdown and self-contained HTML; a runbook when it was closed with success."""

from conversations.transcripts.html import render_html
from conversations.transcripts.markdown import render_markdown
from conversations.transcripts.parts import (
    Attachment,
    ToolCall,
    Transcript,
    TranscriptMessage,
    TranscriptOutcome,
    TranscriptSession,
    transcript_of,
)
from conversations.transcripts.visible import visible

__all__ = [
    "Attachment",
    "ToolCall",
    "Transcript",
    "TranscriptMessage",
    "TranscriptOutcome",
    "TranscriptSession",
    "render_html",
    "render_markdown",
    "transcript_of",
    "visible",
]
