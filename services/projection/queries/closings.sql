-- name: moved
-- What became known after an instant about days up to another, in the periods that ran then: the facts with what each adds.
-- A generation made before facts said by whom they were reported has no such column: `absent` stands for it there.
select c.line, c.part, c.district, c.counted_on, c.cause, c.service, c.position, c.recorded_at, c.delta,
    s.event_id, s.type, s.subject, s.report_source, s.report_id, s.reported_by
from (select null::text as reported_by) absent
cross join unnest($1::smallint[], $2::smallint[]) asked (line, period)
join g.contribution c using (line, period)
join lateral (
    select event_id, type, subject, report_source, report_id, reported_by from g.standing s
    where s.service = c.service and s.position = c.position and s.line = c.line limit 1
) s on true
where c.effective_on <= $3 and c.recorded_at > $4 and c.recorded_at <= $5 and ($6::text is null or c.district = $6)
order by c.recorded_at, c.service, c.position, c.part
