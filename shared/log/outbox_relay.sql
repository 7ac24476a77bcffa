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
update relayed set number = reached.number from unnest($1::text[], $2::bigint[]) as reached (outbox, number)
where relayed.outbox = reached.outbox

-- name: turn
-- Move checkpoints, and return a page of facts and one of receipts after what was reached, of one snapshot; on each row,
-- or on the only one where both are empty, where the quarantine ends.
with moved as (
    update relayed set number = reached.number from unnest($1::text[], $2::bigint[]) as reached (outbox, number)
    where relayed.outbox = reached.outbox
)
select h.quarantined, page.* from log_head h
left join (
    (
        select 'facts' as outbox, position as number, stream, null as source, null as id, null::int as decision, bytes,
            null as district, sha256 as digest
        from recorded_fact where position > $3 order by position limit $5
    )
    union all
    (
        select 'receipts', number, null, source, id, decision, bytes, district, digest
        from receipt where number > $4 order by number limit $5
    )
) as page on true

-- name: quarantine
select number, topic, partition, "offset", reason, size, encode(digest, 'hex') as digest, at
from quarantine where number > $1 order by number limit $2
