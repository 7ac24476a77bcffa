-- name: begin_checkpoints
insert into receipt_checkpoint select topic, 0 from unnest($1::text[]) topic on conflict do nothing

-- name: checkpoints
select topic, next_offset from receipt_checkpoint where topic = any($1::text[])

-- name: move_checkpoint
-- Guards against a second reader: it moves from where this one left it, or the transaction fails.
update receipt_checkpoint set next_offset = $3 where topic = $1 and next_offset = $2

-- name: known
select service, key, district, day, type, status, code, bound, decided_at from receipt
join unnest($1::text[], $2::text[]) asked (service, key) using (service, key)

-- name: keep
-- In place of what was stored of the same report; columns in the order of FollowedReceipt.
insert into receipt (service, key, source, id, district, day, type, status, code, bound, received_at, decided_at, body)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[], $8::text[],
    $9::text[], $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::text[])
on conflict (service, key) do update set
    district = excluded.district, day = excluded.day, type = excluded.type, status = excluded.status,
    code = excluded.code, bound = excluded.bound, received_at = excluded.received_at,
    decided_at = excluded.decided_at, body = excluded.body

-- name: tally
-- Columns in the order of TallyRow.
insert into receipt_tally as t (district, day, type, status, code, reports)
select * from unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[])
on conflict (district, day, type, status, code) do update set reports = t.reports + excluded.reports

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
