"""The hosts of a city that runs on three machines: read from its file, and refused in one sentence when wrong."""

from __future__ import annotations

import base64
import hashlib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from deploy.local.values import read_values

_NAME: Final = r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=_NAME)]


class Host(BaseModel):
    """One machine: address in the network of the three, rack, whether services run on it, whether it keeps backups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    address: IPv4Address
    rack: Name
    services: bool = False
    backups: bool = False


class ThreeHosts(BaseModel):
    """Three machines of one city. `etc`, `data`, `code`: where its files, its data and the checkout are on each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    host: str = Field(description="Name by which people and districts reach all three: three A records, or an address")
    hosts: tuple[Host, Host, Host]
    postgres: Path = Field(Path("/usr/lib/postgresql/15/bin"), description="Folder of PostgreSQL's programs")
    etc: Path = Path("/etc/skillplan")
    data: Path = Path("/var/lib/skillplan")
    code: Path = Path("/opt/skillplan")

    @field_validator("hosts")
    @classmethod
    def _are_three(cls, hosts: tuple[Host, Host, Host]) -> tuple[Host, Host, Host]:
        for what in ("name", "address"):
            if len({getattr(host, what) for host in hosts}) < len(hosts):
                raise ValueError(f"重复 not three: {what}")
        if sum(host.services for host in hosts) < 2:  # noqa: PLR2004
            raise ValueError("至少两台运行服务 services: true on two hosts at least")
        if sum(host.backups for host in hosts) != 1:
            raise ValueError("恰有一台保存备份 backups: true on one host")
        return hosts

    @property
    def kafka_id(self) -> str:
        """The id of its Kafka, the same on all three: as Kafka writes ids, and never with a leading dash."""
        drawn = bytearray(hashlib.sha256(f"skillplan {self.name}".encode()).digest()[:16])
        drawn[0] &= 0x7F
        return base64.urlsafe_b64encode(drawn).decode().rstrip("=")

    @property
    def serving(self) -> list[Host]:
        """The hosts that services run on."""
        return [host for host in self.hosts if host.services]

    def number(self, host: Host) -> int:
        """Return the number of a host, from 1."""
        return self.hosts.index(host) + 1

    def all(self, form: str, **values: object) -> str:
        """Return one thing a host, by its name, number and address, separated by commas."""
        return ",".join(
            form.format(name=host.name, number=self.number(host), address=host.address, **values) for host in self.hosts
        )


def read_cluster(file: Path) -> ThreeHosts:
    """Read the hosts of a city; raises ValuesRefused."""
    return read_values(file, ThreeHosts)
