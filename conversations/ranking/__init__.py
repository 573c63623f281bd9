"""Ranking: a table of weights over small features, pure and the same for every store."""

from conversations.ranking.dates import date_text
from conversations.ranking.highlights import highlight
from conversations.ranking.pool import Candidate
from conversations.ranking.profile import DEFAULT_PROFILE, RecallProfile
from conversations.ranking.question import Question
from conversations.ranking.scoring import Ranked, rank

__all__ = [
    "DEFAULT_PROFILE",
    "Candidate",
    "Question",
    "Ranked",
    "RecallProfile",
    "date_text",
    "highlight",
    "rank",
]
