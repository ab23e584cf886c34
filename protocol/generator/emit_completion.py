"""methods.completion: what a shell needs to complete `pierre-dbctl call`.

One line for each method: its name, then its parameters as they are typed. `name=` is followed by text, `name:=` by JSON, and
`name=a|b` by one of the values.
"""

from .model import Catalog, Field

_TEXT = ("string", "uuid", "timestamp", "ip", "sealed")


def completion(catalog: Catalog) -> str:
    return "".join(" ".join([method.name, *(_word(catalog, param) for param in method.params)]) + "\n"
                   for method in catalog.methods)


def _word(catalog: Catalog, param: Field) -> str:
    if param.type.base in catalog.enums:
        return f"{param.name}={'|'.join(catalog.enums[param.type.base].values)}"
    return f"{param.name}{'=' if param.type.base in _TEXT else ':='}"
