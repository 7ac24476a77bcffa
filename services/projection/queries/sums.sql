-- name: now
-- What each month of a plan adds to its cells, by district; and what comes after a day ($2) until its month is over ($3).
select m.line, m.part, m.period, m.district, m.amounts, c.later
from g.monthly m
cross join lateral (
    select sum(value)::bigint as later from g.cell c
    where c.line = m.line and c.part = m.part and c.period = m.period and c.district = m.district
        and effective_on > $2 and effective_on <= $3
) c
where line = any($1::smallint[])

-- name: since
-- What has become known after an instant about the days up to another, by month; before the plan: month $4.
select line, part, period, district,
    case when effective_on < $3 then $4
        else (date_part('year', effective_on) * 12 + date_part('month', effective_on) - 1)::int end - $4 as place,
    sum(delta)::bigint as value
from g.contribution where line = any($1::smallint[]) and effective_on <= $2 and recorded_at > $5
group by 1, 2, 3, 4, 5
