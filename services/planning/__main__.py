"""Composition root of the planning service."""

from services.planning.decider import domain
from services.planning.events import LANGUAGE
from shared.service import Service, main

main(Service(LANGUAGE, domain))
