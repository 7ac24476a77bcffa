-- name: current
select number, digest, revision from generation join head on head.generation = generation.number

-- name: hold
-- No switch while a batch is counted; the answer says whether one was made before.
select generation from head for share

-- name: begin
insert into generation (digest, plans) values ($1, $2) returning number

-- name: switch
update head set generation = $1, switched_at = clock_timestamp()

-- name: others
select number from generation where number <> $1 order by number

-- name: forget
delete from generation where number = $1

-- name: plans_changed
update generation set plans = $2, revision = revision + 1 where number = $1 and plans <> $2::jsonb

-- name: plans
select plans from generation where number = $1
