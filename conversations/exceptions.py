"""What can go wrong, as one tree. Each gets its HTTP status in one place: `conversations/api/problems.py`.

RemembrancerError
|-- Refused                      the caller's doing; nothing was changed
|   |-- MalformedJSON            the body is not JSON as we read it
|   |-- Invalid                  the body or the query breaks a rule; names the fields
|   |-- Unauthenticated          no key, or one that is not in force
|   |-- Forbidden                the key lacks a scope
|   |-- NotFound                 unknown, or another tenant's
|   |-- MethodNotAllowed
|   |-- TooLarge                 the body is over the limit
|   |-- UnsupportedMediaType
|   |-- Conflict                 the state of the thing forbids it
|   |   |-- Held                 a legal hold forbids it
|   |   |-- SamePerson           a second person is asked for
|   |   `-- IdempotencyInFlight  the same key is being worked on
|   |-- Gone
|   |   |-- Erased
|   |   `-- Expired
|   |-- PreconditionFailed       If-Match names another version
|   |-- IdempotencyKeyReused     with another body
|   `-- Throttled                too many requests; says when to come back
|-- Unavailable                  a store that the answer needs is away; says when to come back
|-- TenantMissing                our own fault: tenants' rows were touched with no tenant in scope
|-- KeyDestroyed                 what was sealed under this key is gone for good
`-- SealBroken                   sealed bytes do not authenticate: altered, moved, or under an unknown key
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: `field` is a path as `messages[3].content`, empty for the whole body."""

    field: str
    code: str
    detail: str


class RemembrancerError(Exception):
    """The root. `detail` is one sentence for the caller, without their data in it."""

    default_detail: ClassVar[str] = "Something went wrong."

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or self.default_detail
        super().__init__(self.detail)


class Refused(RemembrancerError):
    default_detail = "The request was refused."


class MalformedJSON(Refused):
    default_detail = "The body is not valid JSON."


class Invalid(Refused):
    """Every broken rule that was found, not only the first."""

    default_detail = "The request is not valid."

    def __init__(self, errors: Iterable[FieldError] = (), detail: str = "") -> None:
        self.errors = tuple(errors)
        super().__init__(detail or (self.errors[0].detail if self.errors else ""))

    @classmethod
    def field(cls, field: str, detail: str, *, code: str = "invalid") -> "Invalid":
        """The common case: one field, one reason."""
        return cls([FieldError(field, code, detail)])


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Prefix errors raised inside, or each of their fields, with `path`, such as a place in a list."""
    try:
        yield
    except Refused as problem:
        if not path:
            raise
        if not isinstance(problem, Invalid):
            problem.detail = f"{path}: {problem.detail}"
            raise
        errors = [
            FieldError(f"{path}.{error.field}".rstrip("."), error.code, error.detail)
            for error in problem.errors
        ]
        raise Invalid(errors, problem.detail) from None


class Unauthenticated(Refused):
    default_detail = "A valid API key is needed: Authorization: Bearer <key>."


class Forbidden(Refused):
    default_detail = "This key may not do that."


class NotFound(Refused):
    default_detail = "Not found."


class MethodNotAllowed(Refused):
    default_detail = "This method is not allowed here."

    def __init__(self, allowed: Iterable[str] = (), detail: str = "") -> None:
        self.allowed = tuple(allowed)
        super().__init__(detail)


class TooLarge(Refused):
    default_detail = "The body is too large."


class UnsupportedMediaType(Refused):
    default_detail = "Send application/json in UTF-8, not compressed."


class Conflict(Refused):
    default_detail = "The state of this object does not allow that."


class Held(Conflict):
    default_detail = "A legal hold is in force."


class SamePerson(Conflict):
    default_detail = "Another person has to do this."


class IdempotencyInFlight(Conflict):
    default_detail = "A request with this Idempotency-Key is being worked on."


class Gone(Refused):
    """Gone, where the system still knows of it. `case_id` names the erasure case, if there is one to name."""

    default_detail = "This is gone."

    def __init__(self, detail: str = "", *, case_id: str | None = None) -> None:
        self.case_id = case_id
        super().__init__(detail)


class Erased(Gone):
    default_detail = "This was erased."


class Expired(Gone):
    default_detail = "This has expired."


class PreconditionFailed(Refused):
    default_detail = "The object has changed since the version named in If-Match."


class IdempotencyKeyReused(Refused):
    default_detail = "This Idempotency-Key was used with another request."


class Throttled(Refused):
    """`retry_after` is in whole seconds, at least 1."""

    default_detail = "Too many requests."

    def __init__(self, retry_after: int = 1, detail: str = "") -> None:
        self.retry_after = max(1, retry_after)
        super().__init__(detail)


class Unavailable(RemembrancerError):
    """`retry_after` is in whole seconds, at least 1."""

    default_detail = "The service is not available at the moment."

    def __init__(self, retry_after: int = 1, detail: str = "") -> None:
        self.retry_after = max(1, retry_after)
        super().__init__(detail)


class TenantMissing(RemembrancerError):
    default_detail = "No tenant is in scope."


class KeyDestroyed(RemembrancerError):
    default_detail = "The key of this text was destroyed."


class SealBroken(RemembrancerError):
    default_detail = "Sealed bytes do not authenticate."
