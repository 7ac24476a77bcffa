-- name: contributions
-- $1 facts in the ledger, spread evenly over the lines ($2, of which those of $3 count by year, and those of $4 are
-- denominators), the districts ($5) and a thousand days.
insert into g.contribution
select line, part, case when annual then extract(year from day)::smallint else 0 end, district, day, day,
    timestamptz '2025-10-01' + n * interval '1 second', 1 + 2 * part, 'original', 'recruitment', n
from (
    select n, ($2::smallint[])[at] as line, ($3::bool[])[at] as annual, ($4::smallint[])[at] as part,
        ($5::text[])[1 + (n / cardinality($2::smallint[])) % cardinality($5::text[])] as district,
        date '2023-01-01' + ((n * 7919) % 1000)::int as day
    from generate_series(1, $1::bigint) n, lateral (select 1 + (n % cardinality($2::smallint[]))::int as at) place
) made

-- name: cells
insert into g.cell
select line, part, period, district, effective_on, sum(delta) from g.contribution group by 1, 2, 3, 4, 5

-- name: monthly
-- The plan of the lines begins in January 2023 and has $1 months.
insert into g.monthly
select line, part, period, district, array(
    select coalesce(sum(value), 0)::bigint from generate_series(0, $1) month left join g.cell c
        on (c.line, c.part, c.period, c.district) = (place.line, place.part, place.period, place.district)
        and (date_part('year', effective_on) - 2023) * 12 + date_part('month', effective_on) = month
    group by month order by month
)
from (select distinct line, part, period, district from g.cell) place

-- name: listed
-- $2 facts of a line ($1) in 2024, each on a subject of its own, and the sums that go with them.
with made as (
    select n, date '2024-01-01' + (n % 300)::int as day, timestamptz '2025-01-01' + n * interval '1 second' as at
    from generate_series(1, $2::int) n
), facts as (
    insert into g.standing
    select $1, 0, 'recruitment', n, md5(n::text), 'skillplan.recruitment.person-hired.v1', 'hire/H-' || n, 'm' || n,
        day, null, '330681', 1, null, '/districts/330681/hr', 'h-' || n, at, null, n, false, false, null, null
    from made
), ledger as (
    insert into g.contribution
    select $1, 0, 2024, '330681', day, day, at, 1, 'original', 'recruitment', n from made
)
insert into g.cell select $1, 0, 2024, '330681', day, count(*) from made group by day

-- name: checkpoint
insert into g.checkpoint values ('recruitment', $1::bigint, timestamptz '2025-10-01' + $1 * interval '1 second', $1)

-- name: moved
-- As a projector does with each batch: what is kept of answers no longer holds.
update g.checkpoint set position = position + 1, next_offset = next_offset + 1
