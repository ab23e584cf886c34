"""Each read by SQL is exact or causal, and nothing that grants access is causal: what the generator
refuses."""

import unittest

from support import RefusalCase

PG = "backends/postgres/sql/things.sql"

# (file, text, its replacement, what the refusal must contain)
CASES = {
    "a read without its kind": (
        "things",
        'reads = "exact"\n',
        "",
        "get_thing reads, so it has `reads`: exact or causal",
    ),
    "an unknown kind of read": (
        "things",
        'reads = "exact"',
        'reads = "exactly"',
        "`reads` is one of exact, causal, not `exactly`",
    ),
    "a kind of read of a write": (
        "things",
        'doc = "Removes what is old."\n',
        'doc = "Removes what is old."\nreads = "causal"\n',
        "sweep is not a read by SQL, so it has no `reads`",
    ),
    "a kind of read without SQL": (
        "secrets",
        'doc = "Tells about the program."\n',
        'doc = "Tells about the program."\nreads = "exact"\n',
        "self.report is not a read by SQL, so it has no `reads`",
    ),
    "a causal read of secrets' role": (
        "things",
        'access = "read"\nreads = "exact"',
        'access = "full"\nreads = "causal"',
        "get_thing needs the role full, so its `reads` is exact",
    ),
    "a causal read of a token": (
        "secrets",
        'access = "full"\nreads = "exact"\nprovider',
        'access = "read"\nreads = "causal"\nprovider',
        "get_token opens a token, so its `reads` is exact",
    ),
    "a causal read of a password": (
        "secrets",
        'access = "full"\nreads = "exact"\nparams.id = { type = "i64", doc = "Whose." }',
        'access = "read"\nreads = "causal"\nparams.id = { type = "i64", doc = "Whose." }',
        "verify_account checks a password, so its `reads` is exact",
    ),
    "a causal read that at times writes": (
        "things",
        'access = "read"\nreads = "exact"',
        'access = "full"\ntouches = true\nreads = "causal"',
        "get_thing at times writes, so its `reads` is exact",
    ),
    "a causal read that takes a secret": (
        "things",
        'params.colour = { type = "colour?", doc',
        'params.colour = { type = "string?", secret = true, doc',
        "list_things takes or shows a secret, so its `reads` is exact",
    ),
    "a causal read that shows a secret": (
        "things",
        'unit = { type = "string?", doc',
        'unit = { type = "string?", secret = true, doc',
        "list_things takes or shows a secret, so its `reads` is exact",
    ),
    "a causal read that locks rows": (
        PG,
        "ORDER BY id LIMIT :limit",
        "ORDER BY id LIMIT :limit FOR SHARE",
        "list_things is causal, so its SQL must not lock rows",
    ),
    "a causal read of no table": (
        PG,
        "FROM things WHERE :colour IS NULL OR colour = :colour",
        "FROM unnest(ARRAY[:colour]) AS colour",
        "list_things is causal, so its SQL must read a table",
    ),
}


class Reads(RefusalCase):
    def test_refused(self):
        self.refuses(CASES)


if __name__ == "__main__":
    unittest.main()
