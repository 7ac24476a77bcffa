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
order by c.counted_on, c.service, c.position, c.district
offset $8 limit $9

-- name: sums
-- What all facts behind a cell come to, and how many there are.
select coalesce(sum(num), 0) as num, coalesce(sum(den), 0) as den, count(*) as facts
from (
    select coalesce(sum(delta) filter (where part = 0), 0) as num, coalesce(sum(delta) filter (where part = 1), 0) as den
    from g.contribution
    where line = any($1::smallint[]) and period = $2 and effective_on <= $3 and recorded_at <= $4
        and counted_on between $5 and $6 and ($7::text is null or district = $7)
    group by service, position, district, counted_on
) c
where num <> 0 or den <> 0
