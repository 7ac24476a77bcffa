-- The sandbox (RULES A26): what sources whose system begins with `sandbox` report is decided by the same code on tables
-- of its own, which are emptied every week. A session of the sandbox sees this schema alone, so that no statement of it
-- can reach the log.
create schema sandbox;
create table sandbox.log_head (like log_head including all);
create table sandbox.fact (like fact including all);
create table sandbox.receipt (like receipt including all);
create table sandbox.waiting (like waiting including all);
create table sandbox.heard (like heard including all);
create table sandbox.subscription (like subscription including all);
create table sandbox.person_key (like person_key including all);
create table sandbox.relayed (like relayed including all);

-- It is not recovered, and so compared with nothing.
create function sandbox.log_life() returns text language sql immutable return 'sandbox';
-- The Monday of the week that it holds the reports of.
alter table sandbox.log_head add column week date not null default '2000-01-03';
insert into sandbox.log_head (compared) values ('sandbox');
insert into sandbox.relayed values ('facts', 0), ('receipts', 0), ('quarantine', 0);

grant usage on schema sandbox to "{role}";
grant select, insert, delete on sandbox.fact, sandbox.receipt, sandbox.heard to "{role}";
grant select, insert, update, delete on sandbox.waiting, sandbox.subscription, sandbox.person_key to "{role}";
grant select, update on sandbox.log_head, sandbox.relayed to "{role}";
