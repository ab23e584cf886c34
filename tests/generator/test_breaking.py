"""Which changes of a catalog break its callers, and which do not."""

import copy
import unittest

from support import Project
from generator.breaking import breaking_changes

LIMIT = 'params.limit = { type = "u32?", default = 5, max = 9, doc = "Most of them." }'

# (text in things.toml, its replacement, what the complaint must contain; None: compatible)
CHANGES = {
    "an exact read becomes causal": (
        'reads = "exact"',
        'reads = "causal"',
        "get_thing: its reads were exact; a standby may answer them now",
    ),
    "a causal read becomes exact": ('reads = "causal"', 'reads = "exact"', None),
    "parameter renamed": ("params.limit", "params.most", "parameter limit was removed"),
    "parameter removed": (LIMIT + "\n", "", "parameter limit was removed"),
    "range narrower": (
        "max = 9",
        "max = 8",
        "parameter limit has a narrower range: maximum is 8, was 9",
    ),
    "range wider": ("max = 9", "max = 10", None),
    "type narrower": ('"u32?", default', '"u16?", default', None),  # its range is the same
    "another type": ('"u32?", default = 5, max = 9', '"string?"', "was of type u32, is string"),
    "type wider": ('"u32?", default = 5, max = 9', '"f64?", default = 5', None),
    "another default": ("default = 5", "default = 6", "another default: 6, was 5"),
    "optional becomes required": ('"u32?", default = 5,', '"u32",', "parameter limit was optional"),
    "new optional parameter": (
        LIMIT,
        LIMIT + '\nparams.more = { type = "bool?", doc = "More." }',
        None,
    ),
    "new required parameter": (
        LIMIT,
        LIMIT + '\nparams.more = { type = "bool", doc = "More." }',
        "parameter more is new and required",
    ),
    "new parameter in front": (
        "params.colour = {",
        'params.more = { type = "bool?", doc = "More." }\nparams.colour = {',
        "the order of parameters was colour, limit",
    ),
    "member becomes optional": ('owner = { type = "string"', 'owner = { type = "string?"', None),
    "member becomes required": (
        'tags = { type = "[string]?", default = []',
        'tags = { type = "[string]"',
        "thing.tags is required",
    ),
    "member removed": (
        'tags = { type = "[string]?", default = [], doc = "Words." }\n',
        "",
        "thing.tags was removed",
    ),
    "member new and optional": (
        "note = {",
        'more = { type = "bool?", doc = "More." }\nnote = {',
        None,
    ),
    "member new and required": (
        "note = {",
        'more = { type = "bool", doc = "More." }\nnote = {',
        "thing.more is new and required",
    ),
    "fewer bytes": ("max_bytes = 20", "max_bytes = 19", "x-max-bytes is 19, was 20"),
    "more bytes": ("max_bytes = 20", "max_bytes = 21", None),
    "a limit of bytes where none was": (
        'check = "email"',
        'check = "email", max_bytes = 9',
        "was none",
    ),
    "an identifier where a string was": (
        'owner = { type = "string"',
        'owner = { type = "identifier"',
        "x-max-bytes is 1024, was none",
    ),
    "a check where none was": (
        "max_bytes = 20",
        'max_bytes = 20, check = "email"',
        "another pattern",
    ),
    "a check no more": (', check = "email"', "", None),
    "enum loses a value": ('["red", "green"]', '["red"]', "no longer accepts green"),
    "enum gains a value": ('["red", "green"]', '["red", "green", "blue"]', None),
    "no longer exactly one": ('exactly_one = ["label", "number"]\n', "", None),
    "result's member removed": (
        'id = { type = "uuid", doc = "The thing\'s id." }\n',
        "",
        "the result.id was removed",
    ),
    "result's inner member removed": (
        'unit = { type = "string?", doc = "As it was given." }\n',
        "",
        "size.unit was removed",
    ),
    "result's member of another type": (
        'width = { type = "f64"',
        'width = { type = "i64"',
        "was of type f64, is i64",
    ),
    "result's member can be null": (
        'width = { type = "f64"',
        'width = { type = "f64?"',
        "width can now be null",
    ),
    "result's member is never null": (
        'unit = { type = "string?"',
        'unit = { type = "string"',
        None,
    ),
    "result's member new": (
        "size = { type",
        'more = { type = "bool", doc = "More." }\nsize = { type',
        None,
    ),
    "result becomes one row": (
        'result = "[Thing]"',
        'result = "Thing"',
        "was of type array, is object",
    ),
    "result can be null": ('result = "uuid"', 'result = "uuid?"', "the result can now be null"),
    "result is never null": ('result = "Thing?"', 'result = "Thing"', None),
    "more access needed": (
        'doc = "Lists things."\naccess = "read"\nreads = "causal"',
        'doc = "Lists things."\naccess = "full"\nreads = "exact"',
        "needs the role full",
    ),
    "other words": ('doc = "Lists things."', 'doc = "Tells what there is."', None),
}


class Breaking(unittest.TestCase):
    def setUp(self):
        self.old = Project().document()

    def test_nothing_changed(self):
        self.assertEqual(breaking_changes(self.old, Project().document()), [])

    def test_a_method_removed(self):
        new = copy.deepcopy(self.old)
        new["methods"] = [method for method in new["methods"] if method["name"] != "sweep"]
        self.assertEqual(breaking_changes(self.old, new), ["sweep: the method was removed"])
        self.assertEqual(breaking_changes(new, self.old), [])

    def test_less_access_needed(self):
        new = copy.deepcopy(self.old)
        for method in new["methods"]:
            method["x-access"] = "read"
        self.assertEqual(breaking_changes(self.old, new), [])

    def test_changes(self):
        for title, (old, new, complaint) in CHANGES.items():
            with self.subTest(title):
                project = Project()
                project.replace("things", old, new)
                found = breaking_changes(self.old, project.document())
                if complaint is None:
                    self.assertEqual(found, [])
                else:
                    self.assertIn(complaint, "\n".join(found))


if __name__ == "__main__":
    unittest.main()
