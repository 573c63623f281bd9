"""Actions on conversations that were selected in a list."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations.admin.pages import ActionPage


class SelectionPage(ActionPage):
    """A page for the conversations that the query string names, one `session` parameter for each."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "selected" in request.GET and not request.GET.getlist("session"):
            messages.warning(request, "Nothing is selected: tick some conversations first.")
            return HttpResponseRedirect(reverse("admin:conversations"))
        return super().get(request, *args, **kwargs)
