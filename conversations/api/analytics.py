"""`/analytics`: session statistics, and answers that solved similar issues."""

from typing import Annotated, Literal

from django.http import HttpResponse
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.shapes import MessageOut, SessionOut
from conversations.api.views import TenantView
from conversations.backends.grouping import GroupBy, Grouping, Interval
from conversations.enums import Scope
from conversations.exceptions import Invalid
from conversations.inputs import Moment, Name
from conversations.services.recall.answers import AnswerSearch, find_answers
from conversations.services.statistics.analytics import group_sessions

MOST_ANSWERS = 100


class GroupsQuery(Struct, frozen=True, kw_only=True):
    """`interval` is the length of the groups of `group_by=day`; times are `[start, end)`."""

    group_by: GroupBy
    start: Moment | None = None
    end: Moment | None = None
    interval: Interval = Interval.DAY


class GroupOut(Struct, kw_only=True):
    """`share` is of the sessions that have any key; a session may have several."""

    key: str | bool
    count: int
    share: float
    avg_resolution_seconds: float | None
    success_rate: float | None


class GroupsOut(Struct, kw_only=True):
    object: Literal["list"]
    data: list[GroupOut]
    stores: list[str]
    degraded: list[str]


class AnswersQuery(Struct, frozen=True, kw_only=True):
    query: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None
    issue_type: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_ANSWERS)] = 10

    def __post_init__(self) -> None:
        if self.query is None and self.issue_type is None:
            raise Invalid.field("query", "Give `query`, `issue_type` or both.", code="required")
        if self.query is not None and not self.query.strip():
            raise Invalid.field("query", "A query needs at least one word.")


class AnswerOut(Struct, kw_only=True):
    """`answer` is the session's knowledge, or else the last thing its assistant said."""

    object: Literal["answer"]
    score: float
    answer: str
    session: SessionOut
    message: MessageOut | UnsetType = UNSET


class AnswersOut(Struct, kw_only=True):
    object: Literal["list"]
    data: list[AnswerOut]
    stores: list[str]
    degraded: list[str]


class SessionAnalytics(TenantView):
    @operation(Scope.READ, query=GroupsQuery, answers={200: GroupsOut})
    def get(self, query: GroupsQuery) -> HttpResponse:
        """Count sessions by what they have, most common first."""
        grouping = Grouping(
            tenant_id=self.principal.tenant_id,
            by=query.group_by,
            interval=query.interval,
            start=query.start,
            end=query.end,
        )
        return answer(group_sessions(grouping))


class Answers(TenantView):
    @operation(Scope.READ, query=AnswersQuery, answers={200: AnswersOut})
    def get(self, query: AnswersQuery) -> HttpResponse:
        """Find what closed similar sessions with success."""
        asked = AnswerSearch(
            tenant_id=self.principal.tenant_id,
            query=query.query,
            issue_type=query.issue_type,
            limit=query.limit,
        )
        return answer(find_answers(asked))
