-- name: sealed
-- The facts and waiting reports that hold fields sealed under a person's key, by what stands in them.
select 'fact' as kind, bytes from recorded_fact where position($1 in bytes) > 0 and position('"sealed":'::bytea in bytes) > 0
union all
select 'waiting', report from waiting where position($1 in report) > 0

-- name: key
select wrapped from person_key where token = $1

-- name: position
select position from log_head

-- name: quarantine
select number, concat_ws('/', topic, partition, "offset") as place, sealed from quarantine
where sealed is not null and number > $1 order by number limit 1000

-- name: forget
update quarantine set sealed = null where number = any($1)

-- name: destroy
-- The one in the sandbox, too, which would be forgotten with its week.
with tried as (delete from sandbox.person_key where token = $1)
delete from person_key where token = $1

-- name: kept
-- Databases that a restore put aside.
select datname from pg_database where starts_with(datname, $1 || '_before_') order by datname
