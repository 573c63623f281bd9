"""Bodies: bounded before they are read, JSON in UTF-8 only."""

from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest

from conversations.api.bodies import decode_body, read_body
from conversations.exceptions import Invalid, MalformedJSON, RemembrancerError, TooLarge, UnsupportedMediaType
from conversations.models import Customer
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller
from tests.conversations.api.sample import CustomerIn

GOOD = b'{"external_id": "ada"}'


class Wire(BytesIO):
    """A body on the wire that knows how much of it was read, and how much at once."""

    taken = largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self.taken += len(chunk)
        self.largest = max(self.largest, len(chunk))
        return chunk


def request(body: bytes = GOOD, content_type: str = "application/json", **environ: Any) -> WSGIRequest:
    values = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": Wire(body),
    }
    return WSGIRequest({name: value for name, value in (values | environ).items() if value is not None})


def chunked(body: bytes, **environ: Any) -> WSGIRequest:
    transfer = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    return request(body, **transfer | environ)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/merge-patch+json",
    ],
)
def test_body_in_json_is_decoded(content_type: str) -> None:
    assert decode_body(request(content_type=content_type), CustomerIn) == CustomerIn(external_id="ada")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
    ],
)
def test_body_of_another_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode_body(request(content_type=content_type), CustomerIn)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_body_compressed_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode_body(request(HTTP_CONTENT_ENCODING=encoding), CustomerIn)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "²", "22, 22"])
def test_body_with_a_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(MalformedJSON):
        read_body(request(CONTENT_LENGTH=length))


def test_body_that_ends_early_is_refused() -> None:
    with pytest.raises(MalformedJSON):
        read_body(request(CONTENT_LENGTH=str(len(GOOD) + 1)))


@pytest.mark.parametrize(("times", "taken"), [(2, 2), (6, 4)])
def test_body_over_the_limit_is_taken_in_small_pieces_up_to_a_bound(times: int, taken: int) -> None:
    too_large = request(b"x" * (settings.MAX_BODY * times))

    with pytest.raises(TooLarge):
        read_body(too_large)

    wire = too_large.META["wsgi.input"]
    assert (wire.taken, wire.largest) == (settings.MAX_BODY * taken, 64 * 1024)


def test_body_at_the_limit_is_read() -> None:
    assert len(read_body(request(b"x" * settings.MAX_BODY))) == settings.MAX_BODY


def test_body_without_a_length_is_read_up_to_the_limit() -> None:
    endless = chunked(b"x" * (settings.MAX_BODY * 2))

    with pytest.raises(TooLarge):
        read_body(endless)

    assert endless.META["wsgi.input"].taken == settings.MAX_BODY + 1


def test_body_in_chunks_is_decoded() -> None:
    assert decode_body(chunked(GOOD), CustomerIn) == CustomerIn(external_id="ada")


def test_body_without_an_end_is_not_read() -> None:
    unbounded = request(CONTENT_LENGTH=None)

    assert read_body(unbounded) == b""
    assert unbounded.META["wsgi.input"].taken == 0


def test_body_is_read_once() -> None:
    once = chunked(GOOD)

    assert read_body(once) == read_body(once) == once.body == GOOD


def test_body_missing_is_malformed_unless_optional() -> None:
    with pytest.raises(MalformedJSON):
        decode_body(request(b""), dict)

    assert decode_body(request(b"", content_type=""), dict, optional=True) == {}


HOSTILE: dict[bytes, type[RemembrancerError]] = {
    b"": MalformedJSON,
    b"{": MalformedJSON,
    b"\xff\xfe": MalformedJSON,
    b'{"external_id": "ada", "external_id": "bob"}': MalformedJSON,
    b'{"external_id": NaN}': MalformedJSON,
    b'{"external_id": 1e999}': MalformedJSON,
    b'{"external_id": ' + b"9" * 400 + b"}": MalformedJSON,
    b"[" * 100_000: MalformedJSON,
    b'{"a":' * 900 + b"1" + b"}" * 900: Invalid,
    b"[]": Invalid,
    b"null": Invalid,
    b"{}": Invalid,
    b'{"external_id": 5}': Invalid,
    b'{"external_id": ""}': Invalid,
    b'{"external_id": "\\u0000"}': Invalid,
    b'{"external_id": "\\ud800"}': Invalid,
    b'{"external_id": "ada", "tenant_id": "x"}': Invalid,
}


@pytest.mark.parametrize(("body", "refused"), HOSTILE.items(), ids=lambda value: repr(value)[:40])
@pytest.mark.usefixtures("sample_api")
def test_body_hostile_is_refused_and_changes_nothing(
    caller: Caller, body: bytes, refused: type[RemembrancerError]
) -> None:
    response = caller("POST", "/customers", body)

    assert response.status_code == 400
    assert response.json()["code"] == ("malformed_json" if refused is MalformedJSON else "invalid")
    with tenant_scope(caller.tenant_id):
        assert not Customer.objects.exists()


@pytest.mark.usefixtures("sample_api")
def test_body_optional_may_be_left_out(caller: Caller) -> None:
    without = caller("POST", "/closing")
    with_one = caller("POST", "/closing", {"success": True})
    wrong = caller("POST", "/closing", {"success": "yes"})

    assert (without.status_code, without.json()) == (200, {"success": None})
    assert (with_one.status_code, with_one.json()) == (200, {"success": True})
    assert wrong.status_code == 400
