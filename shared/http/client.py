"""Decides how our processes ask one another over HTTP: whom they trust, and the key they show."""

import ssl

import httpx

from shared.observability.health import ConfigurationError
from shared.process.process import Settings


def client(settings: Settings, seconds: float) -> httpx.AsyncClient:
    """Return a client for the other services; raises Refused when the authorities it should trust cannot be read."""
    key = settings.api_key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(timeout=seconds, trust_env=False, headers=headers, verify=_trusted(settings))


def _trusted(settings: Settings) -> ssl.SSLContext | bool:
    if settings.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca))
    except OSError as error:
        why = error.strerror or "不是证书 no certificate"
        raise ConfigurationError(
            f"SKILLPLAN_CA={settings.ca} 无法使用({why})。 SKILLPLAN_CA cannot be used as an authority to trust."
        ) from None
