-- name: beside
-- The report on the latest generation that stands beside the one that is read.
select difference from generation where difference is not null and number <> $1 order by number desc limit 1
