-- Which generations of the numbers there are, and which one is read. The tables of a generation, numbers.g<number>_…,
-- are made by the service's role when it starts one: all of it can be made again from the facts.
create table generation (
    number int generated always as identity primary key,
    digest text not null,                        -- of all in the plans that decides contributions
    plans jsonb not null,                        -- the plans as they were loaded, for whoever reads the numbers
    revision int not null default 1,             -- counts changes of `plans` that change no contribution
    started_at timestamptz not null default clock_timestamp()
);
create table head (
    one boolean primary key default true check (one),
    generation int references generation,        -- the one that is read; null before the first
    switched_at timestamptz
);
insert into head default values;

grant select, insert, update, delete on generation to "{role}";
grant select, update on head to "{role}";
create schema numbers;
grant usage, create on schema numbers to "{role}";
