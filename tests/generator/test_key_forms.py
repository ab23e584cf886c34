"""Writes in the form that stores their idempotency key: which have one, and what they answer."""

import unittest

from support import ROOT, generate
from generator.once import KEY_PARAMETERS
from generator.sql import outline


class Forms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        catalog = generate.load(ROOT, allow_missing=False)
        cls.methods = {method.name: method for method in catalog.methods}
        cls.forms = {
            name: method.statements["postgres"]
            for name, method in cls.methods.items()
            if "postgres" in method.statements
        }

    def test_which(self):
        """Their answers come from the database alone."""
        without = {name for name, form in self.forms.items() if not form.once}
        writes = {name for name, method in self.methods.items() if method.keyed}
        self.assertEqual(without & writes, {"cleanup_expired_api_keys", "lease_token_refresh"})
        self.assertEqual({name for name, form in self.forms.items() if form.once} - writes, set())

    def test_answers(self):
        """A bind parameter is the answer of a write that returns it, and of no other."""
        for name, form in self.forms.items():
            if form.once and self.methods[name].answer == "row":
                self.assertIn(
                    self.methods[name].binds[form.once_bind].name,
                    ("id", "new_id", "new_token"),
                    name,
                )
            else:
                self.assertEqual(form.once_bind, -1, name)
        session = self.methods["create_a2a_session"]
        self.assertEqual(
            session.binds[self.forms["create_a2a_session"].once_bind].name, "new_token"
        )

    def test_texts(self):
        for name, form in self.forms.items():
            if not form.once:
                continue
            with self.subTest(name):
                self.assertTrue(form.once.startswith("WITH "))
                self.assertRegex(form.once, r"\bdone AS \(.*\)\Z")
                for number in range(1, KEY_PARAMETERS + 1):
                    self.assertNotRegex(form.once, rf"\${number}\b")
                for number in range(len(form.binds)):
                    self.assertRegex(form.once, rf"\${KEY_PARAMETERS + 1 + number}::")
        usages = self.forms["record_api_key_usages"].once
        self.assertRegex(
            usages, r", done AS \(SELECT place, '\w+'::text AS member FROM missing\)\Z"
        )

    def test_outline(self):
        self.assertEqual(
            outline("WITH a AS (SELECT 'x)') UPDATE t SET b = (SELECT $1::int) RETURNING ')c'"),
            [
                ("WITH", 0),
                ("A", 5),
                ("AS", 7),
                ("UPDATE", 24),
                ("T", 31),
                ("SET", 33),
                ("B", 37),
                ("RETURNING", 58),
            ],
        )


if __name__ == "__main__":
    unittest.main()
