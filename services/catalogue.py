"""Catalogue of the services: one entry each, from which every list of services in this tree derives.

Topics, users, ports, addresses, forms and documents read it; `docker-compose.yml` and the targets of Prometheus
are compared with it by `tests/contract/test_services_catalogue.py`. Adding a service: its folder and its line here.

A service's own code is imported when it is asked for, so that a process holds the code of no service but its own; in
exchange import-linter lets everybody import this module.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from shared.contract.events import Language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.deciding.decider import Domain
    from shared.plan.model import Plan
    from shared.service.main import Service

OFFICE: Final = "office"  # ends the name of the topic from which the plan office's own reports are taken (RULES F1a)
OFFICE_USER: Final = "plan-office"  # who alone may write it
FIGURES: Final = ("figures_key",)  # by which the projection seals what planning publishes (RULES F8a)
PROBES: Final = 100  # a service's second process, without an API, answers probes on the service's port plus this
API_PROBES: Final = 200  # … and its API, besides, on the service's port plus this, which no flood of requests reaches


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What the rest of the system knows of a service.

    `name`: its folder and, where it stores anything, its database and its user of the broker. `port`: of its API.
    `commands`: its processes, the API first. `addresses`: the setting with which it is given the address of another
    service (`projection`), or a JSON object of the addresses of several (`services`). `keys`: settings that are keys
    which it shares with some services alone.
    """

    name: str
    port: int
    commands: tuple[str, ...] = ("api", "worker")
    addresses: Mapping[str, str | tuple[str, ...]] | None = None
    keys: tuple[str, ...] = ()

    @property
    def ports(self) -> dict[str, int]:
        """The port of each of its processes, by command."""
        return {command: self.port + PROBES * at for at, command in enumerate(self.commands)}

    @property
    def probes(self) -> dict[str, int]:
        """The port on which each of its processes is asked how it is, by command."""
        return self.ports | {self.commands[0]: self.port + API_PROBES}

    def address_settings(self, url_of: Callable[[str], str]) -> dict[str, str]:
        """Return the environment variables that hold the addresses of the services it asks, none where it asks none."""
        return {
            f"SKILLPLAN_{setting.upper()}": url_of(target)
            if isinstance(target, str)
            else json.dumps({name: url_of(name) for name in target})
            for setting, target in (self.addresses or {}).items()
        }


@dataclass(frozen=True, slots=True)
class DomainService(ServiceEntry):
    """A service that takes reports; its name is also the prefix of its types and topics.

    `hears`: the services whose facts its decisions rest on. `reporters`: the roles (`shared.http.api_keys.Role`) whose
    keys may report all its types over HTTP; a planner's may report what is the city's own at every service (RULES G3,
    G4). `counted`: plans count its facts, and a report of its types that another service receives is sent there (RULES
    A11); false where the plan office decides instead, whose own reports Kafka then brings on the topic of the office
    alone.
    """

    hears: tuple[str, ...] = ()
    reporters: frozenset[str] = frozenset({"district"})
    counted: bool = True

    @property
    def language(self) -> Language:
        """Its published language."""
        language: Language = import_module(f"services.{self.name}.events").LANGUAGE
        return language

    @property
    def heard(self) -> tuple[Language, ...]:
        """The parts of other services' languages that its policies read."""
        return import_module(f"services.{self.name}.policies").HEARS if self.hears else ()

    def domain(self, plans: "Sequence[Plan]", **keys: bytes) -> "Domain":
        """Return its rules under these plans; `keys`: those of `self.keys`, by name."""
        domain: Domain = import_module(f"services.{self.name}.decider").domain(plans, **keys)
        return domain

    def composed(self) -> "Service":
        """Return what its processes are made of."""
        from shared.http.api_keys import Role  # noqa: PLC0415 - a list of names needs none of this
        from shared.kafka.clients import ReservedTopic  # noqa: PLC0415
        from shared.service.main import Service  # noqa: PLC0415

        return Service(
            self.language,
            self.domain,
            self.heard,
            frozenset(map(Role, self.reporters)),
            redirects=COUNTED,
            elsewhere=ELSEWHERE,
            reserved=None if self.counted else ReservedTopic(OFFICE, OFFICE_USER),
            keys=self.keys,
        )


DOMAIN_SERVICES: Final = {
    entry.name: entry
    for entry in (
        DomainService("enrollment", 8001),
        DomainService("competition", 8002),
        DomainService("recruitment", 8003),
        DomainService("subsidy", 8004, hears=("competition", "recruitment")),
        DomainService(
            "planning",
            8005,
            # The counted ones: of whose logs a close needs the witnesses' cosignatures.
            addresses={
                "projection": "projection",
                "services": ("enrollment", "competition", "recruitment", "subsidy"),
            },
            keys=FIGURES,
            reporters=frozenset({"district", "planner"}),
            counted=False,
        ),
    )
}
PROJECTION: Final = ServiceEntry(
    "projection",
    8000,
    commands=("api", "projector"),
    addresses={"services": tuple(DOMAIN_SERVICES)},
    keys=FIGURES,
)
# The one address of all of them; it stores nothing, and has neither a database nor a user of the broker.
GATEWAY: Final = ServiceEntry(
    "gateway", 8080, commands=("api",), addresses={"projection": "projection", "services": tuple(DOMAIN_SERVICES)}
)
WITH_DATABASE: Final[Mapping[str, ServiceEntry]] = {PROJECTION.name: PROJECTION} | DOMAIN_SERVICES
SERVICES: Final[Mapping[str, ServiceEntry]] = {GATEWAY.name: GATEWAY} | dict(WITH_DATABASE)
COUNTED: Final = tuple(name for name, entry in DOMAIN_SERVICES.items() if entry.counted)

# Environment variables of one service or of its clients, which may stand in the environment file of all.
ELSEWHERE: Final = frozenset(f"SKILLPLAN_{name.upper()}_PORT" for name in SERVICES) | {
    "SKILLPLAN_ACCEPT",
    "SKILLPLAN_EXAMPLE_DAY",
    "SKILLPLAN_FIGURES_KEY",
    "SKILLPLAN_ONLY",
    "SKILLPLAN_PLANNING",
    "SKILLPLAN_PROJECTION",
    "SKILLPLAN_REPORT",
}


def languages() -> dict[str, Language]:
    """Return the languages of all services by name, in the catalogue's order; imports all of them."""
    return {name: entry.language for name, entry in DOMAIN_SERVICES.items()}
