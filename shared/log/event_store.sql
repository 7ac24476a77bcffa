-- name: begin
-- Begins a transaction by what serialises the decisions of a service: a statement later than the lock sees all before it.
begin; select from log_head for update

-- name: head_and_decisions
-- The head as it stands, and with it the decision in force of each (source, id) that was decided.
select h.position, h.recorded_at, h.receipts, h.quarantined, h.waiting, clock_timestamp() as now,
    h.compared is not distinct from log_life() as compared, d.source, d.id, d.decision, d.digest, d.bytes
from log_head h
left join (
    select k.source, k.id, r.decision, r.digest, r.bytes
    from unnest($1::text[], $2::text[]) as k (source, id)
    cross join lateral (
        select decision, digest, bytes from receipt
        where source = k.source and id = k.id and decision is not null
        order by decision desc limit 1
    ) as r
) as d on true

-- name: load
-- Every fact, this service's or another's, on one of the streams or with one of the tags; of streams that are known up
-- to a version, this service's from that version on.
select tags, bytes from recorded_fact where stream = any(:streams::text[]) or tags && :tags::text[]
union all
select tags, bytes from heard where stream = any(:streams::text[] || :known.stream::text[]) or tags && :tags::text[]
union all
select f.tags, f.bytes from unnest(:known.stream::text[], :known.version::int[]) as k (stream, version)
cross join lateral (select tags, bytes from recorded_fact where stream = k.stream and version >= k.version) as f

-- name: decided
-- The decision in force of each (source, id) that was decided.
select k.source, k.id, r.decision, r.digest, r.bytes
from unnest($1::text[], $2::text[]) as k (source, id)
cross join lateral (
    select decision, digest, bytes from receipt
    where source = k.source and id = k.id and decision is not null
    order by decision desc limit 1
) as r

-- name: receipt
-- The receipt of a report as it stands now: its latest decision, else the last answer that bound nothing.
select bytes from receipt where source = $1 and id = $2 order by (decision is null), decision desc, number desc limit 1

-- name: receipts
-- The same of each (source, id) that was received.
select k.source, k.id, r.bytes
from unnest($1::text[], $2::text[]) as k (source, id)
cross join lateral (
    select bytes from receipt
    where source = k.source and id = k.id order by (decision is null), decision desc, number desc limit 1
) as r

-- name: because_of
-- The facts of a stream, from a version on, that were recorded because of a report.
select bytes from recorded_fact
where stream = $1 and version >= $2 and report_source = $3 and report_id = $4 order by version limit 10

-- name: waiting
-- The reports that wait for one of the keys.
select until, number, report from waiting where until = any($1)

-- name: waiting_report
select until, number, report from waiting where source = $1 and id = $2

-- name: overdue
-- What has waited for more than so many days, of sources (`/districts/<code>/…`) of some districts, null for every one;
-- the oldest first.
select report, never from waiting
where since < now() - make_interval(days => $1) and ($2::text[] is null or split_part(source, '/', 3) = any($2))
order by number limit 500

-- name: append
-- Facts, receipts, what waits now, and the head: all of it or nothing.
with facts as (
    insert into fact (position, stream, version, id, report_source, report_id, tags, recorded_at, bytes, sha256)
    select position, stream, version, id, report_source, report_id, string_to_array(tags, ' '), recorded_at, bytes, sha256(bytes)
    from unnest(
        :facts.position::bigint[], :facts.stream::text[], :facts.version::int[], :facts.id::uuid[],
        :facts.report_source::text[], :facts.report_id::text[], :facts.tags::text[], :facts.recorded_at::timestamptz[],
        :facts.bytes::bytea[]
    ) as new (position, stream, version, id, report_source, report_id, tags, recorded_at, bytes)
), receipts as (
    insert into receipt (number, source, id, decision, digest, district, bytes)
    select number, source, id, decision, digest, district, bytes
    from unnest(
        :receipts.number::bigint[], :receipts.source::text[], :receipts.id::text[], :receipts.decision::int[],
        :receipts.digest::bytea[], :receipts.district::text[], :receipts.bytes::bytea[]
    ) as new (number, source, id, decision, digest, district, bytes)
), asleep as (
    insert into waiting (source, id, until, number, since, never, report)
    select source, id, until, number, since, never, report
    from unnest(
        :asleep.source::text[], :asleep.id::text[], :asleep.until::text[], :asleep.number::bigint[],
        :asleep.since::timestamptz[], :asleep.never::text[], :asleep.report::bytea[]
    ) as new (source, id, until, number, since, never, report)
)
update log_head
set position = :position, recorded_at = :recorded_at, receipts = :receipt_count, waiting = :waiting_count

-- name: woken
-- Reports that wait no longer.
delete from waiting where (source, id) in (select * from unnest($1::text[], $2::text[]))

-- name: hear
-- Keep facts of another service that decisions here rest on.
insert into heard (service, position, stream, tags, bytes)
select service, position, stream, string_to_array(tags, ' '), bytes
from unnest(
    :facts.service::text[], :facts.position::bigint[], :facts.stream::text[], :facts.joined_tags::text[],
    :facts.bytes::bytea[]
) as new (service, position, stream, tags, bytes)

-- name: subscription
select position from subscription where service = $1

-- name: move_subscription
insert into subscription values ($1, $2) on conflict (service) do update set position = excluded.position

-- name: person_keys
-- The keys of persons; who has none gets the one given, unless the database may have lost the right one (decision 0020).
-- In the order of tokens, so that two transactions never wait for each other in a ring. Nothing waits for the disk: what
-- is sealed with a key is committed later, and reaches the disk no earlier.
with added as (
    insert into person_key
    select token, wrapped
    from unnest($1::text[], $2::bytea[]) as new (token, wrapped), set_config('synchronous_commit', 'off', true)
    where exists (select from log_head where compared is not distinct from log_life())
    order by token
    on conflict do nothing returning token, wrapped
)
select token, wrapped from added
union all
select token, wrapped from person_key where token = any($1)

-- name: quarantine
-- Once for each place: read again after a crash it is known already.
with new as (
    insert into quarantine (number, topic, partition, "offset", reason, size, digest, sealed, at)
    select :quarantined::bigint + row_number() over (), topic, partition, "offset", reason, size, digest, sealed, at
    from unnest(
        :rows.topic::text[], :rows.partition::int[], :rows.offset::bigint[], :rows.reason::text[], :rows.size::int[],
        :rows.digest::bytea[], :rows.sealed::bytea[], :rows.at::timestamptz[]
    ) as new (topic, partition, "offset", reason, size, digest, sealed, at)
    where not exists (select from quarantine q where (q.topic, q.partition, q."offset") = (new.topic, new.partition, new."offset"))
    returning concat_ws('/', topic, partition, "offset") as place
), counted as (
    update log_head set quarantined = quarantined + (select count(*) from new)
)
select place from new

-- name: end_unreadable
update quarantine set sealed = null where sealed is not null and at < now() - make_interval(days => $1) returning number

-- name: head
select position, recorded_at, receipts, waiting, compared is not distinct from log_life() as compared,
    substring(compared from '^ahead:(.*)')::bigint as topic
from log_head

-- name: settled_head
-- Waits for the transaction that decides, and for those that were waiting for it before.
select position, recorded_at, receipts, waiting, compared is not distinct from log_life() as compared,
    substring(compared from '^ahead:(.*)')::bigint as topic
from log_head for share

-- name: watch
-- Where everything stands. Ages are in seconds, 0 where nothing is left to do. Of other roles' transactions, the owner's
-- and the superuser's, PostgreSQL does not tell this role.
with head as (
    select h.*,
        max(number) filter (where outbox = 'facts') as facts_sent,
        max(number) filter (where outbox = 'receipts') as receipts_sent,
        max(number) filter (where outbox = 'quarantine') as quarantine_sent
    from log_head h, relayed group by h.one
)
select position, receipts, waiting, quarantined,
    position - facts_sent as facts_left,
    receipts - receipts_sent as receipts_left,
    quarantined - quarantine_sent as quarantine_left,
    extract(epoch from clock_timestamp() - (select recorded_at from fact f where f.position = facts_sent + 1))::float8
        as facts_age,
    extract(epoch from clock_timestamp() - (
        select (convert_from(bytes, 'UTF8')::json ->> 'decided_at')::timestamptz from receipt
        where number = receipts_sent + 1
    ))::float8 as receipts_age,
    extract(epoch from clock_timestamp() - (select at from quarantine where number = quarantine_sent + 1))::float8
        as quarantine_age,
    extract(epoch from clock_timestamp() - (select min(since) from waiting))::float8 as waiting_age,
    extract(epoch from clock_timestamp() - (
        select min(xact_start) from pg_stat_activity
        where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
    ))::float8 as transaction_age
from head

-- name: log
-- A page of the log after a position, for reconciling and repair.
select bytes from recorded_fact where position > $1 order by position limit $2

-- name: key_check
-- The keys, of those given, that are not the ones this log was begun with; a key not stored yet is stored.
with given as (
    select * from unnest($1::text[], $2::bytea[]) as given(name, digest)
), stored as (
    insert into key_check select name, digest from given on conflict do nothing
)
select name from given join key_check using (name) where key_check.digest <> given.digest
