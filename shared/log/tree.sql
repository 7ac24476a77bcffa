-- name: tree
select size, edge from tree

-- name: cosigned
select cosigned from tree

-- name: keep_cosigned
update tree set cosigned = $1 where cosigned is distinct from $1

-- name: digests
-- The digests of facts after a position, up to one, in a row: one value costs less than a row each.
select string_agg(sha256, '')
from (select sha256 from fact where position > $1 and position <= $2 order by position) as facts

-- name: nodes
-- The hashes at a level that are in no full tile yet.
select hash from tree_node where level = $1 and number >= $2 order by number

-- name: grow
-- Tiles that became full, their hashes, and how far the tree reaches: all of it or nothing.
with tiles as (
    insert into tree_tile (number, hashes) select * from unnest(:tiles.number::bigint[], :tiles.hashes::bytea[])
), nodes as (
    insert into tree_node (level, number, hash) select * from unnest(
        :nodes.level::int[], :nodes.number::bigint[], :nodes.hash::bytea[]
    )
)
update tree set size = :size, edge = :edge

-- name: leaves
-- Full tiles of level 0.
select number, hashes from tree_tile where number = any($1::bigint[])

-- name: tiles
-- Tiles of higher levels, full or not: 256 hashes of a level in a row.
select t.level, t.number, string_agg(n.hash, '' order by n.number) as hashes
from unnest($1::int[], $2::bigint[]) as t (level, number)
join tree_node n on n.level = t.level and n.number between t.number * 256 and t.number * 256 + 255
group by t.level, t.number
