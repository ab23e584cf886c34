"""The initial inputs of the target `request`: for each method of the OpenRPC document a line with
named and one with positional parameters, and a dictionary of all names."""
import json
import os

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "openrpc.json")
UUID = "3a97f11a-e651-4705-86a6-8a02f0e161af"
SAMPLES = {
    "uuid": UUID,
    "timestamp": "2025-06-19T15:44:49.123456+02:00",
    "ip": "2001:db8::1",
    "document": {"title": "a", "target": 5, "x": [1.5, None]},
    "json": [1, {"a": True}],
    "bool": True,
    "u16": 200,
    "u32": 7,
    "i64": 7,
    "f64": 1e-5,
    "[string]": ["a", "b"],
}


def sample(schema, document):
    if "$ref" in schema:
        target = schema["$ref"].rsplit("/", 1)[1]
        return sample(document["components"]["schemas"][target], document)
    for part in schema.get("anyOf", schema.get("oneOf", ())):
        if part.get("type") != "null":
            return sample(part, document)
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("x-type") in SAMPLES:
        return SAMPLES[schema["x-type"]]
    if schema.get("properties"):
        return {
            name: sample(member, document)
            for name, member in schema["properties"].items()
            if name not in ("password", "strava_token", "fitbit_token")
        }
    return "a@b"


def request(folder):
    """Fills the folder and returns the dictionary's path."""
    with open(GOLDEN, encoding="utf-8") as file:
        document = json.load(file)
    words = {"jsonrpc", "2.0", "method", "params", "id", *document["components"]["schemas"]}
    for method in document["methods"]:
        values = {
            parameter["name"]: sample(parameter["schema"], document)
            for parameter in method["params"]
        }
        words |= {method["name"], *values}
        for value in values.values():
            words |= set(value) if isinstance(value, dict) else set()
        for way, params in (("name", values), ("position", list(values.values()))):
            with open(
                os.path.join(folder, f"{method['name']}.{way}"), "w", encoding="utf-8"
            ) as file:
                json.dump(
                    {"jsonrpc": "2.0", "id": 1, "method": method["name"], "params": params}, file
                )
    return [f'"{word}"' for word in sorted(words)]
