"""Composition root of the enrollment service."""

from services.catalogue import DOMAIN_SERVICES
from shared.service.main import main

main(DOMAIN_SERVICES["enrollment"].composed())
