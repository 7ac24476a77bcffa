-- name: counted
-- What is first counted in each month of a cell (RULES E26), by the dates of the facts that count, from the ledger.
select part, (extract(year from counted_on) * 12 + extract(month from counted_on) - 1)::int as month,
    sum(delta)::bigint as value
from g.contribution
where line = any($1::smallint[]) and period = $2 and effective_on <= $3 and recorded_at <= $4
    and ($5::text is null or district = $5)
group by 1, 2
