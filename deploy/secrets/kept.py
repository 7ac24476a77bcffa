"""The secrets of an installation on several machines: one file each in a folder of the operator's, made once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, Role

KEYS: Final = "keys.json"
LOG_GM_KEY: Final = "log_gm_key"  # by which checkpoints are signed too, of who has put one there


class KeptSecrets:
    """A folder whose files have the names that SKILLPLAN_OWN_SECRETS has for them (.env.example).

    Without these files what they seal stays sealed: they belong into a safe, and into no repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, name: str, make: Callable[[], str]) -> str:
        """Return a secret: the one that is there, else a new one, which is kept from now on."""
        file = self.folder / name
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(make(), encoding="utf-8")
        return file.read_text(encoding="utf-8").strip()

    def given(self, name: str) -> str | None:
        """Return what the operator has put there under a name, None where there is nothing."""
        file = self.folder / name
        return file.read_text(encoding="utf-8").strip() if file.exists() else None

    def key(self, name: str) -> str:
        """Return a key of 32 bytes, in hex."""
        return self.take(name, lambda: secrets.token_hex(32))

    def password(self, name: str) -> str:
        """Return a password."""
        return self.take(name, lambda: secrets.token_urlsafe(24))

    def key_file(self) -> str:
        """Return the file of HTTP keys, with the key that services show to each other; people's keys join it."""
        self.api_key()
        return (self.folder / KEYS).read_text(encoding="utf-8")

    def api_key(self) -> str:
        """Return the key that services show to each other."""

        def make() -> str:
            keys = KeyFile(self.folder / KEYS, self.key("key_pepper"))
            if not (self.folder / KEYS).exists():
                keys.create()
            return keys.add(Role.SERVICE, label="services")[1]

        return self.take("api_key", make)

    def files(self, service: str) -> dict[str, str]:
        """Return the settings of a service that are secret, but for those of its database and of its Kafka user."""
        entry = SERVICES[service]
        names = {"key_pepper": "key_pepper"} | {name: name for name in entry.keys}
        if service in DOMAIN_SERVICES:
            names |= {"city_key": "city_key", "service_key": f"{service}.key", "log_key": f"{service}.log_key"}
        files = {f"skillplan_{setting}": self.key(name) for setting, name in names.items()}
        if service in DOMAIN_SERVICES and (sm2_key := self.given(LOG_GM_KEY)):
            files[f"skillplan_{LOG_GM_KEY}"] = sm2_key
        if service in WITH_DATABASE and entry.addresses:
            files["skillplan_api_key"] = self.api_key()
        return files
