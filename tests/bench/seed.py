"""Fills a migrated database with users, API keys and usage rows, by the database's own SQL, so that
millions take minutes.

Both backends get the same rows. Ids look random but follow from the row's number, so that files of
keys can be made without reading them back.
"""

import contextlib
import random
import sqlite3
import subprocess

from measure import conninfo, environment
from servers import BenchError, tool

TOOLS = (
    "get_activities",
    "get_athlete",
    "get_stats",
    "analyze_activity",
    "track_progress",
    "set_goal",
    "get_weather",
    "compare_activities",
    "predict_performance",
    "generate_recommendations",
    "calculate_fitness_score",
    "connect_strava",
)
HASH = "$2b$12$" + "EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"

# The multiplier spreads the numbers over 32 bits, so that adjacent numbers are far apart in every
# index.
SPREAD = 2654435761


def user_id(number):
    return f"{number * SPREAD % 2**32:08x}-0000-4000-8000-{number:012x}"


def api_key_id(number):
    return f"{number * SPREAD % 2**32:08x}-1000-4000-8000-{number:012x}"


def key_prefix(number):
    return f"pk_{number:09}"


def key_hash(number):
    return f"{number:064x}"


def key_owner(number, users):
    return user_id(1 + number % users)


SQLITE = {
    "users": """
INSERT INTO users (id, email, display_name, password_hash, created_at, last_active, is_active)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT printf('%08x-0000-4000-8000-%012x', i * 2654435761 % 4294967296, i),
	printf('user%d@example.com', i), printf('User number %d', i), :hash,
	strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i % 10000000, 'unixepoch') || '.123456+00:00',
	strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i % 10000000, 'unixepoch') || '.654321+00:00', 1
FROM n""",
    "api_keys": """
INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, tier, is_active, created_at,
	updated_at)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT printf('%08x-1000-4000-8000-%012x', i * 2654435761 % 4294967296, i),
	printf('%08x-0000-4000-8000-%012x', (1 + i % :users) * 2654435761 % 4294967296,
		1 + i % :users),
	printf('key %d', i), printf('pk_%09d', i), printf('%064x', i), 'professional', 1,
	'2025-01-01T00:00:00.000000+00:00', '2025-01-01T00:00:00.000000+00:00'
FROM n""",
    "usage": """
INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, response_time_ms, status_code,
	request_size_bytes, response_size_bytes, ip_address, user_agent)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT printf('%08x-1000-4000-8000-%012x', (1 + i * 7919 % :keys) * 2654435761 % 4294967296,
		1 + i * 7919 % :keys),
	strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i, 'unixepoch') || '.500000+00:00',
	json_extract(:tools, '$[' || (i % json_array_length(:tools)) || ']'), i % 900,
	CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END,
	512, 2048, '192.0.2.17', 'pierre-bench/1.0'
FROM n""",
    "a2a_clients": """
INSERT INTO a2a_clients (id, api_key_id, name, description, public_key, created_at, updated_at)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT printf('client-%d', i),
	printf('%08x-1000-4000-8000-%012x', (1 + i % :keys) * 2654435761 % 4294967296,
		1 + i % :keys),
	printf('client %d', i), 'an agent', 'key', '2025-01-01T00:00:00.000000+00:00',
	'2025-01-01T00:00:00.000000+00:00'
FROM n""",
    "a2a_usage": """
INSERT INTO a2a_usage (client_id, timestamp, tool_name, response_time_ms, status_code,
	protocol_version, client_capabilities, granted_scopes)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT printf('client-%d', 1 + i * 7919 % :clients),
	strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i, 'unixepoch') || '.500000+00:00',
	json_extract(:tools, '$[' || (i % json_array_length(:tools)) || ']'), i % 900,
	CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END,
	'1.0', '["fitness-data-analysis"]', '["read"]'
FROM n""",
}

UUID = (
    "(lpad(to_hex({n} * 2654435761 % 4294967296), 8, '0') || '-{kind}-4000-8000-' || "
    "lpad(to_hex({n}), 12, '0'))"
)
TOOL = "(ARRAY[{tools}])[1 + i % {count}]".format(
    tools=", ".join(f"'{name}'" for name in TOOLS), count=len(TOOLS)
)

POSTGRES = {
    "users": f"""
INSERT INTO users (id, email, display_name, password_hash, created_at, last_active, is_active)
SELECT {UUID.format(n="i", kind="0000")}::uuid, 'user' || i || '@example.com',
	'User number ' || i, '{HASH}', to_timestamp(1735689600.123456 + i % 10000000),
	to_timestamp(1735689600.654321 + i % 10000000), true
FROM generate_series(:first::bigint, :last) AS n(i)""",
    "api_keys": f"""
INSERT INTO api_keys (number, id, user_id, name, key_prefix, key_hash, tier, is_active,
	rate_limit_requests, rate_limit_window, created_at, updated_at)
SELECT i, {UUID.format(n="i", kind="1000")},
	{UUID.format(n="(1 + i % :users)", kind="0000")}::uuid, 'key ' || i,
	'pk_' || lpad(i::text, 9, '0'), lpad(to_hex(i), 64, '0'), 'professional', true, 10000,
	2592000, '2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z'
FROM generate_series(:first::bigint, :last) AS n(i);
SELECT setval(pg_get_serial_sequence('api_keys', 'number'), :last)""",
    "usage": f"""
INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, status_code,
	request_size_bytes, response_size_bytes, ip_address, user_agent)
SELECT 1 + i * 7919 % :keys, to_timestamp(1735689600.5 + i), {TOOL}, i % 900,
	CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END, 512, 2048, '192.0.2.17', 'pierre-bench/1.0'
FROM generate_series(:first::bigint, :last) AS n(i)""",
    "a2a_clients": """
INSERT INTO a2a_clients (number, id, api_key, name, description, public_key, created_at, updated_at)
SELECT i, 'client-' || i, 1 + i % :keys, 'client ' || i, 'an agent', 'key',
	'2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z'
FROM generate_series(:first::bigint, :last) AS n(i);
SELECT setval(pg_get_serial_sequence('a2a_clients', 'number'), :last)""",
    "a2a_usage": f"""
INSERT INTO a2a_usage (client, timestamp, tool_name, response_time_ms, status_code,
	protocol_version, client_capabilities, granted_scopes)
SELECT 1 + i * 7919 % :clients, to_timestamp(1735689600.5 + i), {TOOL}, i % 900,
	CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END, '1.0', ARRAY['fitness-data-analysis'],
	ARRAY['read']
FROM generate_series(:first::bigint, :last) AS n(i)""",
}


@contextlib.contextmanager
def opened(path):
    """A database for many rows; at the end its log is moved into it, where nobody else reads."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
        database.execute("PRAGMA cache_size=-1000000")
        database.execute("PRAGMA synchronous=OFF")
        yield database
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def sqlite(path, counts, step=1_000_000):
    """counts: rows by table of SQLITE, in an order that satisfies the foreign keys."""
    with opened(path) as database:
        values = {
            "hash": HASH,
            "tools": "[" + ",".join(f'"{name}"' for name in TOOLS) + "]",
            "users": counts.get("users", 1),
            "keys": counts.get("api_keys", 1),
            "clients": counts.get("a2a_clients", 1),
        }
        for table, count in counts.items():
            for first in range(1, count + 1, step):
                statement = SQLITE[table]
                wanted = {name: value for name, value in values.items() if f":{name}" in statement}
                database.execute(
                    statement, {**wanted, "first": first, "last": min(first + step - 1, count)}
                )


def psql(postgres, text, variables=None):
    """Executes SQL with psql and returns the rows as unaligned text."""
    defined = [
        part for name, value in (variables or {}).items() for part in ("-v", f"{name}={value}")
    ]
    done = subprocess.run(
        [tool("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", *defined, "-d", conninfo(postgres)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=environment(postgres),
    )
    if done.returncode != 0:
        raise BenchError(f"psql: {done.stderr.strip()[-1000:]}")
    return done.stdout


def postgres(server, counts):
    for table, count in counts.items():
        psql(
            server,
            POSTGRES[table] + ";",
            {
                "first": 1,
                "last": count,
                "users": counts.get("users", 1),
                "keys": counts.get("api_keys", 1),
                "clients": counts.get("a2a_clients", 1),
            },
        )
    psql(server, "VACUUM ANALYZE; CHECKPOINT;")


def key_file(path, name, count, limit=10000, seed=1):
    """Writes a file of keys, one per line: all of them, or a random part of `limit`."""
    chosen = random.Random(seed).sample(range(1, count + 1), min(limit, count))
    path.write_text("".join(name(number) + "\n" for number in chosen))
    return path
