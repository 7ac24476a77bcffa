"""Composition root of the enrollment service."""

from services.enrollment.decider import domain
from services.enrollment.events import LANGUAGE
from shared.service.main import Service, main

main(Service(LANGUAGE, domain))
