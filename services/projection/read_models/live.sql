-- name: checkpoints
-- How far everything is that a page may show.
select service, position, recorded_at from g.checkpoint order by service
