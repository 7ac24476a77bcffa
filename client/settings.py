"""Settings of the program, from `SKILLPLAN_…` in the environment."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Final

from pydantic import DirectoryPath, Field, FilePath, SecretStr, ValidationError
from pydantic_settings import SettingsError

from client.journal import default_place
from client.output import CommandError
from client.routing import CannotPublishError
from client.web import Wire
from services.catalogue import DOMAIN_SERVICES, PROJECTION
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings

# Beside the package in a checkout as in an installed wheel.
_PLANS: Final = Path(__file__).resolve().parents[1] / "plans"


class ClientSettings(BrokerSettings):
    """Settings of every command."""

    kafka_passwords: DirectoryPath | None = Field(
        None,
        description="Folder with the passwords of several users, each in a file named district-<code> or plan-office",
    )
    services: dict[str, str] = Field(
        {name: f"http://127.0.0.1:{entry.port}" for name, entry in DOMAIN_SERVICES.items()},
        description='Addresses of the services for --http, {"enrollment": "http://…", …}',
    )
    projection: str = Field(
        f"http://127.0.0.1:{PROJECTION.port}", description="Address of the projection, for receipts --http"
    )
    key: SecretStr = Field(SecretStr(""), description="HTTP key of the district or of the plan office")
    ca: FilePath | None = Field(None, description="File of the CA that signed the services' certificates")
    plans: Path = Field(_PLANS, description="Folder of the plan files")
    journal: Path = Field(default_factory=default_place, description="File that records what was sent")

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each service and of the projection."""
        return self.services | {"projection": self.projection}

    def broker_of(self, user: str) -> Broker:
        """Return the broker as this user sees it."""
        if self.kafka_passwords is None:
            return self.broker
        try:
            password = (self.kafka_passwords / user).read_text(encoding="utf-8").strip()
        except OSError:
            raise CannotPublishError(f"没有 {user} 的密码文件", f"there is no password file of {user}") from None
        return dataclasses.replace(self.broker, user=user, password=password)

    def target(self, http: bool) -> str:
        """Return the name of the place reports go to: what another place acknowledged says nothing about this one."""
        return "http:" + ",".join(sorted(self.services.values())) if http else f"kafka:{self.kafka}"

    def wire(self, key: str | None = None) -> Wire:
        """Return how every client of HTTP is made, with the key given on the command line, else the environment's."""
        return Wire(self.key_or(key), self.ca)

    def key_or(self, given: str | None) -> str | None:
        """Return the key given on the command line, else that of the environment, None where there is none."""
        return given or self.key.get_secret_value() or None


def read_settings() -> ClientSettings:
    """Read the settings; raises CommandError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return ClientSettings()
    except UserWarning:
        raise CommandError(
            "设置有误:SKILLPLAN_SECRETS 指的文件夹不存在。",
            "Wrong setting: the folder of SKILLPLAN_SECRETS does not exist.",
        ) from None
    except SettingsError:
        raise CommandError(
            "设置有误:SKILLPLAN_SERVICES 应为 JSON。", "Wrong setting: SKILLPLAN_SERVICES must be JSON."
        ) from None
    except ValidationError as error:
        message = wrong_settings(error)
        raise CommandError(message, message) from None
