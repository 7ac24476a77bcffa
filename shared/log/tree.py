"""Merkle tree over a log (RFC 6962), its tiles and its proofs (C2SP tlog-tiles).

A leaf's data is the stored `fact.sha256`: the SHA-256 of the fact's exact bytes, in which its position, id, subject,
type and data stand. Leaf i (from 0) is the fact at position i + 1, so the tree binds positions, too.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

HEIGHT: Final = 8  # of a tile
WIDTH: Final = 1 << HEIGHT
SIZE: Final = 32  # of a hash
_sha256: Final = hashlib.sha256


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node of two subtrees."""
    return _sha256(b"\1" + left + right).digest()


def full_hash(hashes: bytes) -> bytes:
    """Return the hash of a full subtree: 32-byte hashes in a row, a power of two of them."""
    while len(hashes) > SIZE:
        pairs = range(0, len(hashes), 2 * SIZE)
        hashes = b"".join([_sha256(b"\1" + hashes[at : at + 2 * SIZE]).digest() for at in pairs])
    return hashes


class TileAt(NamedTuple):
    """Where a tile stands: `level` 0 has the leaves, each higher one the hashes of full tiles of the one below."""

    level: int
    number: int


def tile_path(number: int) -> str:
    """Return the number of a tile as it stands in its path (C2SP tlog-tiles): x001/x234/067."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    return "/".join(reversed(groups))


class NodeAt(NamedTuple):
    """A full subtree of 2**height leaves, the `number`-th of its height."""

    height: int
    number: int

    @property
    def tile(self) -> TileAt:
        """The tile with this subtree's hash, or those it is made of."""
        level, within = divmod(self.height, HEIGHT)
        return TileAt(level, (self.number << within) >> HEIGHT)

    def hash(self, tile: bytes) -> bytes:
        """Return the hash of the subtree by its tile."""
        within = self.height % HEIGHT
        first = (self.number << within) % WIDTH
        return full_hash(tile[first * SIZE : (first + (1 << within)) * SIZE])


def nodes_of(first: int, end: int) -> list[NodeAt]:
    """Return the full subtrees that the leaves from `first` to before `end` are made of, from left to right.

    `first` must be where RFC 6962 splits a tree: a multiple of the largest power of two below the number of leaves.
    """
    nodes = []
    while first < end:
        height = (end - first).bit_length() - 1
        nodes.append(NodeAt(height, first >> height))
        first += 1 << height
    return nodes


Ranges = Sequence[tuple[int, int]]


def tiles_of(ranges: Ranges) -> set[TileAt]:
    """Return the tiles that the hashes of these ranges of leaves are computed from."""
    return {node.tile for first, end in ranges for node in nodes_of(first, end)}


def hashes_of(ranges: Ranges, tile: Callable[[TileAt], bytes]) -> list[bytes]:
    """Return the hash of each range of leaves; `tile`: the hashes of a tile, as many as there are."""
    return [_joined([node.hash(tile(node.tile)) for node in nodes_of(first, end)]) for first, end in ranges]


def _joined(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return _sha256().digest()  # of the empty tree
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = node_hash(left, root)
    return root


def inclusion(leaf: int, size: int) -> Ranges:
    """Return the ranges of leaves whose hashes prove that a leaf is in the tree of a size (RFC 6962, 2.1.1)."""
    return list(_path(leaf, 0, size))


def _path(leaf: int, first: int, end: int) -> Iterator[tuple[int, int]]:
    if end - first > 1:
        middle = first + _split(end - first)
        if leaf < middle:
            yield from _path(leaf, first, middle)
            yield middle, end
        else:
            yield from _path(leaf, middle, end)
            yield first, middle


def consistency(old: int, size: int) -> Ranges:
    """Return the ranges whose hashes prove that the tree of a size begins with the one of `old` (RFC 6962, 2.1.2)."""
    return list(_subproof(old, 0, size, whole=True)) if 0 < old < size else []


def _subproof(old: int, first: int, end: int, whole: bool) -> Iterator[tuple[int, int]]:
    if old == end - first:
        if not whole:
            yield first, end
        return
    split = _split(end - first)
    middle = first + split
    if old <= split:
        yield from _subproof(old, first, middle, whole)
        yield middle, end
    else:
        yield from _subproof(old - split, middle, end, whole=False)
        yield first, middle


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether a proof shows that the tree of a size and root begins with an old one (RFC 9162, 2.1.4.2)."""
    if old in (0, size):
        return not proof and (old != size or old_root == root)
    if not 0 < old < size or not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    within, last = old - 1, size - 1
    while within & 1:
        within, last = within >> 1, last >> 1
    older = newer = path[0]
    for hash_ in path[1:]:
        if not last:
            return False
        if within & 1 or within == last:
            older, newer = node_hash(hash_, older), node_hash(hash_, newer)
            while not within & 1 and within:
                within, last = within >> 1, last >> 1
        else:
            newer = node_hash(newer, hash_)
        within, last = within >> 1, last >> 1
    return last == 0 and (older, newer) == (old_root, root)


def _split(count: int) -> int:
    """Return the largest power of two below a count."""
    return 1 << (count - 1).bit_length() - 1


class FullTile(NamedTuple):
    """A row of `tree_tile`: the hashes of 256 leaves."""

    number: int
    hashes: bytes


class NodeRow(NamedTuple):
    """A row of `tree_node`: the hash of a full tile, which stands at the level above it."""

    level: int
    number: int
    hash: bytes


@dataclass(slots=True)
class Growth:
    """What a tree gets by new leaves: tiles of level 0 that became full, their hashes, and the leaves after them."""

    tiles: list[FullTile]
    nodes: list[NodeRow]
    edge: bytes
    size: int


class Edge:
    """The right edge of a tree, to which leaves are added: of each level the hashes in no full tile yet."""

    def __init__(self, size: int, levels: Sequence[bytes]) -> None:
        """`levels`: from 0 on."""
        self.size = size
        self._levels = [bytearray(hashes) for hashes in levels]

    def add(self, digests: Sequence[bytes]) -> Growth:
        """Add facts by their SHA-256."""
        tiles, nodes = list[FullTile](), list[NodeRow]()
        if not self._levels:
            self._levels.append(bytearray())
        leaves = self._levels[0]
        at = 0
        while at < len(digests):
            page = digests[at : at + WIDTH - len(leaves) // SIZE]  # no further than the tile is full
            leaves += b"".join([_sha256(b"\0" + digest).digest() for digest in page])
            self.size += len(page)
            at += len(page)
            if len(leaves) == WIDTH * SIZE:
                tiles.append(FullTile((self.size - 1) >> HEIGHT, bytes(leaves)))
                self._close(nodes)
        return Growth(tiles, nodes, bytes(leaves), self.size)

    def _close(self, nodes: list[NodeRow]) -> None:
        """Hash full tiles into the levels above."""
        level = 0
        while len(self._levels[level]) == WIDTH * SIZE:
            hash_ = full_hash(bytes(self._levels[level]))
            self._levels[level].clear()
            level += 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += hash_
            nodes.append(NodeRow(level, (self.size >> HEIGHT * level) - 1, hash_))


def entries(digests: Iterable[bytes]) -> bytes:
    """Return an entry bundle: the data of leaves, each after its length."""
    return b"".join(struct.pack(">H", len(digest)) + digest for digest in digests)
