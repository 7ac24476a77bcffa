"""Composition root of the planning service."""

from services.planning.decider import domain
from services.planning.events import LANGUAGE
from shared.keys import Role
from shared.service import Service, main

main(Service(LANGUAGE, domain, reporters=frozenset({Role.DISTRICT, Role.PLANNER})))
