"""Names on the broker: topics, consumer groups and users. Nothing else spells one (decision 0017)."""

from typing import Final

QUARANTINE: Final = "quarantine"
SANDBOX_EVENTS: Final = "sandbox.events"  # the facts of all services' sandboxes
_EVENTS: Final = ".events"


def reports_topic(service: str, sender: str) -> str:
    """Return the inbox of a service for a sender: a district, or who plans for all. Without one: how all begin."""
    return f"{service}.reports.{sender}"


def events_topic(service: str) -> str:
    """Return the topic of a service's facts."""
    return service + _EVENTS


def service_of(topic: str) -> str:
    """Return the service whose facts a topic has, empty where it has none."""
    return topic.removesuffix(_EVENTS) if topic.endswith(_EVENTS) else ""


def receipts_topic(district: str) -> str:
    """Return the topic of a district's receipts. Without one: how all begin."""
    return f"receipts.{district}"


def mark_topic(mark: str) -> str:
    """Return the empty topic whose name says whose the topics beside it are. Without a mark: how all begin."""
    return f"skillplan.mark.{mark.removeprefix('skillplan ')}"


def consumer_group(service: str) -> str:
    """Return the group in which the processes of a service share its inboxes."""
    return f"skillplan-{service}"


def district_user(district: str) -> str:
    """Return the user that reports for a district."""
    return f"district-{district}"
