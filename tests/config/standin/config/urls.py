"""Two pages: one that is up, one that asks PostgreSQL."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok")


def notes(request: HttpRequest) -> HttpResponse:
    """How many notes PostgreSQL holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM note")
        return HttpResponse(str(cursor.fetchone()[0]))


urlpatterns = [path("healthz", healthz), path("notes", notes)]
