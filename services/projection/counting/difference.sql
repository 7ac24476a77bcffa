-- name: changed
-- What the facts contribute to cells in generation {old}. and in {new}. where they differ, of what both have counted; on
-- a table that the comparison drops again.
create unlogged table {new}changed as
with until as materialized (
    select service, least(o.recorded_at, n.recorded_at) as recorded_at
    from {old}checkpoint o join {new}checkpoint n using (service)
), before as materialized (
    select l.plan, l.indicator, greatest(l.part, c.part) as side, c.period, c.district, c.effective_on, c.service,
        c.position, c.amount
    from (
        select line, part, period, district, effective_on, service, position, sum(delta)::bigint as amount
        from {old}contribution join until using (service)
        where {old}contribution.recorded_at <= until.recorded_at
        group by 1, 2, 3, 4, 5, 6, 7 having sum(delta) <> 0
    ) c join {old}line l on l.number = c.line
), after as materialized (
    select l.plan, l.indicator, greatest(l.part, c.part) as side, c.period, c.district, c.effective_on, c.service,
        c.position, c.amount
    from (
        select line, part, period, district, effective_on, service, position, sum(delta)::bigint as amount
        from {new}contribution join until using (service)
        where {new}contribution.recorded_at <= until.recorded_at
        group by 1, 2, 3, 4, 5, 6, 7 having sum(delta) <> 0
    ) c join {new}line l on l.number = c.line
)
select plan, indicator, side, period, district, effective_on, service, position, coalesce(b.amount, 0) as before,
    coalesce(a.amount, 0) as after
from before b full join after a using (plan, indicator, side, period, district, effective_on, service, position)
where coalesce(b.amount, 0) <> coalesce(a.amount, 0)

-- name: cells
-- Every cell that a fact changes, with its sums up to the plan's last day.
with changes as (
    select plan, indicator, side, period, district, count(distinct (service, position))::int as facts
    from {new}changed group by 1, 2, 3, 4, 5
), sums as (
    select l.plan, l.indicator, greatest(l.part, c.part) as side, c.period, c.district, false as of_new,
        sum(c.value) filter (where c.effective_on <= l.last) as value
    from {old}cell c join {old}line l on l.number = c.line group by 1, 2, 3, 4, 5
    union all
    select l.plan, l.indicator, greatest(l.part, c.part), c.period, c.district, true,
        sum(c.value) filter (where c.effective_on <= l.last)
    from {new}cell c join {new}line l on l.number = c.line group by 1, 2, 3, 4, 5
)
select plan, indicator, side, period, district, facts,
    coalesce(sum(value) filter (where not of_new), 0)::bigint as before,
    coalesce(sum(value) filter (where of_new), 0)::bigint as after
from changes left join sums using (plan, indicator, side, period, district)
group by 1, 2, 3, 4, 5, 6 order by 1, 2, 4, 5, 3

-- name: facts
-- The first facts of each of these cells, with their reports.
select c.plan, c.indicator, c.side, c.period, c.district, c.service, c.position, c.before, c.after,
    coalesce(n.type, o.type) as type, coalesce(n.subject, o.subject) as subject,
    coalesce(n.report_source, o.report_source) as source, coalesce(n.report_id, o.report_id) as id
from (
    select plan, indicator, side, period, district, service, position, sum(before)::bigint as before,
        sum(after)::bigint as after,
        row_number() over (partition by plan, indicator, side, period, district order by service, position) as place
    from {new}changed group by 1, 2, 3, 4, 5, 6, 7
) c
left join lateral (
    select * from {new}standing s where s.position = c.position and s.service = c.service limit 1
) n on true
left join lateral (
    select * from {old}standing s where s.position = c.position and s.service = c.service limit 1
) o on true
where place <= $1 order by 1, 2, 4, 5, 3, 6, 7

-- name: total
select count(distinct (service, position))::int from {new}changed

-- name: keep
update generation set difference = $2 where number = $1

-- name: beside
select number, digest, difference from generation
where difference is not null and number <> (select generation from head)

-- name: analyze
analyze {new}changed

-- name: drop
drop table {new}changed
