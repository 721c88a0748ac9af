"""Addresses on the internet: which are anybody's, and a connection to none but those.

A name is looked up once, and what was looked up is connected to: a name server that answers
otherwise a moment later gains nothing (DNS rebinding).
"""

import contextlib
import ipaddress
import socket

from transforms.errors import NotFoundError, PermissionDeniedError

MOST_ADDRESSES = 2
"""Addresses of a name that are tried; each may take the whole time."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_CLOSED = (
    ipaddress.ip_network("192.0.0.0/24"),  # Protocols'; Oracle's metadata is 192.0.0.192.
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays, out of use (RFC 7526).
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's host, seen from each of its machines.
    ipaddress.ip_network("2002::/16"),  # 6to4: any IPv4 address, also a private one.
    ipaddress.ip_network("3fff::/20"),  # Documentation (RFC 9637).
)
"""What ipaddress takes for global, and is not anybody's."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""How a network of IPv6 alone names an IPv4 address (RFC 6052)."""


def is_public(text: str) -> bool:
    """Tells whether an address is one of the internet's, where anybody may be asked.

    Not so are loopback, private and link-local networks (169.254.169.254 gives away credentials),
    carriers' networks, multicast, and what is reserved; nor IPv6 addresses that mean one of these.

        8.8.8.8, 64:ff9b::8.8.8.8           True
        10.0.0.1, ::ffff:10.0.0.1, fe80::1  False
    """
    address: _Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL_UNICAST:
            return False
    is_closed = any(address in network for network in _CLOSED if network.version == address.version)
    return address.is_global and not (address.is_multicast or address.is_reserved or is_closed)


def connect(
    host: str, port: int, timeout_seconds: float, *, allow_private_hosts: bool
) -> socket.socket:
    """Connects to a host by an address that was checked.

    Args:
        host: Name or address.
        port: Port.
        timeout_seconds: Time that each address gets, and each later wait.
        allow_private_hosts: Whether any address will do.

    Raises:
        NotFoundError: If there is no such host.
        PermissionDeniedError: If one of its addresses is not public.
        OSError: If the name cannot be looked up now, or nobody answers.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            raise NotFoundError(f"there is no host {host}") from error
        raise OSError(f"{host} cannot be looked up: {error.strerror}") from error
    except UnicodeError as error:  # A label of more than 63 characters.
        raise NotFoundError(f"there is no host {host}: {error}") from error
    for *_, place in found:
        if not (allow_private_hosts or is_public(str(place[0]))):
            raise private_address(host, str(place[0]))
    failed = OSError(f"{host} has no address")
    for family, kind, protocol, _, place in found[:MOST_ADDRESSES]:
        with contextlib.ExitStack() as undo:
            connection = undo.enter_context(socket.socket(family, kind, protocol))
            connection.settimeout(timeout_seconds)
            try:
                connection.connect(place)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                failed = error
                continue
            undo.pop_all()
            return connection
    raise failed


def private_address(host: str, address: str) -> PermissionDeniedError:
    """Returns the refusal of a host."""
    at = "" if host == address else f"is at {address}, which "
    return PermissionDeniedError(
        f"{host} {at}is no public address; a run reads it with --allow_private_hosts"
    )
