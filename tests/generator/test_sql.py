"""Placeholders are found in all their places, and nowhere else."""

import unittest

import support  # noqa: F401 (makes the generator importable)
from generator.problems import Problems
from generator.sql import Body, scan


def rendered(sql, backend):
    problems = Problems()
    scanned = scan(Body("m", "here", sql), backend, problems)
    return scanned.render(lambda name: f"<{name}>"), problems.lines


class Scan(unittest.TestCase):
    def check(self, sql, expected, backends=("sqlite", "postgres")):
        for backend in backends:
            with self.subTest(sql, backend=backend):
                self.assertEqual(rendered(sql, backend), (expected, []))

    def test_placeholders(self):
        self.check("a=:a AND b = :b_2,:a", "a=<a> AND b = <b_2>,<a>")
        self.check(":a", "<a>")
        self.check("(:a)", "(<a>)")

    def test_literals_and_quoted_names(self):
        self.check("':a' || :a", "':a' || <a>")
        self.check("'it''s :a' || :a", "'it''s :a' || <a>")
        self.check('":a"."b"":c" = :a', '":a"."b"":c" = <a>')
        self.check("`:a` = [:b] || :c", "`:a` = [:b] || <c>", ("sqlite",))
        self.check("E'\\':a' || :b", "E'\\':a' || <b>", ("postgres",))
        self.check(
            "$$ :a ' $$ || $x$ :b $$ $x$ || :c", "$$ :a ' $$ || $x$ :b $$ $x$ || <c>", ("postgres",)
        )
        self.check("name'x' :a", "name'x' <a>")

    def test_white_space_within_literals_stays(self):
        self.check("SELECT  'a  \n b'\n\t, :c ", "SELECT 'a  \n b' , <c>")

    def test_comments(self):
        self.check("SELECT :a -- :b 'c\n, :d", "SELECT <a> , <d>")
        self.check("SELECT /* :b\n ' */ :a", "SELECT <a>")
        self.check("-- :b\n\n/* c */ SELECT\n1", "SELECT 1")

    def test_casts_and_slices(self):
        self.check(":a::uuid, x::text[], y ::int", "<a>::uuid, x::text[], y ::int", ("postgres",))
        self.check("x[1:2]", "x[1:2]", ("postgres",))
        self.check("ARRAY[:a, :b]", "ARRAY[<a>, <b>]", ("postgres",))

    def test_operators_of_jsonb(self):
        self.check("doc ? 'a' AND doc->>'b' = :b", "doc ? 'a' AND doc->>'b' = <b>", ("postgres",))

    def test_a_semicolon_at_the_end(self):
        self.check("SELECT 1;", "SELECT 1")
        self.check("SELECT ';';  -- end\n", "SELECT ';'")

    def test_an_open_quote_is_told(self):
        for sql in ("'a", '"a', "/* a"):
            self.assertEqual(len(rendered(f"SELECT {sql}", "sqlite")[1]), 1)


if __name__ == "__main__":
    unittest.main()
