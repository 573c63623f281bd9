"""Facts about a request's route, for plain views and for log lines."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from conversations.exceptions import MethodNotAllowed

UNMATCHED = "unmatched"
SAFE = ("GET", "HEAD")

PAGES = ("/admin/", "/accounts/")  # what people see in a browser

View = Callable[[HttpRequest], HttpResponse]


def route_template(request: HttpRequest) -> str:
    """`/api/v1/sessions/<id:session_id>`, never a path; `unmatched` where no route was found."""
    match = request.resolver_match
    return f"/{match.route}" if match is not None else UNMATCHED


def is_page(request: HttpRequest) -> bool:
    """Whether an error here is shown to a person rather than sent to a program."""
    return request.path.startswith(PAGES)


def safe_only(view: View) -> View:
    """A page that is only read. Django's own decorators would refuse with a page instead of a problem."""

    @csrf_exempt  # whatever would change something is refused right here
    @wraps(view)
    def call(request: HttpRequest) -> HttpResponse:
        if request.method not in SAFE:
            raise MethodNotAllowed(SAFE)
        return view(request)

    return call
