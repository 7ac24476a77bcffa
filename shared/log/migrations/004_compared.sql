-- A database restored from an older backup would hand out positions again that readers have seen. So the log is compared
-- with its topic in every life of the database, before anything is decided: `compared` is the life in which it was, or
-- `ahead:<position>` where the topic was found to be ahead.
create function log_life() returns text language sql stable
return (select oid from pg_database where datname = current_database()) || ' ' || extract(epoch from pg_postmaster_start_time());
alter table log_head add column compared text;
