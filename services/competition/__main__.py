"""Composition root of the competition service."""

from services.catalogue import DOMAIN_SERVICES
from shared.service.main import main

main(DOMAIN_SERVICES["competition"].composed())
