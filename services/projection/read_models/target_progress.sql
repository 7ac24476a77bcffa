-- name: now
-- The sums of all cells of a plan, from the cells.
select line, part, period, district, sum(value) as value
from g.cell where line = any($1::smallint[]) and effective_on <= $2
group by line, part, period, district

-- name: as_known
-- The same as it was known at an instant, from the ledger.
select line, part, period, district, sum(delta) as value
from g.contribution where line = any($1::smallint[]) and effective_on <= $2 and recorded_at <= $3
group by line, part, period, district

-- name: complete_to
select service, position, recorded_at from g.checkpoint order by service

-- name: facts
-- The facts behind a cell: what each adds to it; their sum is the cell.
select c.service, c.position, c.district, c.counted_on, c.num, c.den, s.event_id, s.type, s.subject, s.on_day,
    s.recorded_at, s.report_source, s.report_id
from (
    select service, position, district, counted_on,
        coalesce(sum(delta) filter (where part = 0), 0) as num, coalesce(sum(delta) filter (where part = 1), 0) as den
    from g.contribution
    where line = any($1::smallint[]) and period = $2 and effective_on <= $3 and recorded_at <= $4
        and counted_on between $5 and $6 and ($7::text is null or district = $7)
    group by service, position, district, counted_on
) c
join lateral (
    select * from g.standing s
    where s.service = c.service and s.position = c.position and s.line = any($1::smallint[]) limit 1
) s on true
where c.num <> 0 or c.den <> 0
order by c.counted_on, c.service, c.position
