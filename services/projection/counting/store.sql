-- name: create
-- The tables of one generation. `standing` has every fact that feeds a line, and when it was in force;
-- `contribution` is the ledger and only grows; `cell` is its sum by day and `monthly` that of `cell` by month, caches that
-- a recount must equal.
create table g.line (
    number smallint primary key,
    plan text not null,
    indicator text not null,
    part smallint not null,
    first date not null,                         -- of its plan
    last date not null
);
create table g.standing (
    line smallint not null,
    use smallint not null,
    service text collate "C" not null,
    position bigint not null,
    event_id text not null,
    type text not null,
    subject text collate "C" not null,
    member text collate "C",
    on_day date not null,
    stop date,                                   -- the first day that no longer counts
    district text not null,
    amount bigint not null,
    same text,
    report_source text not null,
    report_id text not null,
    recorded_at timestamptz not null,            -- in force from then on
    changes timestamptz[],                       -- no longer in force, in force again, in turn
    root bigint not null,                        -- its place among the facts of its subject
    retracted boolean not null,
    suspended boolean not null,
    replaced_by text[],                          -- the corrections that were not taken back
    reported_by text                             -- as in RULES G5; null of facts that do not say
) with (fillfactor = 90);
create table g.contribution (
    line smallint not null,
    part smallint not null,                      -- 0 numerator, 1 denominator
    period smallint not null,                    -- a year, 0 for what is cumulative or a level
    district text not null,
    counted_on date not null,                    -- the date of the fact that counts; says the month
    effective_on date not null,                  -- from this day on
    recorded_at timestamptz not null,            -- known from this instant on
    delta bigint not null,
    cause text not null,
    service text collate "C" not null,           -- with position: the fact that counts
    position bigint not null
);
create table g.cell (
    line smallint not null,
    part smallint not null,
    period smallint not null,
    district text not null,
    effective_on date not null,
    value bigint not null,
    primary key (line, part, period, district, effective_on)
) with (fillfactor = 50);
create table g.monthly (
    line smallint not null,
    part smallint not null,
    period smallint not null,
    district text not null,
    amounts bigint[] not null,                   -- what came before the plan, then each month of the plan in order
    primary key (line, part, period, district)
) with (fillfactor = 50);
create table g.planning (                        -- what the plan office decided, as it was sent
    position bigint primary key,
    recorded_at timestamptz not null,
    bytes bytea not null
);
create table g.checkpoint (
    service text primary key,
    position bigint not null,
    recorded_at timestamptz,
    next_offset bigint not null
);
create view g.ledger as
    select l.plan, l.indicator, case c.part when 0 then 'num' else 'den' end as part, c.period, c.district,
        c.counted_on, c.effective_on, c.recorded_at, c.delta, s.member, c.cause, c.service, c.position, s.event_id
    from g.contribution c
    join g.line l on l.number = c.line
    join lateral (
        select member, event_id from g.standing s
        where s.service = c.service and s.position = c.position and s.line = c.line limit 1
    ) s on true

-- name: set_aside
-- What a rebuild has read and counts at last: facts that have to do with one before them. A crash empties it, and ends
-- the rebuild.
create unlogged table g.later (
    recorded_at timestamptz not null,
    service text collate "C" not null,
    position bigint not null,
    bytes bytea not null,
    primary key (recorded_at, service, position)
)

-- name: aside
select service, count(*) as facts from g.later group by 1

-- name: later
select recorded_at, service, position, bytes from g.later where service = any($1::text[])
order by recorded_at, service, position limit $2

-- name: counted_later
delete from g.later l using unnest($1::timestamptz[], $2::text[], $3::bigint[]) as done (recorded_at, service, position)
where l.recorded_at = done.recorded_at and l.service = done.service and l.position = done.position

-- name: nothing_aside
drop table if exists g.later

-- name: index_standing
-- What looking up a fact's member or subject needs; one writer makes it, others wait.
lock table g.standing in share row exclusive mode;
-- The position first: almost every comparison ends with it.
create unique index if not exists g_standing_position_service_line_use_idx
    on g.standing (position, service, line, use);
create index if not exists g_standing_line_member_idx on g.standing (line, member);
-- Also finds reports: what corrects or retracts one names its subject.
create index if not exists g_standing_subject_idx on g.standing (subject)

-- name: index_contribution
-- What reading the ledger needs.
create index if not exists g_contribution_line_counted_on_idx on g.contribution (line, counted_on);
create index if not exists g_contribution_recorded_at_idx on g.contribution using brin (recorded_at);
create index if not exists g_contribution_line_recorded_at_idx on g.contribution (line, recorded_at)
    where cause <> 'original'

-- name: sum_up
-- The cells and months of a ledger that was written without them.
insert into g.cell
select line, part, period, district, effective_on, sum(delta) from g.contribution group by 1, 2, 3, 4, 5;
with place as (
    select number as line, first, last, extract(year from first)::int * 12 + extract(month from first)::int - 1 as before
    from g.line
), month as (
    select c.line, c.part, c.period, c.district, c.value, case when c.effective_on < p.first then 0
        else extract(year from c.effective_on)::int * 12 + extract(month from c.effective_on)::int - p.before end as place
    from g.cell c join place p using (line) where c.effective_on <= p.last
    union all
    select c.line, c.part, c.period, c.district, 0, generate_series(
        0, extract(year from p.last)::int * 12 + extract(month from p.last)::int - p.before
    )
    from (select distinct line, part, period, district from g.cell) c join place p using (line)
)
insert into g.monthly
select line, part, period, district, array_agg(value order by place) from (
    select line, part, period, district, place, sum(value)::bigint as value from month group by 1, 2, 3, 4, 5
) summed group by 1, 2, 3, 4

-- name: empty
truncate g.standing, g.contribution, g.later, g.planning

-- name: lines
insert into g.line (number, plan, indicator, part, first, last)
select number, plan, indicator, part, first, last from json_to_recordset($1::json)
    as added (number smallint, plan text, indicator text, part smallint, first date, last date)

-- name: drop
drop view if exists g.ledger;
drop table if exists g.line, g.standing, g.contribution, g.cell, g.monthly, g.checkpoint, g.planning, g.later

-- name: analyze
analyze g.standing, g.contribution, g.cell, g.monthly

-- name: checkpoints
select service, position, recorded_at, next_offset from g.checkpoint order by service

-- name: state
-- The generation that is read, with the checkpoints of this one, which it may be no longer.
select generation.number, generation.revision, c.service, c.position, c.recorded_at, c.next_offset
from generation join head on head.generation = generation.number left join g.checkpoint c on true order by c.service

-- name: begin_checkpoints
insert into g.checkpoint select service, 0, null, 0 from unnest($1::text[]) service on conflict do nothing

-- name: planning
select bytes from g.planning where position > $1 order by position

-- name: of_reports
-- The facts of some subjects whose report, or the one that replaced it, has one of the ids.
select line, use, service, position, event_id, type, subject, member, on_day, stop, district, amount, same,
    report_source, report_id, recorded_at, changes, root, retracted, suspended, replaced_by, reported_by
from g.standing
where subject = any($1::text[]) and (report_id = any($2::text[]) or replaced_by && $2::text[])

-- name: of_members
select line, use, service, position, event_id, type, subject, member, on_day, stop, district, amount, same,
    report_source, report_id, recorded_at, changes, root, retracted, suspended, replaced_by, reported_by
from unnest($1::smallint[], $2::text[]) wanted (line, member)
join g.standing using (line, member)

-- name: of_threads
-- Every fact of every subject that has a fact of one of the members wanted, or of the members of the subjects wanted.
with wanted as (
    select * from unnest($3::smallint[], $4::text[]) wanted (line, subject)
), members as (
    select * from unnest($1::smallint[], $2::text[]) wanted (line, member)
    union select s.line, s.member from wanted join g.standing s using (line, subject)
), subjects as (
    select s.line, s.subject from members join g.standing s using (line, member)
    union select line, subject from wanted
)
select s.line, use, service, position, event_id, type, s.subject, member, on_day, stop, district, amount, same,
    report_source, report_id, recorded_at, changes, root, retracted, suspended, replaced_by, reported_by
from subjects join g.standing s using (line, subject)

-- name: post
-- What a batch changes, where not copied before, and the checkpoints: each moves from where this writer left it, or is
-- not returned, which guards against a second writer.
with standing as (
    insert into g.standing select * from json_populate_recordset(cast(null as g.standing), $1::json)
), contributions as (
    insert into g.contribution select * from json_populate_recordset(cast(null as g.contribution), $2::json)
), changes as (
    update g.standing s
    set changes = c.changes, retracted = c.retracted, suspended = c.suspended, replaced_by = c.replaced_by,
        root = c.root
    from json_to_recordset($3::json) as c (
        line smallint, use smallint, service text, position bigint, changes timestamptz[], retracted boolean,
        suspended boolean, replaced_by text[], root bigint
    )
    where s.service = c.service and s.position = c.position and s.line = c.line and s.use = c.use
), cells as (
    insert into g.cell as c (line, part, period, district, effective_on, value)
    select line, part, period, district, effective_on, value from json_to_recordset($4::json)
        as added (line smallint, part smallint, period smallint, district text, effective_on date, value bigint)
    on conflict (line, part, period, district, effective_on) do update set value = c.value + excluded.value
), months as (
    insert into g.monthly as m (line, part, period, district, amounts)
    select line, part, period, district, amounts from json_to_recordset($5::json)
        as added (line smallint, part smallint, period smallint, district text, amounts bigint[])
    on conflict (line, part, period, district) do update set amounts = array(
        select a + b from unnest(m.amounts, excluded.amounts) with ordinality as month (a, b, number) order by number
    )
)
update g.checkpoint c
set position = moved.position, recorded_at = coalesce(moved.recorded_at, c.recorded_at), next_offset = moved.next_offset
from json_to_recordset($6::json)
    as moved (service text, before bigint, position bigint, recorded_at timestamptz, next_offset bigint)
where c.service = moved.service and c.position = moved.before
returning c.service

-- name: last_facts
-- When the last fact of each service and district was recorded, of those that count somewhere.
select service, district, max(recorded_at) as at from g.standing group by 1, 2

-- name: differences
-- Where cells and the ledger, or months and cells, do not agree; none, or the ledger is broken.
select line, part, period, district, effective_on as day, coalesce(c.value, 0) as kept, coalesce(l.value, 0) as counted
from g.cell c
full join (
    select line, part, period, district, effective_on, sum(delta) as value
    from g.contribution group by 1, 2, 3, 4, 5
) l using (line, part, period, district, effective_on)
where coalesce(c.value, 0) <> coalesce(l.value, 0)
union all
select line, part, period, district, day, coalesce(m.value, 0), coalesce(c.value, 0)
from (
    select line, m.part, period, district, value,
        (date_trunc('month', l.first) + (place - 2) * interval '1 month')::date as day
    from g.monthly m join g.line l on l.number = m.line, unnest(amounts) with ordinality as month (value, place)
) m
full join (
    select line, c.part, period, district, sum(value) as value,
        case when effective_on < l.first then (date_trunc('month', l.first) - interval '1 month')::date
            else date_trunc('month', effective_on)::date end as day
    from g.cell c join g.line l on l.number = c.line
    where effective_on <= l.last
    group by 1, 2, 3, 4, 6
) c using (line, part, period, district, day)
where coalesce(m.value, 0) <> coalesce(c.value, 0)
order by 1, 2, 3, 4, 5

-- name: ledger_of_line
select part, period, district, counted_on, effective_on, service, position, sum(delta)::bigint as value
from g.contribution where line = $1 group by 1, 2, 3, 4, 5, 6, 7 having sum(delta) <> 0

-- name: standing_of_line
select line, use, service, position, event_id, type, subject, member, on_day, stop, district, amount, same,
    report_source, report_id, recorded_at, changes, root, retracted, suspended, replaced_by, reported_by
from g.standing where line = $1 and coalesce(cardinality(changes), 0) % 2 = 0

-- name: standing_by_member
-- Those that have to do with one another follow one another, but for a member some of whose subjects name others, too.
select coalesce(min(member) over (partition by subject), subject) as of, line, use, service, position, event_id, type,
    subject, member, on_day, stop, district, amount, same, report_source, report_id, recorded_at, changes, root,
    retracted, suspended, replaced_by, reported_by
from g.standing where line = $1 and coalesce(cardinality(changes), 0) % 2 = 0
order by 1

-- name: counted
select (select count(*) from g.cell) as cells, (select count(*) from g.contribution) as contributions,
    (select count(*) from g.standing) as standing
