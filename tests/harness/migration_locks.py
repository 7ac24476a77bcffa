"""What a migration keeps from being used for as long as it takes to go through a table, which grows with it."""

from __future__ import annotations

import asyncpg

# Who holds one of these on a table keeps everybody from writing it, the strongest from reading it as well.
_STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_FEW = 20  # rows of a table that is read whole; those of one row, as the head of a log, never grow

_TABLES = """
select c.oid::regclass::text as name, c.relfilenode as file, c.reltuples as rows,
    (select coalesce(array_agg(l.mode), '{}') from pg_locks l where l.pid = pg_backend_pid() and l.relation = c.oid)
        as locks,
    coalesce(s.seq_tup_read, 0) as read, coalesce(s.n_tup_upd + s.n_tup_del, 0) as changed
from pg_class c left join pg_stat_xact_user_tables s on s.relid = c.oid
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> 'migration'
"""


async def blocked_by(connection: asyncpg.Connection[asyncpg.Record], sql: str) -> list[str]:
    """Run a migration, undo it, and return each table that was there and that it locks while it goes through it all.

    What such a migration takes grows with the table: in a log of years it is minutes in which nobody reports. Without a
    strong lock, or without going through the rows, it takes a moment whatever the size.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        before = {row["name"]: row for row in await connection.fetch(_TABLES)}
        assert any(row["rows"] > _FEW for row in before.values()), "no table has rows: nothing would be seen"
        await connection.execute(sql)
        after = {row["name"]: row for row in await connection.fetch(_TABLES) if row["name"] in before}
    finally:
        await transaction.rollback()
    problems = []
    for name, row in sorted(after.items()):
        strong = [mode for mode in row["locks"] if mode in _STRONG]
        gone_through = row["read"] - before[name]["read"] > _FEW
        if before[name]["rows"] <= _FEW:
            continue
        if row["file"] != before[name]["file"]:
            problems.append(f"{name}: written anew under {', '.join(strong)}")
        elif strong and gone_through:
            problems.append(f"{name}: gone through under {', '.join(strong)}")
        elif row["changed"] - before[name]["changed"] > _FEW:
            problems.append(f"{name}: every row is changed in one transaction")
    return problems
