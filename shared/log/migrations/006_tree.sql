-- The Merkle tree over the log (RFC 6962): leaf i is the stored sha256 of the fact at position i + 1. What is in the tree
-- stays: the service's role adds to it and never changes it, so that a changed fact differs from its leaf.
create table tree (
    one boolean primary key default true check (one),
    size bigint not null default 0,
    edge bytea not null default ''
);
insert into tree default values;

-- Full tiles of level 0 (C2SP tlog-tiles): 256 leaf hashes in a row. Those after the last full tile are tree.edge.
create table tree_tile (
    number bigint primary key,
    hashes bytea not null
);

-- Hashes of full tiles: the one at (level, number) is that of 256 hashes of the level below.
create table tree_node (
    level int,
    number bigint,
    hash bytea not null,
    primary key (level, number)
);

grant select, update on tree to "{role}";
grant select, insert on tree_tile, tree_node to "{role}";
