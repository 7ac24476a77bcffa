"""The Merkle tree of a log: RFC 6962's hashes, tiles and proofs, and checkpoints that Ed25519 has signed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.log.checkpoints import LogSigner
from shared.log.tree import (
    WIDTH,
    Edge,
    TileAt,
    consistency,
    entries,
    hashes_of,
    inclusion,
    node_hash,
)

# The leaves and roots that implementations of Certificate Transparency are tried with.
LEAVES: Final = [bytes.fromhex(leaf) for leaf in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS: Final = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
Tiles = Callable[[TileAt], bytes]


def grown(digests: Sequence[bytes], pages: Sequence[int]) -> Tiles:
    """Return the tiles of a tree that grew by pages of these sizes, again and again, as a database keeps them."""
    edge, size = Edge(0, []), 0
    leaves, nodes = dict[int, bytes](), dict[tuple[int, int], bytes]()
    while True:
        page = pages[size % len(pages)]
        growth = edge.add(digests[size : size + page])
        size = growth.size
        leaves |= dict(growth.tiles)
        nodes |= {(node.level, node.number): node.hash for node in growth.nodes}
        if size == len(digests):
            break

    def tile(at: TileAt) -> bytes:
        if at.level == 0:
            return growth.edge if at.number == size // WIDTH else leaves[at.number]
        numbers = range(at.number * WIDTH, (at.number + 1) * WIDTH)
        return b"".join(nodes[at.level, number] for number in numbers if (at.level, number) in nodes)

    return tile


def root(digests: Sequence[bytes], tiles: Tiles) -> bytes:
    return hashes_of([(0, len(digests))], tiles)[0]


def digests_of(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert root(LEAVES[:count], grown(LEAVES[:count], [3])).hex() == ROOTS[count]


# RFC 6962, 2.1: the definition, with which nothing of ours is shared.
def defined(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + defined(leaves[:split]) + defined(leaves[split:])).digest()


def leaf_hash(digest: bytes) -> bytes:
    """Return the hash of the leaf of a fact with this SHA-256, as the RFC says it."""
    return hashlib.sha256(b"\0" + digest).digest()


def included(leaf: bytes, number: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that a proof of inclusion comes to (RFC 9162, 2.1.3.2)."""
    at, last, hash_ = number, size - 1, leaf
    for step in proof:
        if at & 1 or at == last:
            hash_ = node_hash(step, hash_)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, step)
        at, last = at >> 1, last >> 1
    assert last == 0
    return hash_


def consistent(old: int, size: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots, old and new, that a proof of consistency comes to (RFC 9162, 2.1.4.2)."""
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps.pop(0)
    for step in steps:
        if at & 1 or at == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, step)
        at, last = at >> 1, last >> 1
    assert last == 0
    return first, second


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1500), st.lists(st.integers(1, 700), min_size=1, max_size=5), st.data())
def test_proofs_hold_for_trees_of_any_size_however_they_grew(size: int, pages: list[int], drawn: st.DataObject) -> None:
    digests = digests_of(size)
    tiles, whole = grown(digests, pages), defined(digests)
    assert root(digests, tiles) == whole
    leaf, old = drawn.draw(st.integers(0, size - 1)), drawn.draw(st.integers(1, size))
    path = hashes_of(inclusion(leaf, size), tiles)
    assert included(leaf_hash(digests[leaf]), leaf, size, path) == whole
    assert included(leaf_hash(b"another"), leaf, size, path) != whole
    before = defined(digests[:old])
    proof = hashes_of(consistency(old, size), tiles)
    if old == size:
        assert proof == []
    else:
        assert consistent(old, size, before, proof) == (before, whole)
    earlier = hashes_of(inclusion(min(leaf, old - 1), old), tiles)
    assert included(leaf_hash(digests[min(leaf, old - 1)]), min(leaf, old - 1), old, earlier) == before


def test_a_tree_goes_on_from_its_right_edge() -> None:
    digests = digests_of(70_000)
    tiles = grown(digests, [70_000])
    assert len(tiles(TileAt(1, 0))) == WIDTH * 32
    assert len(tiles(TileAt(1, 1))) == 17 * 32
    assert len(tiles(TileAt(2, 0))) == 32
    assert len(tiles(TileAt(0, 273))) == 112 * 32
    edge = Edge(70_000, [tiles(TileAt(0, 273)), tiles(TileAt(1, 1)), tiles(TileAt(2, 0))])
    more = digests_of(70_300)
    growth = edge.add(more[70_000:])
    again = grown(more, [70_300])
    assert [(tile.number, tile.hashes) for tile in growth.tiles] == [(273, again(TileAt(0, 273)))]
    assert growth.edge == again(TileAt(0, 274))
    assert [node.hash for node in growth.nodes] == [again(TileAt(1, 1))[17 * 32 : 18 * 32]]


def test_a_checkpoint_is_a_signed_note() -> None:
    signer = LogSigner("recruitment", b"k" * 32)
    origin, key_id, encoded = signer.verifier_key.split("+", 2)
    public = base64.b64decode(encoded)
    assert public[:1] == b"\x01"
    assert key_id == hashlib.sha256(origin.encode() + b"\n" + public).hexdigest()[:8]
    note = signer.checkpoint(20_852_163, b"r" * 32)
    text, signature = note.removesuffix("\n").split("\n\n")
    assert text.splitlines() == [origin, "20852163", base64.b64encode(b"r" * 32).decode()]
    dash, name, signed = signature.split(" ")
    assert (dash, name) == ("—", origin)
    raw = base64.b64decode(signed)
    assert raw[:4].hex() == key_id
    verifier = Ed25519PublicKey.from_public_bytes(public[1:])
    verifier.verify(raw[4:], f"{text}\n".encode())
    with pytest.raises(InvalidSignature):
        verifier.verify(raw[4:], f"{text.replace('163', '164')}\n".encode())
    assert LogSigner("recruitment", b"l" * 32).origin != origin, "another key is another log"


def test_an_entry_bundle_has_the_length_of_each_entry() -> None:
    assert entries([b"ab", b"c" * 300]) == b"\0\2ab" + b"\1\x2c" + b"c" * 300
