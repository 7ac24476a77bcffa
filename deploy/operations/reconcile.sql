-- name: head
select position, receipts from log_head

-- name: relayed
-- How far each outbox was sent and acknowledged.
select outbox, number from relayed

-- name: subscriptions
select service, position from subscription

-- name: dense
select count(*), coalesce(max($number), 0) as last from $table

-- name: missing
-- The first number that is not there.
select $number - 1 from (select $number, lag($number, 1, 0::bigint) over (order by $number) as before from $table) as numbered
where $number <> before + 1 order by $number limit 1

-- name: tampered
-- Also one whose bytes are missing, or are in both places (decision 0033).
select position from recorded_fact where sha256 is distinct from sha256(bytes)
union all
select position from fact join stored_away using (position) where fact.bytes is not null
order by position limit 1

-- name: without_receipt
-- The first fact whose report has no decision.
select position from fact f
where not exists (
    select from receipt r where r.source = f.report_source and r.id = f.report_id and r.decision is not null
)
order by position limit 1

-- name: without_fact
-- The first decision that says accepted where the log has no fact of that report.
select r.number, (r.shown ->> 'position')::bigint as position
from (
    select number, source, id, convert_from(bytes, 'UTF8')::json as shown from receipt where decision is not null
) as r
left join fact f on f.position = (r.shown ->> 'position')::bigint
where r.shown ->> 'status' = 'accepted' and (f.report_source, f.report_id) is distinct from (r.source, r.id)
order by number limit 1

-- name: digests
select position, stream, sha256 from fact where position = any($1::bigint[])

-- name: heard
select position, sha256(bytes) as sha256 from heard where service = $1 and position = any($2::bigint[])

-- name: receipts
-- Every receipt of some reports.
select source, id, sha256(bytes) as sha256, number from receipt
where (source, id) in (select * from unnest($1::text[], $2::text[]))

-- name: last_of_key
-- Of receipts that are sent and have a key: the last one with the same key among those sent.
select r.number, (
    select max(o.number) from receipt o
    where o.source = r.source and o.id = r.id and (o.decision is null) = (r.decision is null) and o.number <= $2
) as last
from receipt r
where r.number = any($1::bigint[]) and r.district is not null and r.source is not null and r.id is not null
order by r.number

-- name: standing
select position, line, use, event_id from g.standing where service = $1 and position = any($2::bigint[])
