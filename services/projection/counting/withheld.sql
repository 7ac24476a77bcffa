-- name: missing
-- Facts that count in generation {old}. and, of what was known to it, neither themselves in {new}. nor another of their
-- member in their period: the first row for all together, then those of each plan, indicator and district.
with until as materialized (
    select service, recorded_at from {old}checkpoint
), before as materialized (
    select distinct l.number, l.plan, l.indicator, greatest(l.part, c.part) as side, c.period, c.service, c.position,
        c.district
    from (
        select line, part, period, district, effective_on, service, position from {old}contribution
        group by 1, 2, 3, 4, 5, 6, 7 having sum(delta) <> 0
    ) c join {old}line l on l.number = c.line
), after as materialized (
    select distinct l.number, l.plan, l.indicator, greatest(l.part, c.part) as side, c.period, c.service, c.position
    from (
        select line, part, period, effective_on, service, position from {new}contribution join until using (service)
        where {new}contribution.recorded_at <= until.recorded_at
        group by 1, 2, 3, 4, 5, 6 having sum(delta) <> 0
    ) c join {new}line l on l.number = c.line
), gone as materialized (
    select b.* from before b left join after a using (plan, indicator, side, service, position)
    where a.service is null
), members as materialized (
    select distinct a.plan, a.indicator, a.side, a.period, s.member
    from after a join {new}standing s on s.line = a.number and s.service = a.service and s.position = a.position
    where s.member is not null and exists (select from gone)
), missing as (
    select distinct g.plan, g.indicator, g.district, g.service, g.position
    from gone g
    join {old}standing s on s.line = g.number and s.service = g.service and s.position = g.position
    left join members m using (plan, indicator, side, period, member)
    where m.plan is null
)
select plan, indicator, district, count(distinct (service, position))::int as facts
from missing group by grouping sets ((plan, indicator, district), ()) order by plan nulls first, indicator, district

-- name: withhold
insert into withheld (digest, facts, cells) values ($1, $2, $3)
on conflict (one) do update set digest = $1, facts = $2, cells = $3, since = clock_timestamp()

-- name: withheld
select digest, facts, cells, since from withheld

-- name: settle
delete from withheld
