"""Composition root of the competition service."""

from services.competition.decider import domain
from services.competition.events import LANGUAGE
from shared.service.main import Service, main

main(Service(LANGUAGE, domain))
