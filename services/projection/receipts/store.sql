-- name: begin_checkpoints
insert into receipt_checkpoint select topic, 0 from unnest($1::text[]) topic on conflict do nothing

-- name: checkpoints
select topic, next_offset from receipt_checkpoint where topic = any($1::text[])

-- name: store
-- Receipts, one a report, in place of what was stored of it; the counts by what is stored; and the offsets of the topics,
-- which guard against a second reader: each moves from where this one left it, or is not returned.
with compared as materialized (
    select new.*, r.bound as was_bound, r.decided_at as was_decided_at, r.district as was_district, r.day as was_day,
        r.type as was_type, r.status as was_status, r.code as was_code
    from unnest(
        :rows.service::text[], :rows.key::text[], :rows.source::text[], :rows.id::text[], :rows.district::text[],
        :rows.day::date[], :rows.type::text[], :rows.status::text[], :rows.code::text[], :rows.bound::boolean[],
        :rows.received_at::timestamptz[], :rows.decided_at::timestamptz[], :rows.body::text[]
    ) as new (
        service, key, source, id, district, day, type, status, code, bound, received_at, decided_at, body
    )
    left join receipt r on r.service = new.service and r.key = new.key
), changed as (
    select * from compared
    where was_bound is null or bound > was_bound or (bound = was_bound and decided_at >= was_decided_at)
), stored as (
    insert into receipt (
        service, key, source, id, district, day, type, status, code, bound, received_at, decided_at, body
    )
    select service, key, source, id, district, day, type, status, code, bound, received_at, decided_at, body
    from changed
    on conflict (service, key) do update set
        district = excluded.district, day = excluded.day, type = excluded.type, status = excluded.status,
        code = excluded.code, bound = excluded.bound, received_at = excluded.received_at,
        decided_at = excluded.decided_at, body = excluded.body
), counted as (
    insert into receipt_tally as t (district, day, type, status, code, reports)
    select district, day, type, status, code, sum(reports)
    from (
        select district, day, type, status, code, 1 as reports from changed
        union all
        select was_district, was_day, was_type, was_status, was_code, -1 from changed where was_bound is not null
    ) as moved
    group by 1, 2, 3, 4, 5 having sum(reports) <> 0
    on conflict (district, day, type, status, code) do update set reports = t.reports + excluded.reports
)
update receipt_checkpoint c set next_offset = moved.after
from unnest(:moves.topic::text[], :moves.before::bigint[], :moves.after::bigint[]) as moved (topic, before, after)
where c.topic = moved.topic and c.next_offset = moved.before
returning c.topic

-- name: counts
-- A row for each day, type, status and first reason.
select day, type, status, code, reports from receipt_tally
where district = $1 and reports > 0 and ($2::date is null or day = $2) and ($3::text is null or type = $3)
    and ($4::text is null or status = $4) and ($5::text is null or code = $5)

-- name: page
select number, body from receipt
where district = $1 and ($2::date is null or day = $2) and ($3::text is null or type = $3)
    and ($4::text is null or status = $4) and ($5::text is null or code = $5) and number < $6
order by number desc limit $7

-- name: read
-- How much has been read in all: differs whenever a page of receipts may.
select coalesce(sum(next_offset), 0)::bigint from receipt_checkpoint
