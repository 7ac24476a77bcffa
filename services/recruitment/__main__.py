"""Composition root of the recruitment service."""

from services.catalogue import DOMAIN_SERVICES
from shared.service.main import main

main(DOMAIN_SERVICES["recruitment"].composed())
