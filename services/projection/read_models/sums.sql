-- name: now
-- What each month adds to the cells of a plan, by district and to the whole (''), up to a day, from the cells; before
-- the plan: month $4.
with by_month as materialized (
    select line, part, period, district,
        case when effective_on < $3 then $4
            else (date_part('year', effective_on) * 12 + date_part('month', effective_on) - 1)::int end as month,
        sum(value)::bigint as value
    from g.cell where line = any($1::smallint[]) and effective_on <= $2
    group by 1, 2, 3, 4, 5
)
select line, part, period, district, array_agg(month order by month) as months,
    array_agg(value order by month) as amounts
from by_month group by 1, 2, 3, 4
union all
select line, part, period, '', array_agg(month order by month), array_agg(value order by month)
from (
    select line, part, period, month, sum(value)::bigint as value from by_month group by 1, 2, 3, 4
) whole
group by 1, 2, 3

-- name: as_known
-- The same as it was known at an instant, from the ledger.
with by_month as materialized (
    select line, part, period, district,
        case when effective_on < $3 then $4
            else (date_part('year', effective_on) * 12 + date_part('month', effective_on) - 1)::int end as month,
        sum(delta)::bigint as value
    from g.contribution where line = any($1::smallint[]) and effective_on <= $2 and recorded_at <= $5
    group by 1, 2, 3, 4, 5
)
select line, part, period, district, array_agg(month order by month) as months,
    array_agg(value order by month) as amounts
from by_month group by 1, 2, 3, 4
union all
select line, part, period, '', array_agg(month order by month), array_agg(value order by month)
from (
    select line, part, period, month, sum(value)::bigint as value from by_month group by 1, 2, 3, 4
) whole
group by 1, 2, 3

-- name: complete_to
select service, position, recorded_at from g.checkpoint order by service
