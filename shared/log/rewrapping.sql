-- name: person_keys
select token, wrapped from person_key where token > $1 order by token limit 1000

-- name: rewrap_person_keys
-- One that was deleted meanwhile stays deleted, and one that was made anew since is another.
update person_key p set wrapped = fresh.wrapped
from unnest($1::text[], $2::bytea[], $3::bytea[]) as fresh (token, before, wrapped)
where p.token = fresh.token and p.wrapped = fresh.before

-- name: quarantine
select number, concat_ws('/', topic, partition, "offset") as place, sealed from quarantine
where number > $1 and sealed is not null order by number limit 100

-- name: seal_quarantine
-- One whose time has come meanwhile stays empty.
update quarantine q set sealed = fresh.sealed
from unnest($1::bigint[], $2::bytea[]) as fresh (number, sealed)
where q.number = fresh.number and q.sealed is not null

-- name: begin_with
-- From now on the log is one that was begun with this key.
update key_check set digest = $1 where name = 'service_key'
