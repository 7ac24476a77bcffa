"""The values of one city on Kubernetes: read from its file, and refused in one sentence when something is wrong."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from deploy.local.values import read_values
from shared.plan.districts import district_codes
from shared.process.settings import Settings

Manifest = dict[str, Any]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?$")]
Label = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
_FOLDER: Final = "folder"


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GatewayValues(_Values):
    """The door for people and programs: by which name, through which ingress, with whose certificate."""

    host: Host
    ingress_class: Label = "nginx"
    ingress_namespace: Label = "ingress-nginx"
    issuer: Label = Field(description="ClusterIssuer of cert-manager that signs the certificate of `host`")


class KafkaValues(_Values):
    """The broker of the city: where districts reach it from outside, and what it stores."""

    host: Host
    from_addresses: tuple[str, ...] = Field(min_length=1, description="Networks that districts connect from, CIDR")
    storage: Quantity
    storage_class: Label | None = None
    brokers: int = Field(3, ge=3, description="Odd, so that a majority is always there")


class BackupValues(_Values):
    """The object storage that WAL and base backups go to."""

    destination: str = Field(pattern=r"^s3://")
    endpoint: str = Field(pattern=r"^https://")
    secret: Label = Field(description="Secret with ACCESS_KEY_ID and ACCESS_SECRET_KEY")
    schedule: str = "0 30 2 * * *"
    retention: str = Field("30d", pattern=r"^[1-9][0-9]*[dwm]$")


class DatabaseValues(_Values):
    """The PostgreSQL cluster of the city, with one database a service."""

    storage: Quantity
    storage_class: Label | None = None
    instances: int = Field(3, ge=3, description="One primary; a commit waits for one of the others")
    connections: int = 300
    backup: BackupValues
    pooler: Literal["none", "session"] = Field(
        "none", description="Session mode alone: locks of sessions and prepared statements break in any other"
    )


class MonitoringValues(_Values):
    """Where Prometheus runs, and the labels by which its operator picks up what is ours."""

    namespace: Label = "monitoring"
    labels: dict[str, str] = {}


class ProcessValues(_Values):
    """How many of each process, and what each may use."""

    apis: int = Field(2, ge=2)
    most_apis: int = Field(6, ge=2)
    workers: int = Field(2, ge=2, description="The second takes over within a second what only one may do")
    cpu: Quantity = "100m"
    memory: Quantity = "384Mi"


class City(_Values):
    """One city: its name is its namespace, and nothing in that is another city's."""

    name: Label
    image: str = Field(pattern=r"^[^@\s]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$")
    plans: Path = Field(description="Folder of its plan files, from the folder of this file")
    gateway: GatewayValues
    kafka: KafkaValues
    database: DatabaseValues
    monitoring: MonitoringValues = MonitoringValues()
    processes: ProcessValues = ProcessValues()
    settings: dict[str, str] = Field({}, description="Further settings of every process: log_level, otlp, rate …")

    @field_validator("image")
    @classmethod
    def _names_a_version(cls, image: str) -> str:
        if image.endswith(":latest"):
            raise ValueError("须写明版本,不可用 latest name a version, not latest")
        return image

    @field_validator("plans")
    @classmethod
    def _holds_plans(cls, plans: Path, context: ValidationInfo) -> Path:
        folder: Path = (context.context or {}).get(_FOLDER, Path()) / plans
        if not any(folder.glob("*.yaml")):
            raise ValueError(f"没有计划文件 no plan files in {plans}")
        return folder

    @field_validator("settings")
    @classmethod
    def _are_settings(cls, settings: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(settings.keys() - Settings.model_fields.keys()):
            raise ValueError(f"没有这些设置 no such settings: {', '.join(unknown)}")
        return settings

    @cached_property
    def districts(self) -> list[str]:
        """The codes of the districts of its plans."""
        return district_codes(self.plans)

    @cached_property
    def plan_files(self) -> dict[str, str]:
        """Its plan files, by name."""
        return {file.name: file.read_text(encoding="utf-8") for file in sorted(self.plans.glob("*.yaml"))}

    @property
    def plan_digest(self) -> str:
        """A digest of the plans: where they change, processes start anew."""
        return hashlib.sha256(repr(self.plan_files).encode()).hexdigest()[:16]


def read_city(file: Path) -> City:
    """Read the values of a city; raises ValuesRefused."""
    return read_values(file, City, {_FOLDER: file.resolve().parent})


def manifest(api: str, kind: str, name: str, **parts: Any) -> Manifest:
    """Write the head of a manifest; `labels` and `annotations` go into its metadata, everything else beside it."""
    # Strimzi hands labels on to its pods: none of ours by which our own pods are chosen.
    labels = {"app.kubernetes.io/managed-by": "skillplan"} | parts.pop("labels", {})
    notes = {"annotations": parts.pop("annotations")} if "annotations" in parts else {}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels} | notes, **parts}
