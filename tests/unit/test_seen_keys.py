"""A key that was added is never taken for new, and few new ones are taken for one that was added."""

from services.projection.counting.seen import SeenKeys


def test_what_was_added_has_been_seen_and_what_was_not_hardly_ever() -> None:
    seen = SeenKeys()
    keys = [(line, f"member-{number}") for line in range(10) for number in range(5_000)]
    assert sum(seen.add(key) for key in keys) >= len(keys) - 1
    assert not any(seen.add(key) for key in keys)
    assert sum(seen.add((line, f"other-{line}")) for line in range(1_000)) >= 999
