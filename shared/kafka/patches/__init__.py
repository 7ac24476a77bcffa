"""Repairs of aiokafka, one file each; a test of each fails once it is not needed (tests/unit/test_kafka_patches.py)."""

from shared.kafka.patches import bounded_unpacking, metadata_backoff


def apply() -> None:
    """Repair every client of this process, Faust's too. Repeating it is harmless."""
    metadata_backoff.apply()
    bounded_unpacking.apply()
