"""What is measured and its targets: one table of probes and one of targets."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Target:
    """A row of the result: a figure of the daemon against a multiple of a peer's."""

    call: str
    clients: int
    pipeline: int
    probe: str  # the daemon's measurement
    peer: str  # the peer's measurement; "" = only stated
    factor: float  # at least (rate) or at most (p50) this multiple of the peer's; 0 = only stated
    words: str  # the peer in words
    figure: str = "rate"  # "rate": calls per second, more is better; "p50": µs, less is better
    limit: float = 0.0  # at most so many µs, for a p50 without a peer; 0 = only stated


TARGETS = (
    Target("daemon.ping", 64, 1, "ping 64x1", "redis ping 64x1", 1.4, "Redis PING"),
    Target("daemon.ping", 64, 16, "ping 64x16", "redis ping 64x16", 0.25, "Redis PING"),
    Target("daemon.ping", 1, 1, "ping 1x1", "redis get 1x1", 0.0, "Redis GET", "p50"),
    Target(
        "get_user, SQLite",
        64,
        1,
        "sqlite get 64x1",
        "in-process get",
        0.55,
        "in-process, one thread",
    ),
    Target(
        "get_user, SQLite",
        64,
        16,
        "sqlite get 64x16",
        "in-process get",
        1.1,
        "in-process, one thread",
    ),
    Target("get_user, SQLite", 1, 1, "sqlite get 1x1", "redis get 1x1", 1.3, "Redis GET", "p50"),
    Target(
        "record_api_key_usage, SQLite, durable",
        64,
        1,
        "sqlite record 64x1",
        "in-process insert 1",
        5.0,
        "in-process, a commit each",
    ),
    Target(
        "record_api_key_usage, SQLite, durable",
        64,
        16,
        "sqlite record 64x16",
        "in-process insert 128",
        0.7,
        "in-process, 128 rows a commit",
    ),
    Target(
        "get_user, PostgreSQL", 64, 1, "postgres get 64x1", "pgbench get 64", 2.2, "pgbench direct"
    ),
    Target(
        "get_user, PostgreSQL",
        64,
        1,
        "postgres get 64x1",
        "pgbouncer get 64",
        4.0,
        "pgbench through PgBouncer",
    ),
    Target(
        "get_user, PostgreSQL",
        64,
        1,
        "postgres get 64x1",
        "pgbench get 64, two threads",
        0.0,
        "pgbench direct with two threads",
    ),
    Target(
        "get_user, PostgreSQL",
        64,
        16,
        "postgres get 64x16",
        "pgbench get 64",
        3.0,
        "pgbench direct",
    ),
    Target(
        "get_user, PostgreSQL",
        64,
        16,
        "postgres get 64x16",
        "pipeline get",
        0.6,
        "the libpq pipeline limit",
    ),
    Target(
        "get_user, PostgreSQL",
        1,
        1,
        "postgres get 1x1",
        "pgbench get 1",
        1.5,
        "pgbench direct",
        "p50",
    ),
    Target(
        "record_api_key_usage, PostgreSQL, durable",
        64,
        1,
        "postgres record 64x1",
        "pgbench record 64",
        2.0,
        "pgbench direct",
    ),
    Target(
        "record_api_key_usage, PostgreSQL, durable",
        64,
        16,
        "postgres record 64x16",
        "pgbench record 64",
        3.0,
        "pgbench direct",
    ),
    Target(
        "update_strava_token",
        64,
        16,
        "update token 64x16",
        "unsealed update token 64x16",
        0.8,
        "the same without sealing",
    ),
    Target(
        "get_strava_token",
        64,
        16,
        "get token 64x16",
        "unsealed get token 64x16",
        0.8,
        "the same without sealing",
    ),
    Target(
        "get_user, PostgreSQL 5 ms away",
        64,
        1,
        "far get 64x1",
        "far pgbench get 64",
        0.75,
        "pgbench with 64 connections",
    ),
    Target(
        "get_user, PostgreSQL 5 ms away",
        64,
        1,
        "far get 64x1",
        "far pgbench get 64",
        1.3,
        "pgbench with 64 connections",
        "p50",
    ),
    Target(
        "record_api_key_usage, PostgreSQL 5 ms away",
        64,
        1,
        "far record 64x1",
        "far pgbench record 64",
        0.75,
        "pgbench with 64 connections",
    ),
    Target(
        "get_user, PostgreSQL 5 ms away",
        64,
        1,
        "far get 64x1",
        "far get 64x1, before",
        1.8,
        "the build before",
    ),
    Target(
        "record_api_key_usage, PostgreSQL 5 ms away",
        64,
        1,
        "far record 64x1",
        "far record 64x1, before",
        1.8,
        "the build before",
    ),
    Target(
        "record_api_key_usage with a key, PostgreSQL 5 ms away",
        64,
        1,
        "far once 64x1",
        "far pgbench record 64",
        0.6,
        "pgbench without keys, 64 connections",
    ),
    Target(
        "record_api_key_usage with a key, PostgreSQL 5 ms away",
        64,
        1,
        "far once 64x1",
        "far once 64x1, before",
        1.8,
        "the build before",
    ),
    Target("mixed, SQLite", 64, 4, "sqlite mixed 64x4", "", 0.0, ""),
    Target("mixed, PostgreSQL", 64, 4, "postgres mixed 64x4", "", 0.0, ""),
    Target(
        "update_strava_token, PostgreSQL, two daemons",
        48,
        6,
        "two daemons",
        "one daemon",
        0.9,
        "one daemon",
    ),
    Target(
        "update_strava_token, PostgreSQL, three daemons",
        48,
        6,
        "three daemons",
        "one daemon",
        0.9,
        "one daemon",
    ),
)

TARGETS += tuple(
    Target(
        f"record_api_key_usage with a key, {words}",
        64,
        pipeline,
        f"{backend} once 64x{pipeline}",
        f"{backend} record 64x{pipeline}",
        0.0,
        "the same without a key",
    )
    for backend, words in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
    for pipeline in (1, 16)
)

TARGETS += tuple(
    Target(
        f"a request in two calls, {words}",
        clients,
        1,
        f"{backend} request in two {clients}x1",
        f"{backend} request in seven {clients}x1",
        0.0,
        "the same in seven calls",
    )
    for backend, words in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
    for clients in (1, 64)
) + (
    Target(
        "record_api_key_usages, rows, SQLite",
        8,
        1,
        "sqlite rows 8x1",
        "sqlite record 64x16",
        0.0,
        "record_api_key_usage, 64, 16",
    ),
    Target(
        "record_api_key_usages, rows, PostgreSQL",
        8,
        1,
        "postgres rows 8x1",
        "postgres record 64x16",
        0.0,
        "record_api_key_usage, 64, 16",
    ),
)

# One client of the Rust crate, on one connection, for all tasks.
TARGETS += tuple(
    Target(
        f"{call}, Rust, {64 * pipeline:,} calls in flight",
        64,
        pipeline,
        f"rust {name} 64x{pipeline}",
        f"sqlite {name} 64x16",
        factor,
        "the load generator at 64, 16",
    )
    for call, name in (("get_user", "get"), ("record_api_key_usage", "record"))
    for pipeline, factor in ((16, 0.7), (1, 0.0))
) + (
    Target(
        "get_user, Rust, one task",
        1,
        1,
        "rust get 1x1",
        "library get 1x1",
        1.5,
        "the C library",
        "p50",
    ),
    Target(
        "Client::private(), Rust, to the first answer",
        1,
        1,
        "rust private",
        "",
        0.0,
        "",
        "p50",
        50_000.0,
    ),
)

BEGIN, END = "<!-- measured: begin (scripts/bench writes this part) -->", "<!-- measured: end -->"


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A target with its medians."""

    target: Target
    measured: float
    peer: float | None

    @property
    def ratio(self):
        return self.measured / self.peer if self.peer else None

    @property
    def met(self):
        if self.target.limit:
            return self.measured <= self.target.limit
        if self.ratio is None or not self.target.factor:
            return True
        return (
            self.ratio <= self.target.factor
            if self.target.figure == "p50"
            else self.ratio >= self.target.factor
        )


def evaluate(results):
    """Medians over the rounds. results is {probe: [measurement, …]}; targets whose probes did not
    run are omitted."""
    outcomes = []
    for target in TARGETS:
        if target.probe not in results or (target.peer and target.peer not in results):
            continue
        outcomes.append(
            Outcome(
                target,
                median([one[target.figure] for one in results[target.probe]]),
                median([one[target.figure] for one in results[target.peer]])
                if target.peer
                else None,
            )
        )
    return outcomes


def figure(value, kind):
    if kind == "p50":
        if value >= 10_000:
            return f"{value / 1000:,.1f} ms"
        return f"{value:,.1f} µs" if value < 1000 else f"{value:,.0f} µs"
    return f"{value:,.0f}/s"


def cells(outcome):
    target = outcome.target
    bound = "at most" if target.figure == "p50" else "at least"
    wanted = (
        f"{bound} {figure(target.limit, target.figure)}"
        if target.limit
        else f"{bound} {target.factor:g} ×"
        if target.factor
        else "stated"
    )
    return (
        target.call,
        f"{target.clients}, {target.pipeline}",
        figure(outcome.measured, target.figure) + (" (p50)" if target.figure == "p50" else ""),
        figure(outcome.peer, target.figure) if outcome.peer else "",
        f"{outcome.ratio:.2f} × {target.words}" if outcome.ratio else "",
        wanted,
        ("yes" if outcome.met else "**no**") if wanted != "stated" else "",
    )


HEADINGS = ("call", "c, P", "pierre-dbd", "peer", "ratio", "target", "met")


def markdown(headings, rows):
    """A Markdown table, its columns padded so that it also reads well as text."""
    table = [headings, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(headings))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def put_between(text, part, keep=()):
    """Returns the document with the generated part replaced. Old sections whose titles begin with
    one of `keep` stay."""
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("docs/performance.md has lost its markers")
    sections = [
        section
        for section in re.split(r"^(?=### )", old, flags=re.M)
        if section.startswith(tuple(f"### {title}" for title in keep))
    ]
    body = "".join([part.strip() + "\n\n", *sections]).strip()
    return f"{before}{BEGIN}\n\n{body}\n\n{END}{after}"
