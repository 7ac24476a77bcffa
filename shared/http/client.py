"""HTTP client for the other services: the key it sends, and the authorities by which it trusts their certificates."""

import ssl
from pathlib import Path

import httpx

from shared.observability.health import ConfigurationError


def client(api_key: str, authorities: Path | None, seconds: float) -> httpx.AsyncClient:
    """Return a client that gives up after so many seconds.

    `api_key`: sent as a bearer token, unless empty. `authorities`: a PEM file (SKILLPLAN_CA) in place of the
    system's. Raises ConfigurationError when it cannot be read.
    """
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.AsyncClient(timeout=seconds, trust_env=False, headers=headers, verify=trusted(authorities))


def trusted(authorities: Path | None) -> ssl.SSLContext | bool:
    """Return what certificates are checked by; raises ConfigurationError when the file cannot be read."""
    if authorities is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(authorities))
    except OSError as error:
        why = error.strerror or "不是证书 no certificate"
        raise ConfigurationError(
            f"SKILLPLAN_CA={authorities} 无法使用({why})。 SKILLPLAN_CA cannot be used as an authority to trust."
        ) from None
