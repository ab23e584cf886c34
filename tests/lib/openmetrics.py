"""A strict parser of the OpenMetrics 1.0 text format and of Prometheus' older one. Anything that
the formats do not allow raises ValueError. It is stricter than collectors, which accept much that
the standard forbids."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|Inf)|NaN")
SUFFIXES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "info": ("_info",),
    "unknown": ("",),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "summary": ("_count", "_sum", "_created", ""),
}
CLASSIC_SUFFIXES = {
    **SUFFIXES,
    "counter": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum", ""),
    "untyped": ("",),
}

OF_SERVERS = re.compile(
    r"pierre_dbd_(server_\w+|usable_standbys)\b"
)  # those of a daemon that reads from standbys


class Family:
    def __init__(self, name):
        self.name = name
        self.type = self.unit = self.help = None
        self.samples = []  # (name, labels, number), in order

    def values(self, suffix="", **labels):
        """Returns the numbers of the samples that have these labels."""
        return [
            number
            for name, found, number in self.samples
            if name == self.name + suffix
            and all(found.get(key) == value for key, value in labels.items())
        ]


def demand(true, words):
    if not true:
        raise ValueError(words)


def classic_comment(line):
    return line.startswith("#") and not re.match(r"# (TYPE|HELP) ", line)


class Parser:
    def __init__(self, classic):
        self.classic = classic
        self.suffixes = CLASSIC_SUFFIXES if classic else SUFFIXES
        self.families = {}
        self.current = None
        self.owners = {}  # every sample name that a family may have -> the family

    def parse(self, text):
        demand(text.endswith("\n"), "the last line does not end")
        lines = text[:-1].split("\n")
        if not self.classic:
            demand(lines.pop() == "# EOF", "there is no # EOF at the end")
        for number, line in enumerate(lines, 1):
            try:
                if classic_comment(line) and self.classic:
                    continue
                if line.startswith("#"):
                    self.describe(line)
                else:
                    self.sample(line)
            except ValueError as problem:
                raise ValueError(f"line {number}: {problem}: {line}") from None
        for family in self.families.values():
            self.finish(family)
        return self.families

    def describe(self, line):
        found = re.fullmatch(r"# (TYPE|UNIT|HELP) (\S+) (.*)", line)
        demand(found, "no sample, TYPE, UNIT or HELP")
        word, name, value = found.groups()
        demand(NAME.fullmatch(name), "not a metric name")
        if self.current is None or self.current.name != name:
            demand(name not in self.families, "the family is in two places")
            self.current = self.families[name] = Family(name)
        family = self.current
        demand(not family.samples, "it follows samples")
        demand(getattr(family, word.lower()) is None, "it is given twice")
        if word == "TYPE":
            demand(value in self.suffixes, "no such type")
        elif word == "UNIT":
            demand(not self.classic, "the older format has no units")
            demand(value and name.endswith("_" + value), "the name does not end with the unit")
        else:
            demand(
                value
                and not re.search(r'\\(?![\\n"])' if not self.classic else r"\\(?![\\n])", value),
                "a wrong escape, or nothing",
            )
        setattr(family, word.lower(), value)

    def sample(self, line):
        name = NAME.match(line)
        demand(name, "not a metric name")
        name, rest = name.group(), line[name.end() :]
        labels = {}
        if rest.startswith("{"):
            inner, closed, rest = rest[1:].rpartition("}")
            demand(closed, "no } after the labels")
            labels = self.labels(inner)
        demand(re.fullmatch(r" \S+", rest), "not one space and one number after the name")
        demand(NUMBER.fullmatch(rest[1:]), "not a number")
        family = self.current
        demand(family is not None and family.type is not None, "a sample without TYPE")
        suffixes = self.suffixes[family.type]
        demand(
            any(name == family.name + suffix for suffix in suffixes),
            f"the name is not {family.name} with {suffixes}",
        )
        demand(
            self.owners.setdefault(name, family) is family,
            "another family has samples of that name",
        )
        demand(
            (name, labels) not in [(one, found) for one, found, _ in family.samples],
            "a duplicate sample",
        )
        family.samples.append((name, labels, float(rest[1:])))

    @staticmethod
    def labels(text):
        labels, at = {}, 0
        while at < len(text):
            found = LABEL.match(text, at)
            demand(found, "not a label")
            demand(found[1] not in labels, "a duplicate label")
            labels[found[1]] = re.sub(
                r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], found[2]
            )
            at = found.end()
            if at < len(text):
                demand(text[at] == "," and at + 1 < len(text), "no comma between labels")
                at += 1
        return labels

    def finish(self, family):
        demand(family.type is not None, f"{family.name} has no TYPE")
        demand(family.help is not None, f"{family.name} has no HELP")
        kind = family.type
        for name, labels, number in family.samples:
            if kind in ("counter", "histogram") or (kind == "summary" and "quantile" not in labels):
                demand(number >= 0, f"{name} {labels} is {number}")
            if kind == "info":
                demand(number == 1, f"{name} is not 1")
            demand(
                ("le" in labels) == (kind == "histogram" and name.endswith("_bucket")),
                f"{name}: le",
            )
        if kind == "histogram":
            self.histogram(family)

    @staticmethod
    def histogram(family):
        groups = {}
        for name, labels, number in family.samples:
            bare = tuple(sorted((key, value) for key, value in labels.items() if key != "le"))
            groups.setdefault(bare, []).append((name[len(family.name) :], labels.get("le"), number))
        order = [
            tuple(sorted((key, value) for key, value in labels.items() if key != "le"))
            for _, labels, _ in family.samples
        ]
        demand(order == sorted(order, key=list(groups).index), f"{family.name}: metrics are mixed")
        for bare, samples in groups.items():
            buckets = [(float(le), number) for suffix, le, number in samples if suffix == "_bucket"]
            demand(
                buckets and math.isinf(buckets[-1][0]),
                f"{family.name} {bare} has no bucket +Inf at the end",
            )
            demand(
                all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(buckets, buckets[1:])),
                f"{family.name} {bare}: buckets do not grow",
            )
            counts = [number for suffix, _, number in samples if suffix == "_count"]
            demand(
                counts == [buckets[-1][1]],
                f"{family.name} {bare}: the count is not the last bucket's",
            )
            demand(
                len([1 for suffix, _, _ in samples if suffix == "_sum"]) == 1,
                f"{family.name} {bare} has no sum",
            )


def parse(text, classic=False):
    """Returns name -> Family. Raises ValueError for a text that violates the format."""
    return Parser(classic).parse(text)
