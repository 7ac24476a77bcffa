-- name: lock
-- One at a time in a log: the lock lives as long as the connection.
select pg_try_advisory_lock(hashtext('skillplan.store-away'))

-- name: log
-- Nothing is recorded before `now` any more: instants of recording only rise, and are the clock's; that may be set back a
-- little.
select position, greatest(recorded_at, clock_timestamp() - interval '1 hour') as now, compared is not distinct from log_life() as compared,
    (select number from relayed where outbox = 'facts') as sent
from log_head

-- name: recorded_at
select recorded_at from fact where position = $1

-- name: tablespace
select has_tablespace_privilege(oid, 'create') as allowed from pg_tablespace where spcname = $1

-- name: part
-- The tablespace of a part; no row where there is none of this name.
select coalesce(t.spcname, '') as tablespace
from pg_class c left join pg_tablespace t on t.oid = c.reltablespace
where c.oid = to_regclass($1)

-- name: next_here
-- The first fact after a position, up to one, whose bytes are in the log's own table.
select position from fact where position > $1 and position <= $2 and bytes is not null order by position limit 1

-- name: next_away
select position from stored_away where position > $1 and position <= $2 order by position limit 1

-- name: left_away
-- Whether a part has anything in it.
select exists (select from stored_away where tableoid = to_regclass($1))

-- name: store
with away as (
    insert into stored_away select position, bytes from fact
    where position between $1 and $2 and bytes is not null returning position
)
update fact set bytes = null from away where fact.position = away.position

-- name: bring_back
with back as (
    delete from stored_away where position between $1 and $2 returning position, bytes
)
update fact set bytes = back.bytes from back where fact.position = back.position and fact.bytes is null

-- name: whole
-- How many facts are, with the bytes of their digest, in one place alone: away (true) or in the log's own table (false).
select count(*) from fact f left join stored_away s using (position)
where f.position between $1 and $2 and (f.bytes is null) = $3 and (s.bytes is not null) = $3
    and f.sha256 = sha256(coalesce(f.bytes, s.bytes))
