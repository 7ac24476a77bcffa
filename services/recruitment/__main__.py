"""Composition root of the recruitment service."""

from services.recruitment.decider import domain
from services.recruitment.events import LANGUAGE
from shared.service import Service, main

main(Service(LANGUAGE, domain))
