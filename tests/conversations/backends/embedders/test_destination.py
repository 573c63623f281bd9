"""Where requests may go."""

from __future__ import annotations

import socket

import httpx
import pytest

from conversations.backends.embedders.destination import PrivateAddress, PublicTransport, is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_private_addresses(address):
    assert not is_public(address)


def resolving(monkeypatch, *addresses):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kw: found)


def test_connection_goes_to_the_judged_address_under_the_hosts_name(monkeypatch):
    resolving(monkeypatch, "8.8.8.8")
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=PublicTransport(httpx.MockTransport(answer))) as client:
        client.get("https://vectors.example/v1")

    (request,) = sent
    assert request.url.host == "8.8.8.8"
    assert request.headers["Host"] == "vectors.example"
    assert request.extensions["sni_hostname"] == "vectors.example"


def test_host_with_one_private_address_is_refused(monkeypatch):
    resolving(monkeypatch, "8.8.8.8", "10.0.0.1")
    sent = []

    with (
        httpx.Client(transport=PublicTransport(httpx.MockTransport(sent.append))) as client,
        pytest.raises(PrivateAddress, match=r"10\.0\.0\.1"),
    ):
        client.get("https://vectors.example/v1")

    assert sent == []


def test_host_that_does_not_resolve_is_a_connection_error(monkeypatch):
    def fail(*_args, **_kw):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with httpx.Client(transport=PublicTransport()) as client, pytest.raises(httpx.ConnectError):
        client.get("https://vectors.example/v1")
