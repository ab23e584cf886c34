"""Facts stated once: column lists of an answer type, and a token provider.

Would catch: a list that loses a column in a statement; a provider that needs more than its table in
the catalog and a migration.
"""

import unittest

from support import ROOT, Project, generate
from generator import fragments
from generator.problems import Problems
from generator.providers import Provider, expand, expand_sql, unfill

STRAVA, GARMIN = Provider("strava", "Strava"), Provider("garmin", "Garmin")


class ColumnLists(unittest.TestCase):
    def insert(self, text):
        found = {
            "Thing": fragments.Fragment(
                "Thing", "t", "here", "t.id, max(t.a, u.t) AS a, 't.x' AS b"
            )
        }
        problems, used = Problems(), set()
        return fragments.insert(text, "there", found, used, problems), used, problems.lines

    def test_the_alias_is_dropped(self):
        self.assertEqual(
            self.insert("SELECT {Thing} FROM t"),
            ("SELECT id, max(a, u.t) AS a, 'x' AS b FROM t", {"Thing"}, []),
        )

    def test_another_alias_takes_its_place(self):
        self.assertEqual(
            self.insert("SELECT {Thing c}")[0], "SELECT c.id, max(c.a, u.t) AS a, 'c.x' AS b"
        )

    def test_other_braces_stay(self):
        for text in ("'{}'::text[]", "x ~ '[0-9]{32}'", "'{\"a\": 1}'"):
            self.assertEqual(self.insert(text), (text, set(), []))

    def test_statements_of_the_tree_use_them(self):
        catalog = generate.load(ROOT, allow_missing=False)
        for method in catalog.methods:
            for backend, statement in method.statements.items():
                self.assertNotRegex(statement.sql, r"\{[A-Za-z]", f"{method.name}, {backend}")


class Providers(unittest.TestCase):
    def test_what_belongs_together_stays_together(self):
        data = {
            "a": 1,
            "get_{provider}": {"doc": "{Provider}."},
            "put_{provider}": ["{provider}"],
            "b": 2,
        }
        self.assertEqual(
            list(expand(data, (STRAVA, GARMIN)).items()),
            [
                ("a", 1),
                ("get_strava", {"doc": "Strava."}),
                ("put_strava", ["strava"]),
                ("get_garmin", {"doc": "Garmin."}),
                ("put_garmin", ["garmin"]),
                ("b", 2),
            ],
        )

    def test_lines_of_sql_are_repeated(self):
        text = "a,\n-- each provider:\n{provider}_x,\n-- end\nb\n"
        self.assertEqual(expand_sql(text, (STRAVA, GARMIN)), "a,\nstrava_x,\ngarmin_x,\nb\n")

    def test_lines_of_sql_are_joined_by_commas(self):
        text = "SET\n-- each provider, with commas:\n{provider}_x = 1\n-- end\nWHERE\n"
        self.assertEqual(
            expand_sql(text, (STRAVA, GARMIN)), "SET\nstrava_x = 1,\ngarmin_x = 1\nWHERE\n"
        )

    def test_the_place_of_an_entry_is_found(self):
        self.assertEqual(unfill("update_strava_token", (STRAVA,)), "update_{provider}_token")
        self.assertEqual(unfill("pastrava", (STRAVA,)), "pastrava")

    def test_a_third_provider_is_one_line_of_the_catalog(self):
        """Also needs a migration of each database, which adds its five columns."""
        project = Project.of_tree()
        project.replace(
            "tokens",
            'fitbit.title = "Fitbit"\n',
            'fitbit.title = "Fitbit"\ngarmin.title = "Garmin"\n',
        )
        catalog = project.load()
        methods = {method.name: method for method in catalog.methods}
        self.assertEqual(catalog.enums["provider"].values, ("strava", "fitbit", "garmin"))
        lease = methods["lease_token_refresh"].statements
        for statement in lease.values():
            self.assertIn("garmin_lease", statement.sql)
        for verb in ("update", "get", "clear"):
            method = methods[f"{verb}_garmin_token"]
            self.assertEqual(set(method.statements), {"sqlite", "postgres"})
            for statement in method.statements.values():
                self.assertIn("garmin_access_token", statement.sql)
                self.assertNotIn("strava", statement.sql)
        self.assertIn("Garmin", methods["update_garmin_token"].doc)
        self.assertIn("garmin_token", [member.name for member in catalog.types["User"].members])
        for statement in methods["get_user"].statements.values():
            self.assertIn('AS "garmin_token.scope"', statement.sql)
        self.assertIn(
            '{"garmin", "Garmin"}',
            generate.emit_c.source(catalog, generate.emit_openrpc.document(catalog)),
        )
        self.assertIn('X("garmin", "Garmin")', generate.emit_c.providers(catalog))
        self.assertEqual(
            generate.breaking_changes(
                generate.emit_openrpc.document(Project.of_tree().load()),
                generate.emit_openrpc.document(catalog),
            ),
            [],
        )


if __name__ == "__main__":
    unittest.main()
