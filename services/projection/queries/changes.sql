-- name: changes
-- The rows of a cell's ledger that did not first count something: what moved it, when that was known, and why.
-- A generation made before facts said by whom they were reported has no such column: `absent` stands for it there.
select c.service, c.position, c.district, c.effective_on, c.recorded_at, c.cause, c.num, c.den, s.type, s.subject,
    s.report_source, s.report_id, s.reported_by
from (select null::text as reported_by) absent
cross join (
    select service, position, district, effective_on, recorded_at, cause,
        coalesce(sum(delta) filter (where part = 0), 0) as num, coalesce(sum(delta) filter (where part = 1), 0) as den
    from g.contribution
    where line = any($1::smallint[]) and period = $2 and effective_on <= $3 and recorded_at <= $4
        and ($5::text is null or district = $5) and cause <> 'original'
    group by service, position, district, effective_on, recorded_at, cause
    having sum(delta) filter (where part = 0) <> 0 or sum(delta) filter (where part = 1) <> 0
    order by recorded_at desc, service, position, effective_on, district
    offset $6 limit $7
) c
join lateral (
    select type, subject, report_source, report_id, reported_by from g.standing s
    where s.service = c.service and s.position = c.position and s.line = any($1::smallint[]) limit 1
) s on true
order by c.recorded_at desc, c.service, c.position, c.effective_on, c.district
