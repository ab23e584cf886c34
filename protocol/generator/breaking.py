"""What a new OpenRPC document breaks for users of an older one.

Compatible changes: a new method, an optional parameter at the end, a new member of an answer, and
weaker requirements. Examples of the latter: a wider range, a required parameter that becomes
optional, a lower role.
"""

from .model import ACCESS


def breaking_changes(old: dict, new: dict) -> list[str]:
    """One line for each break; old and new are OpenRPC documents."""
    found = []
    methods = {method["name"]: method for method in new["methods"]}
    for before in old["methods"]:
        after = methods.get(before["name"])
        if after is None:
            found.append(f"{before['name']}: the method was removed")
        else:
            found += [f"{before['name']}: {line}" for line in _method(old, new, before, after)]
    return found


def _method(old, new, before, after):
    found = []
    if ACCESS.index(after["x-access"]) > ACCESS.index(before["x-access"]):
        found.append(f"needs the role {after['x-access']}, no longer only {before['x-access']}")
    if before.get("x-reads") == "exact" and after.get("x-reads") == "causal":
        found.append("its reads were exact; a standby may answer them now")
    old_order, new_order = before["x-positional"], after["x-positional"]
    gone = [name for name in old_order if name not in new_order]
    found += [f"parameter {name} was removed or renamed" for name in gone]
    if not gone and new_order[: len(old_order)] != old_order:
        found.append(f"the order of parameters was {', '.join(old_order)}")
    old_params = {param["name"]: param for param in before["params"]}
    for param in after["params"]:
        name, known = param["name"], old_params.get(param["name"])
        if known is None:
            if param["required"]:
                found.append(f"parameter {name} is new and required")
            continue
        if param["required"] and not known["required"]:
            found.append(f"parameter {name} was optional")
        found += _narrower(
            Side(old, known["schema"]), Side(new, param["schema"]), f"parameter {name}"
        )
    return found + _poorer(
        Side(old, before["result"]["schema"]), Side(new, after["result"]["schema"]), "the result"
    )


class Side:
    """A schema within its document, with references and nullability resolved."""

    def __init__(self, document, schema):
        self.document = document
        self.nullable = False
        while True:
            if "$ref" in schema:
                target = document
                for key in schema["$ref"].removeprefix("#/").split("/"):
                    target = target[key]
                schema = {
                    **target,
                    **{key: value for key, value in schema.items() if key != "$ref"},
                }
            elif len(schema.get("allOf", ())) == 1:
                schema = {
                    **schema["allOf"][0],
                    **{key: value for key, value in schema.items() if key != "allOf"},
                }
            elif len(schema.get("oneOf", ())) == 2 and {"type": "null"} in schema["oneOf"]:
                self.nullable = True
                rest = {key: value for key, value in schema.items() if key != "oneOf"}
                schema = {
                    **next(part for part in schema["oneOf"] if part != {"type": "null"}),
                    **rest,
                }
            else:
                break
        self.schema = schema
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        self.nullable = self.nullable or "null" in types or not types
        self.types = {name for name in types if name != "null"} or {"null" if types else "anything"}

    def get(self, key, fallback=None):
        return self.schema.get(key, fallback)

    def member(self, name):
        return Side(self.document, self.schema["properties"][name])

    def inner(self, key):
        return Side(self.document, self.schema[key])


def _narrower(old: Side, new: Side, where):
    """Whether new still accepts everything that old accepted."""
    found = []
    takes_more = (
        "anything" in new.types
        or old.types <= new.types
        or (old.types == {"integer"} and new.types == {"number"})
    )
    if not takes_more:
        return [f"{where} was of type {_named(old)}, is {_named(new)}"]
    if old.nullable and not new.nullable:
        found.append(f"{where} could be null")
    if "anything" in new.types:
        return found
    for key, worse in (
        ("minimum", lambda a, b: b > a),
        ("maximum", lambda a, b: b < a),
        ("maxLength", lambda a, b: b < a),
        ("x-max-bytes", lambda a, b: b < a),
    ):
        if key in new.schema and (key not in old.schema or worse(old.get(key), new.get(key))):
            found.append(
                f"{where} has a narrower range: {key} is {new.get(key)}, was {old.get(key, 'none')}"
            )
    for key in ("pattern", "format", "anyOf", "oneOf"):
        if key in new.schema and new.get(key) != old.get(key):
            found.append(f"{where} has another {key}")
    lost = [
        value for value in old.get("enum", ()) if value not in new.get("enum", old.get("enum", ()))
    ]
    if lost or ("enum" in new.schema and "enum" not in old.schema):
        found.append(f"{where} no longer accepts {', '.join(map(str, lost)) or 'every text'}")
    for key in ("default", "x-default"):
        if new.get(key) != old.get(key):
            found.append(f"{where} has another default: {new.get(key)}, was {old.get(key)}")
    return found + _narrower_members(old, new, where)


def _narrower_members(old, new, where):
    found = []
    closed = new.get("additionalProperties") is False
    if closed and old.get("additionalProperties") is not False and "object" in old.types:
        found.append(f"{where} no longer accepts other members")
    for name in old.get("properties", {}):
        if name in new.get("properties", {}):
            found += _narrower(old.member(name), new.member(name), f"{where}.{name}")
        elif closed:
            found.append(f"{where}.{name} was removed or renamed")
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            known = name in old.get("properties", {})
            found.append(f"{where}.{name} is " + ("required" if known else "new and required"))
    if "items" in new.schema and "items" in old.schema:
        found += _narrower(old.inner("items"), new.inner("items"), f"{where}[]")
    return found


def _poorer(old: Side, new: Side, where):
    """Whether new still returns everything that old returned."""
    if _named(old) != _named(new):
        return [f"{where} was of type {_named(old)}, is {_named(new)}"]
    found = []
    if new.nullable and not old.nullable:
        found.append(f"{where} can now be null")
    for name in old.get("properties", {}):
        if name not in new.get("properties", {}):
            found.append(f"{where}.{name} was removed")
            continue
        if name in old.get("required", ()) and name not in new.get("required", ()):
            found.append(f"{where}.{name} was always present")
        found += _poorer(old.member(name), new.member(name), f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            found += _poorer(old.inner(key), new.inner(key), f"{where}[]")
    return found


def _named(side):
    """The type to compare and to show: the catalog's where there is one."""
    return side.get("x-type") or "/".join(sorted(side.types))
