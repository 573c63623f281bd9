from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conversations.transcripts import Attachment, ToolCall, render_markdown, visible
from tests.conversations.transcripts.factories import CLOSED, SESSION, said, transcript

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[a](javascript:alert(1)) [b][c]\n\n[c]: javascript:alert(1)",
    "# heading\n## two\nSetext\n===\nother\n---",
    "1. one\n2) two\n- three\n+ four\n* five",
    "> quoted\n>> twice",
    "    code\n\ttab",
    "```\nfence\n~~~",
    "`tick` **bold** _em_ ~~gone~~ &copy; &#60;b&#62;",
    "| a | b |\n|---|---|\n| c | d |",
    "trailing backslash \\\nand \\[escaped\\]",
    "<https://evil.example> <a@b.example>",
    "snake_case _start end_ __dunder__",
    "-\n=\n#\n***\n___",
    "a\\",
    "1.\n2)",
]


class Rendered(HTMLParser):
    """The tags and the text of what a Markdown renderer makes."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(
            MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
        )

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def squeezed(text):
    return "".join(visible(text).split())


def rendered_alone(text):
    """The tags and text that the message adds to a document whose message is a plain word."""
    plain = Rendered(render_markdown(transcript(said("WORD"))))
    document = Rendered(render_markdown(transcript(said(text))))
    before, after = plain.text.split("WORD")
    assert document.text.startswith(before)
    return document.tags - plain.tags, document.text[len(before) :].removesuffix(after)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_wrote_is_shown_and_does_nothing(text):
    tags, shown = rendered_alone(text)

    assert tags <= {"br"}
    assert squeezed(shown) == squeezed(text)


@given(
    st.text(alphabet=st.sampled_from(list("ab1 \t\n#*_-+=|:~`<>[]()!&;.\\/\"'$x")), min_size=1, max_size=40)
)
@example("&amp;")
@example("&#38;")
def test_no_text_comes_alive(text):
    if not text.strip():
        return
    tags, shown = rendered_alone(text)

    assert tags <= {"br"}
    assert squeezed(shown) == squeezed(text)


@pytest.mark.parametrize(
    "text", ["400 boxes for NYC-FW-02, please.", "see sal_investigation_001 (now)!", "设备 Paradise 已过期"]
)
def test_ordinary_words_are_not_disfigured(text):
    assert f"> {text}\n" in render_markdown(transcript(said(text)))


def test_a_line_break_stays_one():
    assert Rendered(render_markdown(transcript(said("one\ntwo")))).tags >= {"br"}


@given(st.text(alphabet=st.sampled_from(list("`~\n {}x")), max_size=30))
def test_no_result_of_a_tool_ends_its_fence(text):
    document = Rendered(render_markdown(transcript(said(f"a{text}", role="tool"), said("LAST", 2))))

    assert squeezed(f"a{text}") in squeezed(document.text)
    assert "<p>LAST</p>" in MarkdownIt("commonmark").render(
        render_markdown(transcript(said(f"a{text}", role="tool"), said("LAST", 2)))
    )


def test_a_name_cannot_start_anything():
    session = replace(SESSION, title="x\n# y <b> #", customer_id="- [ ] c\n\n> d")

    document = Rendered(render_markdown(transcript(said("hi", name="*A*\n## B"), session=session)))

    assert "b" not in document.tags
    assert "x # y <b> #" in document.text
    assert "- [ ] c > d" in document.text
    assert "*A* ## B" in document.text


def test_a_runbook_tells_issue_entities_tools_time_and_knowledge_before_the_steps():
    document = render_markdown(transcript(said("Find Paradise"), session=CLOSED))

    order = [
        "# Runbook: stale_events",
        "**Issue:** stale_events",
        "**Entities:** Paradise, NYC-FW-02",
        "**Tools:** scc_query",
        "**Resolution time:** 15 min 5 s",
        "## Knowledge",
        "Check the uplink first.",
        "## Steps",
        "### 1. User",
        "Find Paradise",
    ]
    assert [document.index(part) for part in order] == sorted(document.index(part) for part in order)


@pytest.mark.parametrize(
    "session",
    [
        SESSION,
        replace(CLOSED, outcome=None),
        replace(CLOSED, status="open"),
        replace(CLOSED, outcome=replace(CLOSED.outcome, success=False)),
    ],
)
def test_anything_else_reads_as_a_conversation(session):
    document = render_markdown(transcript(said("hi"), session=session))

    assert "# case-7" in document
    assert "## Conversation" in document
    assert "Runbook" not in document


def test_a_message_tells_all_that_is_known_of_it():
    message = said(
        "hi",
        name="Ada",
        intent="greeting",
        intent_confidence=0.934,
        model="m-1",
        agent_responses={"sales": {"score": 1}},
        attachments=(
            Attachment("image_analysis", text="two lamps", data={"lamps": 2}),
            Attachment("file", uri="s3://x"),
        ),
        tool_calls=(ToolCall("search", {"q": "x"}),),
    )

    document = render_markdown(transcript(message))

    for part in (
        "### 1. User (Ada)",
        "*2026-03-01 23:59:50 UTC · intent greeting 93% · model m-1*",
        "**Result of sales**",
        '"score": 1',
        "**Image analysis**",
        "> two lamps",
        '"lamps": 2',
        "**File**: s3://x",
        "**Calls search**",
    ):
        assert part in document


def test_a_session_without_messages_is_a_document_too():
    assert render_markdown(transcript()).endswith("Nothing was said.\n")
