-- A whole generation that stands beside the one that is read until somebody accepts it or lets it go; what it would
-- change, as JSON (counting/difference.py).
alter table generation add column difference jsonb;
