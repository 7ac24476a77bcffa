"""Composition root of the recruitment service."""

from services.recruitment.decider import domain
from services.recruitment.events import LANGUAGE
from shared.service.main import Service, main

main(Service(LANGUAGE, domain))
