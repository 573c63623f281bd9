"""Requests to configured endpoints go to public addresses only, unless the operator allows others."""

from __future__ import annotations

import ipaddress
import socket

import httpx


class PrivateAddress(httpx.TransportError):
    """The host resolves to an address inside our own network."""


class PublicTransport(httpx.BaseTransport):
    """Connects to the very address that was judged, so that a second look-up cannot lead elsewhere.

    TLS still verifies the host's name. Proxies from the environment are not used.
    """

    def __init__(self, inner: httpx.BaseTransport | None = None) -> None:
        self._inner = inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = public_address(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def public_address(host: str, port: int) -> str:
    """The first address of the host; `PrivateAddress` if any of its addresses is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{host} cannot be resolved") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address):
            raise PrivateAddress(f"{host} resolves to {address}, which is not a public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether the address is of the open internet; IPv4 inside IPv6 is judged by what it leads to."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _translated(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    # NAT64 (RFC 6052): the last 32 bits are the IPv4 address.
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
