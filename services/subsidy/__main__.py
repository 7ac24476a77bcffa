"""Composition root of the subsidy service."""

from services.catalogue import DOMAIN_SERVICES
from shared.service.main import main

main(DOMAIN_SERVICES["subsidy"].composed())
