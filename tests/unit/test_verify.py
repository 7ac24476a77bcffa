"""verify.py by itself: its hashes are RFC 6962's, and whatever is done to an export, the first position is named."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from client.audit.verify import differences, first_difference, leaf_of, root_of
from tests.unit.test_tree import defined, digests_of

OTHER = leaf_of(hashlib.sha256(b"another").digest())


def leaves_of(count: int) -> list[bytes]:
    return [leaf_of(digest) for digest in digests_of(count)]


def named(log: list[bytes], export: list[bytes]) -> list[tuple[int, str]]:
    return [(position, en) for position, _, en in differences(b"".join(log), b"".join(export))]


@given(st.integers(0, 600))
@settings(max_examples=40, deadline=None)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root_of(b"".join(leaves_of(size))) == defined(digests_of(size))


@given(st.integers(2, 80), st.data())
@settings(max_examples=100, deadline=None)
def test_what_was_done_to_one_fact_is_named_with_its_position(size: int, drawn: st.DataObject) -> None:
    log = leaves_of(size)
    at = drawn.draw(st.integers(0, size - 1))
    position = at + 1
    assert named(log, log) == named(log, [*log, OTHER]) == [], "what came later is no difference"
    assert named(log, [*log[:at], OTHER, *log[position:]]) == [(position, "was changed")]
    line = f"has one inserted before it (line {position})"
    assert named(log, [*log[:at], OTHER, *log[at:]]) == [(position, line)]
    cut = [(position, f"is the first of {size - at} missing: truncated")]
    assert named(log, log[:at]) == cut
    if position < size:
        assert named(log, [*log[:at], *log[position:]]) == [(position, "was removed")]
        exchanged = [*log[:at], log[position], log[at], *log[position + 1 :]]
        assert named(log, exchanged) == [(position + 1, f"is out of its place (line {position})")]
    twice = [(position, f"stands there twice (line {position + 1})")]
    assert named(log, [*log[:position], log[at], *log[position:]]) == twice


@given(st.integers(1, 40), st.data())
@settings(max_examples=200, deadline=None)
def test_nothing_that_differs_passes_unnamed(size: int, drawn: st.DataObject) -> None:
    log = leaves_of(size)
    export = drawn.draw(st.lists(st.sampled_from([*log, OTHER]), max_size=size + 3))
    if export[:size] != log:
        assert named(log, export), "the export is not the log"


@given(st.integers(1, 60), st.data())
@settings(max_examples=50, deadline=None)
def test_a_fork_begins_where_the_leaves_first_differ(size: int, drawn: st.DataObject) -> None:
    log = leaves_of(size)
    at = drawn.draw(st.integers(0, size - 1))
    forked = [*log[:at], OTHER, *(leaf[::-1] for leaf in log[at + 1 :])]
    assert first_difference(b"".join(log), b"".join(forked)) == at + 1
