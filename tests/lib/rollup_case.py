"""Cases about the counts of usage: rows of other programs, and the state of the rollups."""
import re
import subprocess
import time

from . import databases
from .case import Case
from .daemon import Daemon

SQLITE = databases.chosen() == "sqlite"


class RollupCase(Case):
    def daemon(self, *options, **given):
        daemon = Daemon(options=options, **given)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def other(self, daemon, statement):
        rows = daemon.database.query(statement)
        return rows if SQLITE else [line.split("|") for line in rows.splitlines()]

    def number(self, daemon, statement):
        return int(self.other(daemon, statement)[0][0])

    def fill(self, daemon, key, first, count, days):
        """Rows of the last `days` days before `first`, by the database itself."""
        if SQLITE:
            self.other(
                daemon,
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n "
                f"WHERE i < {count - 1}) INSERT INTO api_key_usage (api_key_id, timestamp, "
                f"tool_name, response_time_ms, status_code) SELECT '{key}', "
                f"strftime('%Y-%m-%dT%H:%M:%S', '{first}', '-' || "
                f"(i * {days} * 86400 / {count}) || ' seconds') || '.000000+00:00', "
                "'tool' || (i % 7), i % 100, 200 + i % 3 * 100 FROM n",
            )
            return
        self.other(
            daemon,
            "INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, "
            f"status_code) SELECT number, timestamptz '{first} UTC' "
            f"- i * interval '{days} days' / {count}, "
            "'tool' || (i % 7), i % 100, 200 + i % 3 * 100 "
            f"FROM api_keys, generate_series(0, {count - 1}) AS i WHERE id = '{key}'",
        )

    def rolled_up(self, daemon, log="api_key_usage"):
        return (
            self.number(
                daemon,
                f"SELECT (SELECT count(*) FROM {log} WHERE id > last_id) + "
                f"(SELECT count(*) FROM {log}_changes) FROM usage_rolled WHERE source = '{log}'",
            )
            == 0
        )

    def days_end(self):
        """The start of the oldest day that is not to be summed yet, in seconds since 1970."""
        return int(time.time() - 3600) // 86400 * 86400

    def days_to(self, daemon):
        """The end of the days that are summed in both logs."""
        return self.number(
            daemon,
            "SELECT min(days_to) * 3600 FROM usage_rolled"
            if SQLITE
            else "SELECT extract(epoch FROM min(days_to))::bigint FROM usage_rolled",
        )

    def days_summed(self, daemon):
        return self.days_to(daemon) >= self.days_end()

    def sums_days(self, daemon):
        """Whether a sweep has begun and not ended."""
        sweeps = "SELECT count(*) FROM usage_rolled WHERE days_next IS NOT NULL"
        return self.number(daemon, sweeps) > 0

    def in_rollups(self, daemon):
        return self.number(daemon, "SELECT sum(requests) FROM api_key_usage_hours")

    def verify(self, daemon):
        done = subprocess.run(
            [daemon.binary, "--verify", "--database-url", daemon.url],
            env=daemon.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        found = done.stdout + done.stderr
        return re.findall(
            r"\d+ (?:hours|days|months) of \w+ have (?:counts|capabilities) that differ from "
            r"\w+ \w+",
            found,
        )
