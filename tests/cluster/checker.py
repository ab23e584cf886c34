"""Compares what was answered with what the cluster has."""
import collections


class Report:
    """What a fault has cost."""

    def __init__(self, load, rows):
        """rows: name -> how often it is stored."""
        self.answered = self.refused = self.unknown = self.lost = 0
        self.kinds = collections.Counter()
        rows = dict(rows)
        for writer in load.writers:
            for name, (_, error) in writer.answered.items():
                count = rows.pop(name, 0)
                assert count <= 1, f"{name} is stored {count} times"
                if error is None:
                    self.answered += 1
                    self.lost += count == 0
                    continue
                self.kinds[error["kind"]] += 1
                if error.get("outcome") == "unknown":
                    self.unknown += 1
                else:
                    self.refused += 1
                    assert count == 0, f"{name} was refused and is stored"
        assert not rows, f"rows that no caller wrote: {list(rows)[:3]}"
        self.gap = longest_gap(
            when
            for writer in load.writers
            for when, error in writer.answered.values()
            if error is None
        )
        self.writes_stopped = self.gap[1] - self.gap[0]
        reads = longest_gap(when for reader in load.readers for when in reader.successes)
        self.reads_stopped = reads[1] - reads[0]

    def __str__(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"writes stop for {self.writes_stopped:.1f} s, reads for {self.reads_stopped:.1f} s; "
            f"{self.refused} refused, {self.unknown} unknown{f' ({kinds})' if kinds else ''}; "
            f"{self.answered} answered, {self.lost} lost"
        )


def longest_gap(times):
    """Returns its begin and its end."""
    times = sorted(times)
    return max(zip(times, times[1:]), key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))


def check(load, cluster, what):
    """Reads back every write of a load, from the leader, and prints what the fault has cost."""
    text = cluster.leader().psql(
        "SELECT tool_name || ' ' || count(*) FROM api_key_usage u JOIN api_keys k ON "
        f"k.number = u.api_key WHERE k.id = '{load.key}' GROUP BY tool_name",
        "pierre",
    )
    rows = {}
    for line in text.splitlines():
        name, _, count = line.rpartition(" ")
        rows[name] = int(count)
    report = Report(load, rows)
    print(f"  {what}: {report}", flush=True)
    steps = cluster.steps(*report.gap)
    if steps:
        told = "; ".join(f"{after:.2f} s {step}" for after, step in steps)
        print(f"    {told}; {report.writes_stopped:.2f} s a write is answered", flush=True)
    return report
