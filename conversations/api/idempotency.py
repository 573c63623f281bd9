"""`Idempotency-Key`: the same request again gets the first answer, and its effect happens once."""

import re
from collections.abc import Callable
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from conversations.api.answers import CONTENT_TYPE
from conversations.api.bodies import read_body
from conversations.enums import KeyOwner
from conversations.exceptions import Invalid
from conversations.principals import Principal
from conversations.services import idempotency
from conversations.services.idempotency import Shown, StoredAnswer
from conversations.tenancy import tenant_scope

_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)


def answer_once(
    request: HttpRequest, principal: Principal, handle: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """The response of `handle`; with an `Idempotency-Key`, the first response.

    With a key `handle` runs inside one tenant scope together with the key: effect and answer commit together.
    Anything but a 2xx answer leaves the key free, and an exception takes the effect back as well.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return handle()
    if not _KEY.fullmatch(key):
        raise Invalid.field("Idempotency-Key", "1 to 255 printable ASCII characters.")
    tenant_id, fingerprint = principal.tenant_id, _fingerprint(request)
    with tenant_scope(tenant_id):
        stored = idempotency.recall_answer(tenant_id=tenant_id, key=key, fingerprint=fingerprint)
        if stored is not None:
            return _replay(stored)
        response = handle()
        if isinstance(response, HttpResponse) and 200 <= response.status_code < 300:
            shown: Shown = getattr(response, "shown", None) or Shown(KeyOwner.TENANT, tenant_id)
            answer = StoredAnswer(response.status_code, response.content)
            idempotency.remember_answer(
                tenant_id=tenant_id, key=key, fingerprint=fingerprint, answer=answer, shown=shown
            )
    return response


def _replay(stored: StoredAnswer) -> HttpResponse:
    headers = {"Idempotency-Replayed": "true"}
    return HttpResponse(stored.body, content_type=CONTENT_TYPE, status=stored.status, headers=headers)


def _fingerprint(request: HttpRequest) -> bytes:
    """Method, path and body: the same body to another place is another request."""
    target = f"{request.method} {request.get_full_path()}\n".encode()
    return sha256(target + read_body(request)).digest()
