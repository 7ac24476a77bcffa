-- The keys this log is written with, as digests under themselves: with another city key the same person would get
-- another token and be counted twice, with another service key nothing sealed would open again.
create table key_check (
    name text primary key,
    digest bytea not null
);
grant select, insert on key_check to "{role}";
