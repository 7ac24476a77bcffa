-- name: lock
select position, recorded_at, receipts, waiting from log_head for update

-- name: digests
select position, sha256 from fact where position = any($1::bigint[])

-- name: take_fact
insert into fact (position, stream, version, id, report_source, report_id, tags, recorded_at, bytes, sha256)
values (
    :position, :stream, :version, :id, :report_source, :report_id, :tags, :recorded_at, :bytes, sha256(:bytes)
)

-- name: decisions
-- The number of the last decision of a report, and whether it waits.
select (select max(decision) from receipt where source = $1 and id = $2) as decision,
    exists (select from waiting where source = $1 and id = $2) as waits

-- name: is_fact
select exists (select from fact where position = $1 and report_source = $2 and report_id = $3)

-- name: take_receipt
insert into receipt (number, source, id, decision, digest, district, bytes)
values (:number, :source, :id, :decision, :digest, :district, :bytes)

-- name: undecided
-- Facts taken back whose report has no decision: its receipt was never sent.
select position, bytes from recorded_fact f
where position > $1 and not exists (
    select from receipt r where r.source = f.report_source and r.id = f.report_id and r.decision is not null
)
order by position

-- name: no_longer_waiting
-- Reports that wait here and were decided meanwhile.
delete from waiting w
where (
    select convert_from(r.bytes, 'UTF8')::json ->> 'status' from receipt r
    where r.source = w.source and r.id = w.id and r.decision is not null order by r.decision desc limit 1
) <> 'waiting'

-- name: bytes_of_report
select bytes, tags from recorded_fact where stream = $1 order by position

-- name: digest_of_report
select digest, bytes from receipt where source = $1 and id = $2 and decision is not null order by decision desc limit 1

-- name: wait_again
insert into waiting (source, id, until, number, since, never, report)
values (:source, :id, :until, :number, :since, :never, :report)
on conflict do nothing

-- name: move
update log_head
set position = $1, recorded_at = greatest(recorded_at, $2), receipts = $3, waiting = (select count(*) from waiting)
