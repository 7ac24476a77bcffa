-- What became of every report, as its district is told on receipts.<district>: one row a report, its latest answer.
-- Not part of a generation: no number is made of it, and a rebuild leaves it alone.
create table receipt (
    service text not null,
    key text collate "C" not null,               -- source and id; where there are none, its place in the topic
    source text collate "C",
    id text collate "C",
    district text not null,
    day date not null,                           -- received, in Asia/Shanghai
    type text collate "C" not null,              -- '' where it could not be read
    status text not null,
    code text collate "C" not null,              -- of its first reason; '' for none
    bound boolean not null,                      -- decided: an answer that decides nothing never takes its place (RULES A3)
    received_at timestamptz not null,
    decided_at timestamptz not null,
    number bigint generated always as identity,  -- in the order they came to be known: what a page goes on after
    body text not null,
    primary key (service, key)
);
create index on receipt (district, number desc);
create index on receipt (district, status, number desc);
create index on receipt (district, day, number desc);
create table receipt_tally (
    district text not null,
    day date not null,
    type text collate "C" not null,
    status text not null,
    code text collate "C" not null,
    reports bigint not null,
    primary key (district, day, type, status, code)
) with (fillfactor = 50);
create table receipt_checkpoint (
    topic text primary key,
    next_offset bigint not null
);

grant select, insert, update, delete on receipt, receipt_tally, receipt_checkpoint to "{role}";
