"""What the environment says of the way to a server: whose certificates to trust, and which proxy to go through.

Nothing here opens a connection.
"""

from __future__ import annotations

import errno
import os
import ssl
from functools import cache

import httpx

from .errors import ConfigurationError

__all__ = ["certificates", "no_certificates", "proxy_for", "unusable_proxy"]


def certificates() -> ssl.SSLContext:
    """Give the CA certificates that the environment names, or else those that httpx takes.

    Raises:
        ConfigurationError: They cannot be loaded.
    """
    named = [*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))]
    try:
        _hold_directory(*named)
        return _ssl_context(*named)
    except OSError as error:  # ssl.SSLError is one
        names = " or ".join(filter(None, named)) or "of the system"
        raise ConfigurationError(
            f"the CA certificates {names} cannot be loaded ({error.strerror or error}); $SSL_CERT_FILE names a file"
            " in PEM format, $SSL_CERT_DIR a directory prepared by c_rehash"
        ) from None


def _hold_directory(file: str | None, directory: str | None) -> None:
    """OpenSSL takes any path for a directory of certificates, and then trusts nobody."""
    if not file and directory and not any(map(os.path.isdir, directory.split(os.pathsep))):
        raise NotADirectoryError(errno.ENOTDIR, "no such directory")


@cache
def _ssl_context(*_: str | None) -> ssl.SSLContext:
    """Load the certificates once for each setting of the environment, which httpx reads."""
    return httpx.create_ssl_context()


@cache
def no_certificates() -> ssl.SSLContext:
    """Give a context that loads none, for plain http."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy_for(scheme: str, host: str) -> httpx.Proxy | None:
    """Give the proxy that the environment names for a server.

    Raises:
        ConfigurationError: It is none that can be used.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # it brings half of the standard library along

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    try:
        return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    except (ValueError, httpx.InvalidURL) as error:
        raise unusable_proxy(proxy.partition(":")[0], error) from None


def unusable_proxy(scheme: str, error: Exception) -> ConfigurationError:
    """Say so with neither the address nor httpx's words for it: both may hold the proxy's password."""
    return ConfigurationError(
        f"the proxy that the environment names cannot be used (scheme {scheme!r}): use an http or https proxy,"
        " socks5 with the package socksio installed, or set NO_PROXY"
        f" ({type(error).__name__})"
    )
