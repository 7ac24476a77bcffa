"""Repairs of aiokafka and Faust, one file each.

A test of each fails once it is not needed (tests/unit/test_kafka_patches.py). Those of Faust are made by its consumer.
"""

from shared.kafka.patches import bounded_unpacking, idle_fetching, metadata_backoff, spaced_fetching


def apply() -> None:
    """Repair every client of this process, Faust's too. Repeating it is harmless."""
    metadata_backoff.apply()
    bounded_unpacking.apply()
    spaced_fetching.apply()
    idle_fetching.apply()
