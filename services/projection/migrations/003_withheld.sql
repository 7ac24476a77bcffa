-- A change of the plans that would take facts out of the numbers: not made before an operator accepts it by its code.
create table withheld (
    one boolean primary key default true check (one),
    digest text not null,                        -- of the plans and the code that counts; its beginning is the code
    facts int not null,
    cells jsonb not null,                        -- [{"plan", "indicator", "district", "facts"}, …]
    since timestamptz not null default clock_timestamp()
);
grant select, insert, update, delete on withheld to "{role}";
