"""Addresses that pages of this package are served at: this machine alone, unless asked otherwise."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fastitpn.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost")
"""Names of this machine for itself."""


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at an address.

    Args:
        host: Name or address.
        port: Number of the port; 0 takes a free one.

    Raises:
        InputError: It cannot be listened at.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _no_address(host, port, error) from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            raise _no_address(host, port, error) from error
        yield listener


def _no_address(host: str, port: int, error: OSError) -> InputError:
    return InputError(
        f"cannot listen at {host}:{port}: {error.strerror or error}",
        where="host, port",
        expected="an address of this machine, and a free port",
        fix="port=0 for a free port",
    )
