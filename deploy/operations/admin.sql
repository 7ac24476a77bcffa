-- name: log
select h.position as "位置 position", h.receipts as "回执 receipts", h.waiting as "等待 waiting",
  h.quarantined as "隔离 quarantined",
  (select count(*) from fact) = h.position as "无缺口 dense",
  (select number from relayed where outbox = 'facts') as "事实已发至 facts sent to",
  (select number from relayed where outbox = 'receipts') as "回执已发至 receipts sent to"
from log_head h

-- name: sessions
select pid, usename as "角色 role", application_name as "程序 program", state as "状态 state",
  date_trunc('second', now() - xact_start) as "事务已开 open for",
  coalesce(array_to_string(pg_blocking_pids(pid), ' '), '') as "被谁挡住 blocked by", left(query, 60) as "语句 query"
from pg_stat_activity
where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
order by xact_start

-- name: end
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid = $1

-- name: resend
update relayed set number = $1 where outbox = 'facts' and number > $1 returning number

-- name: waiting
select until as "等什么 until", count(*) as "份数 reports", min(since) as "最早自 since"
from waiting group by until order by 2 desc limit $1

-- name: waiting_longest
select source, id, until as "等什么 until", since as "自 since" from waiting order by since limit $1

-- name: quarantine
select number as "编号 number", topic as "主题 topic", partition as "分区 partition", "offset" as "位置 offset",
  reason as "原因 reason", size as "字节 bytes", at as "时间 at", sealed is not null as "可打开 opens"
from quarantine order by number desc limit $1

-- name: quarantined
select concat_ws('/', topic, partition, "offset") as place, sealed from quarantine where number = $1

-- name: invalid
select district as "区县 district", count(*) as "份数 reports"
from (select district from receipt where decision is null order by number desc limit 1000) as latest
group by 1 order by 2 desc limit $1
