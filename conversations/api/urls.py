"""The core's routes below `/api/v1/`; the other apps bring their own."""

from django.urls import path

from conversations.api import (
    analytics,
    bulk,
    capabilities,
    events,
    memories,
    messages,
    path_converters,  # noqa: F401  (registers the converters)
    search,
    sessions,
    statistics,
    transcripts,
)
from conversations.api.queries import query_routes
from conversations.api.shapes import MemoryOut, MessageOut, SessionOut
from conversations.filters import Kind

urlpatterns = [
    path("capabilities", capabilities.Capabilities.as_view()),
    path("sessions", sessions.Sessions.as_view()),
    path("sessions/bulk", bulk.SessionsBulk.as_view()),
    path("sessions/<id:session_id>", sessions.OneSession.as_view()),
    path("sessions/<id:session_id>/close", sessions.SessionClosing.as_view()),
    # Appends are half of all traffic and skip the overhead of DRF.
    path("sessions/<id:session_id>/messages", messages.SessionMessages.bypassing_drf("POST")),
    path("sessions/<id:session_id>/window", sessions.SessionWindow.as_view()),
    path("sessions/<id:session_id>/context", search.Context.as_view()),
    path("sessions/<id:session_id>/events", events.SessionEvents.as_view()),
    path("sessions/<id:session_id>/transcript", transcripts.SessionTranscript.as_view()),
    path("messages/bulk", bulk.MessagesBulk.as_view()),
    path("messages/<id:message_id>", messages.OneMessage.as_view()),
    path("memories", memories.Memories.as_view()),
    path("memories/bulk", memories.MemoriesBulk.as_view()),
    path("memories/search", memories.MemoriesSearch.as_view()),
    path("memories/<id:memory_id>", memories.OneMemory.as_view()),
    *query_routes(Kind.SESSIONS, SessionOut),
    *query_routes(Kind.MESSAGES, MessageOut),
    *query_routes(Kind.MEMORIES, MemoryOut),
    path("analytics/sessions", analytics.SessionAnalytics.as_view()),
    path("analytics/answers", analytics.Answers.as_view()),
    path("stats", statistics.Stats.as_view()),
    path("search", search.Search.as_view()),
    path("context-receipts/<id:receipt_id>", search.OneReceipt.as_view()),
]
