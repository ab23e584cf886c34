"""Token providers: text with `{provider}` is repeated for each of them.

A provider is one table, `[providers.strava]`, in one catalog file. A key with `{provider}` in its
name, and all texts below it, are repeated for each provider; `{Provider}` is its title. Adjacent
repeated entries stay together: all methods of the first provider precede those of the second.
"""

import re
from dataclasses import dataclass

from .problems import Problems
from .tables import NAME, Table

MARK = "{provider}"
_EACH = re.compile(
    r"^[ \t]*-- each provider(, with commas)?:[ \t]*\n(.*?)^[ \t]*-- end[ \t]*\n",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Provider:
    name: str  # in names of methods, members and columns: strava
    title: str  # in texts: Strava


def load_providers(files) -> tuple[Provider, ...]:
    """files: (Source, Problems, data) of each catalog file. Removes the tables from the data."""
    found = []
    for source, problems, data in files:
        table = Table(source, problems, (), data)
        for child in table.children("providers"):
            child.check_name("provider")
            found.append(Provider(child.name, child.take("title", str, "", required=True)))
            child.finish()
        data.pop("providers", None)
    return tuple(found)


def expand(data, providers):
    """A TOML value with its `{provider}` entries repeated for each provider."""
    if isinstance(data, list):
        items = []
        for item in data:
            if isinstance(item, str) and MARK in item:
                items += [fill(item, provider) for provider in providers]
            else:
                items.append(expand(item, providers))
        return items
    if not isinstance(data, dict):
        return data
    result, together = {}, []
    for key, value in [*data.items(), (None, None)]:
        if key is not None and MARK in key:
            together.append((key, value))
            continue
        for provider in providers if together else ():
            result |= {fill(k, provider): fill(v, provider) for k, v in together}
        together = []
        if key is not None:
            result[key] = expand(value, providers)
    return result


def fill(value, provider: Provider):
    """The value with the provider's name and title in place of the marks."""
    if isinstance(value, str):
        return value.replace(MARK, provider.name).replace("{Provider}", provider.title)
    if isinstance(value, list):
        return [fill(item, provider) for item in value]
    if isinstance(value, dict):
        return {fill(key, provider): fill(item, provider) for key, item in value.items()}
    return value


def unfill(key: str, providers) -> str:
    """The possible key in the catalog file: `update_strava_token` -> `update_{provider}_token`."""
    for provider in providers:
        if re.search(rf"(?:\A|_){provider.name}(?:\Z|_)", key):
            return re.sub(rf"(\A|_){provider.name}(\Z|_)", rf"\g<1>{MARK}\g<2>", key)
    return key


def expand_sql(text: str, providers) -> str:
    """Repeats lines between `-- each provider:` and `-- end` for each provider; with commas between
    them after `-- each provider, with commas:`.
    """

    def repeat(match):
        texts = [fill(match[2], provider) for provider in providers]
        return ",\n".join(text.rstrip() for text in texts) + "\n" if match[1] else "".join(texts)

    return _EACH.sub(repeat, text)
