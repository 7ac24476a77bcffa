-- The log of one service and what hangs on it. The service's role may INSERT and SELECT facts and receipts, never
-- UPDATE or DELETE them: what was recorded stays as it was sent.

-- One row; its lock serialises a service's decisions, so positions are dense and in commit order.
create table log_head (
    one boolean primary key default true check (one),
    position bigint not null default 0,
    recorded_at timestamptz not null default '2000-01-01T00:00:00Z',
    receipts bigint not null default 0,
    quarantined bigint not null default 0,
    waiting bigint not null default 0
);
insert into log_head default values;

-- Every fact once, as the exact bytes that are sent; the table is the outbox of <service>.events.
create table fact (
    position bigint primary key,
    stream text collate "C" not null,
    version int not null,
    id uuid not null,
    report_source text collate "C" not null,
    report_id text collate "C" not null,
    tags text[] collate "C" not null,
    recorded_at timestamptz not null,
    bytes bytea not null,
    sha256 bytea not null,
    unique (stream, version)
);
create index fact_tags on fact using gin (tags) with (fastupdate = off);

-- Every receipt once; the table is the outbox of receipts.<district>. `decision` counts the decisions of one
-- (source, id) from 1; it is null for receipts that bind no id (RULES A3) and for repeats.
create table receipt (
    number bigint primary key,
    source text collate "C",
    id text collate "C",
    decision int,
    digest bytea,
    district text,
    bytes bytea not null,
    unique (source, id, decision)
);

-- Reports that refer to something not reported yet, by the key that wakes them; `never` is the code of the rule that
-- refuses what has waited too long.
create table waiting (
    source text collate "C" not null,
    id text collate "C" not null,
    until text collate "C" not null,
    number bigint not null,
    since timestamptz not null,
    never text not null,
    report bytea not null,
    primary key (source, id)
);
create index waiting_until on waiting (until);
create index waiting_since on waiting (since);

-- Facts of other services that decisions here rest on, and how far each log was heard.
create table heard (
    service text collate "C" not null,
    position bigint not null,
    stream text collate "C" not null,
    tags text[] collate "C" not null,
    bytes bytea not null,
    primary key (service, position)
);
create index heard_stream on heard (stream);
create index heard_tags on heard using gin (tags) with (fastupdate = off);
create table subscription (
    service text primary key,
    position bigint not null
);

-- The key of each person's sealed fields, wrapped by the service's key; destroying the row erases the person here.
create table person_key (
    token text collate "C" primary key,
    wrapped bytea not null
);

-- What was no JSON object: its place, and its bytes sealed under the service's key.
create table quarantine (
    number bigint primary key,
    topic text not null,
    partition int not null,
    "offset" bigint not null,
    reason text not null,
    size int not null,
    digest bytea not null,
    sealed bytea not null,
    at timestamptz not null,
    unique (topic, partition, "offset")
);

-- How far each outbox was sent and acknowledged.
create table relayed (
    outbox text primary key,
    number bigint not null
);
insert into relayed values ('facts', 0), ('receipts', 0), ('quarantine', 0);

grant select, insert on fact, receipt, heard, quarantine to "{role}";
grant select, insert, update, delete on waiting, subscription, person_key to "{role}";
grant select, update on log_head, relayed to "{role}";
