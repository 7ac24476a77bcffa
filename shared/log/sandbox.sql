-- name: lock
-- One relay of a sandbox: the lock lives as long as the connection.
select pg_try_advisory_lock(hashtext('skillplan.relay.sandbox'))

-- name: week
select week from log_head

-- name: empty
-- Under the lock of the head: forget everything of the weeks before. Positions and numbers go on, so that who reads what
-- was sent never takes something new for what it knows.
with begun as (
    update log_head set week = $1 where week < $1 returning week
), facts as (
    delete from fact where exists (select from begun)
), receipts as (
    delete from receipt where exists (select from begun)
), reports as (
    delete from waiting where exists (select from begun)
), evidence as (
    delete from heard where exists (select from begun)
), persons as (
    delete from person_key where exists (select from begun)
)
select week from begun
