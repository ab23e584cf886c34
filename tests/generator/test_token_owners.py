"""A method with a token tells whose it is, and a session token is looked up in both of its forms:
what the generator refuses."""

import unittest

from support import Project, RefusalCase

LITE = "backends/sqlite/sql/things.sql"

# (file, text, its replacement, what the refusal must contain)
CASES = {
    "a token without user": (
        "secrets",
        'provider = "acme"\nparams.user_id = { type = "uuid", doc = "Whose." }\nresult = "Token?"',
        'provider = "acme"\nparams.owner = { type = "uuid", doc = "Whose." }\nresult = "Token?"',
        "a token is bound to its user, the parameter user_id",
    ),
    "a token without provider": (
        "secrets",
        'reads = "exact"\nprovider = "acme"\n',
        'reads = "exact"\n',
        "a token is bound to its provider",
    ),
    "a token of an unknown provider": (
        "secrets",
        'reads = "exact"\nprovider = "acme"\n',
        'reads = "exact"\nprovider = "other"\n',
        "a token is bound to its provider",
    ),
    "a provider without token": (
        "secrets",
        'doc = "Makes an account."\n',
        'doc = "Makes an account."\nprovider = "acme"\n',
        "has no token, so it has no `provider`",
    ),
    "a token with other columns": (
        "secrets",
        'access_token = { type = "sealed", doc = "One text." }\nrefresh_token = { type',
        'refresh_token = { type = "sealed", doc = "One text." }\naccess_token = { type',
        "the sealed texts of a token are access_token and refresh_token",
    ),
}


class TokenOwners(RefusalCase):
    def test_refused(self):
        self.refuses(CASES)

    def test_both_forms(self):
        message = "a session token is looked up in both forms"
        for value, refused in (
            (":label_hashed", True),
            (":label_unhashed", True),
            ("COALESCE(:label_hashed, :label_unhashed)", False),
        ):
            with self.subTest(value):
                project = Project()
                project.replace(LITE, "(:id, :label,", f"(:id, {value},")
                self.assertEqual(message in project.refusal(), refused, project.refusal())


if __name__ == "__main__":
    unittest.main()
