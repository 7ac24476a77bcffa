"""Composition root of the subsidy service."""

from services.subsidy.decider import domain
from services.subsidy.events import LANGUAGE
from services.subsidy.policies import HEARS
from shared.service.main import Service, main

main(Service(LANGUAGE, domain, HEARS))
