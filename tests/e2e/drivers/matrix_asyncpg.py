"""asyncpg: named statements described ahead with Flush, binary everything, cursors, COPY, its pool's clean-up."""

import asyncio
import sys

import asyncpg

url = sys.argv[1]


async def script(cache: int):
    db = await asyncpg.connect(url, statement_cache_size=cache)
    assert tuple(await db.fetchrow("select $1::int, $2::text, $3::float8, $4::bytea, $5::text, $6::int[]",
                                   42, "żółć", 1.5, b"\0\1\xff", None, [1, 2])) == (42, "żółć", 1.5, b"\0\1\xff", None, [1, 2])
    big = "x" * (10 << 20)
    assert await db.fetchval("select $1::text", big) == big
    assert len(await db.fetch("select n from generate_series(1, 100000) n")) == 100000
    for i in range(30):
        assert await db.fetchval("select $1::int * 2", i) == 2 * i
    await db.execute("create table if not exists matrix_asyncpg (k int primary key, v text)")
    await db.execute("truncate matrix_asyncpg")
    async with db.transaction():
        await db.execute("insert into matrix_asyncpg values ($1, $2)", 1, "kept")
        try:
            async with db.transaction():
                await db.execute("insert into matrix_asyncpg values ($1, $2)", 1, "twice")
        except asyncpg.UniqueViolationError:
            pass
        seen = 0
        async for _ in db.cursor("select n from generate_series(1, 1000) n", prefetch=100):
            seen += 1
        assert seen == 1000
    await db.executemany("insert into matrix_asyncpg values ($1, $2)", [(k, "many") for k in range(10, 300)])
    await db.copy_records_to_table("matrix_asyncpg", records=[(k, "copied") for k in range(1000, 5000)])
    assert await db.fetchval("select count(*) from matrix_asyncpg") == 1 + 290 + 4000
    try:
        await db.fetchval("select 1 / $1::int", 0)
    except asyncpg.DivisionByZeroError:
        pass
    try:
        await asyncio.wait_for(db.fetchval("select pg_sleep(30)"), 0.3)
    except asyncio.TimeoutError:
        pass
    assert await db.fetchval("select 1") == 1
    await db.close()


async def pooled():
    pool = await asyncpg.create_pool(url, min_size=1, max_size=8)

    async def one(n):
        async with pool.acquire() as db:
            assert tuple(await db.fetchrow("select $1::int, $2::text", n, str(n))) == (n, str(n))

    await asyncio.gather(*(one(n) for n in range(300)))
    await pool.close()


asyncio.run(script(100))
asyncio.run(script(0))
asyncio.run(pooled())
print("passed")
