from dataclasses import replace
from html.parser import HTMLParser

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conversations.transcripts import Attachment, ToolCall, render_html, visible
from tests.conversations.transcripts.factories import CLOSED, SESSION, said, transcript

ATTACK = (
    """</p></bdi>"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7|add:7 }}{% now "Y" %}<!--"""
)
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "h1",
        "h2",
        "h3",
        "p",
        "dl",
    ),
    *("div", "dt", "dd", "ol", "li", "span", "bdi", "time", "pre", "details", "summary"),
}


class Page(HTMLParser):
    """Tags, attribute names and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


def hostile_everywhere():
    session = replace(
        CLOSED,
        title=ATTACK,
        external_id=ATTACK,
        customer_id=ATTACK,
        channel=ATTACK,
        language=ATTACK,
        outlet_id=ATTACK,
        outcome=replace(
            CLOSED.outcome, issue_type=ATTACK, entities=(ATTACK,), tools_used=(ATTACK,), knowledge=ATTACK
        ),
    )
    message = said(
        ATTACK,
        name=ATTACK,
        intent=ATTACK,
        language=ATTACK,
        model=ATTACK,
        agent_responses={ATTACK: {ATTACK: ATTACK}},
        attachments=(Attachment("file", text=ATTACK, data=[ATTACK], uri="javascript:alert(1)"),),
        tool_calls=(ToolCall(ATTACK, ATTACK),),
    )
    return transcript(message, said(ATTACK, 2, role="tool"), session=session)


def test_hostile_text_is_text_wherever_it_stands():
    page = Page(render_html(hostile_everywhere()))

    assert set(page.tags) <= ALLOWED
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [name for name, _ in page.attributes if name in ("href", "src", "action", "style")]
    assert "".join(page.texts).count(ATTACK) >= 14


def test_nothing_is_asked_of_anybody():
    html = render_html(hostile_everywhere())

    assert """content="default-src 'none'; style-src 'unsafe-inline';""" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


@given(st.text(min_size=1))
def test_every_text_is_there_as_it_was_said(text):
    assert visible(text) in Page(render_html(transcript(said(text)))).texts or not visible(text).strip("\r\n")


def test_the_direction_of_each_text_is_its_own():
    html = render_html(transcript(said("مرحبا", name="ليلى"), said("evil\u202egnp", 2)))

    assert '<p class="text" dir="auto">مرحبا</p>' in html
    assert '<bdi class="name">ليلى</bdi>' in html
    assert "evil⟨U+202E⟩gnp" in html
    assert "\u202e" not in html


def test_days_and_times_are_utc_whatever_zone_is_active():
    messages = said("before", 1), said("after", 2)

    with timezone.override("Asia/Singapore"):
        page = Page(render_html(transcript(*messages)))

    assert [value for name, value in page.attributes if name == "datetime"] == [
        "2026-03-01",
        "2026-03-01T23:59:50+00:00",
        "2026-03-02",
        "2026-03-02T00:00:05+00:00",
    ]
    assert "23:59:50" in page.texts


def test_a_runbook_says_what_was_learnt_before_the_steps():
    html = render_html(transcript(said("Find Paradise"), session=CLOSED))

    order = [
        "Runbook: stale_events",
        "stale_events</dd>",
        "Paradise, NYC-FW-02",
        "15 min 5 s",
        "Check the uplink",
        "Steps</h2>",
    ]
    assert [html.index(part) for part in order] == sorted(html.index(part) for part in order)


@pytest.mark.parametrize("session", [SESSION, replace(CLOSED, status="open")])
def test_anything_else_is_a_conversation(session):
    html = render_html(transcript(session=session))

    assert "<title>case-7</title>" in html
    assert "Runbook" not in html
    assert "Nothing was said." in html


def test_what_agents_and_tools_reported_can_be_folded():
    message = said(
        "hi", agent_responses={"sales": {"b": 1, "a": [2]}}, tool_calls=(ToolCall("search", '{"q": 1}'),)
    )

    page = Page(render_html(transcript(message)))

    assert page.tags.count("details") == 2
    assert '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}' in page.texts
    assert '{"q": 1}' in page.texts
