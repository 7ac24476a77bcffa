-- name: facts
-- The facts behind a cell, of some days: what each adds to it. By line, so that a page is read in the order of the index
-- and no further; a fact may stand in both lines of a ratio.
-- A generation made before facts said by whom they were reported has no such column: `absent` stands for it there.
select c.service, c.position, c.district, c.counted_on, c.num, c.den, s.event_id, s.type, s.subject, s.on_day,
    s.recorded_at, s.report_source, s.report_id, s.reported_by
from (select null::text as reported_by) absent
cross join (
    select counted_on, service, position, district, sum(num) as num, sum(den) as den
    from unnest($1::smallint[]) asked (number)
    cross join lateral (
        select counted_on, service, position, district,
            coalesce(sum(delta) filter (where part = 0), 0) as num,
            coalesce(sum(delta) filter (where part = 1), 0) as den
        from g.contribution
        where line = asked.number and period = $2 and effective_on <= $3 and recorded_at <= $4
            and counted_on between $5 and $6 and ($7::text is null or district = $7)
        group by counted_on, service, position, district
        having sum(delta) filter (where part = 0) <> 0 or sum(delta) filter (where part = 1) <> 0
        order by counted_on, service, position, district
        limit $8::bigint + $9::bigint
    ) line
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    offset $8 limit $9
) c
join lateral (
    select event_id, type, subject, on_day, recorded_at, report_source, report_id, reported_by from g.standing s
    where s.service = c.service and s.position = c.position and s.line = any($1::smallint[]) limit 1
) s on true
order by c.counted_on, c.service, c.position, c.district

-- name: sums
-- What the facts behind a cell come to that count from some days.
select coalesce(sum(delta) filter (where part = 0), 0) as num, coalesce(sum(delta) filter (where part = 1), 0) as den
from g.contribution
where line = any($1::smallint[]) and period = $2 and effective_on <= $3 and recorded_at <= $4
    and counted_on between $5 and $6 and ($7::text is null or district = $7)
