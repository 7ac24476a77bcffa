-- The bytes of facts of a year that is over may be stored apart, on cheaper disks (decision 0033). `fact` keeps every row
-- and every unique index; a fact's bytes are in one of both tables, never in both. Nothing is rewritten here.
alter table fact alter column bytes drop not null;
create table stored_away (
    position bigint primary key,
    bytes bytea not null
) partition by range (position);

-- A function, so that the parts are opened for facts that are stored away alone; stable, so that it sees what the
-- statement sees that asks.
create function bytes_stored_away(bigint) returns bytea language plpgsql stable strict parallel safe as
'begin return (select bytes from public.stored_away where position = $1); end';

-- The facts with their bytes, wherever these are. Whatever reads bytes reads them here.
create view recorded_fact as
select position, stream, version, id, report_source, report_id, tags, recorded_at,
    coalesce(bytes, bytes_stored_away(position)) as bytes, sha256
from fact;
create view sandbox.recorded_fact as select * from sandbox.fact;

grant select on stored_away, recorded_fact, sandbox.recorded_fact to "{role}";
