"""Settings of a broker: those of server.properties, for one broker or for several that have each message twice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).resolve().parent / "server.properties"


def broker_properties(brokers: int) -> dict[str, str]:
    """Return the settings of server.properties on so many brokers, three and more of which have each message."""
    lines = (line.partition("=") for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    settings = {name: value for name, equals, value in lines if equals}
    if brokers == 1:
        return settings
    for name in settings:
        if name.endswith("replication.factor"):
            settings[name] = "3"
        elif name.endswith("min.isr"):
            settings[name] = "2"
    return settings | {"default.replication.factor": "3", "min.insync.replicas": "2"}
