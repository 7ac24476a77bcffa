-- name: lock
-- One relay a service: the lock lives as long as the connection that reads and checkpoints.
select pg_try_advisory_lock(hashtext('skillplan.relay'))

-- name: head
select position, (select number from relayed where outbox = 'facts') as relayed from log_head

-- name: digest
select sha256 from fact where position = $1

-- name: compared
-- In this life of the database the log was found to be no shorter than its topic: decide.
update log_head set compared = log_life()

-- name: ahead
update log_head set compared = 'ahead:' || $1::bigint

-- name: checkpoints
select outbox, number from relayed

-- name: move
-- Move checkpoints, and return where each outbox ends.
with moved as (
    update relayed set number = reached.number from unnest($1::text[], $2::bigint[]) as reached (outbox, number)
    where relayed.outbox = reached.outbox
)
select position as facts, receipts, quarantined as quarantine from log_head

-- name: facts
select position as number, stream, bytes from fact where position > $1 order by position limit $2

-- name: receipts
select number, source, id, decision, bytes, district, encode(digest, 'hex') as digest from receipt where number > $1 order by number limit $2

-- name: quarantine
select number, topic, partition, "offset", reason, size, encode(digest, 'hex') as digest, at
from quarantine where number > $1 order by number limit $2
