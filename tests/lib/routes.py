"""Which servers have answered reads, as a daemon shows it."""
import collections

PRIMARY_READS = "primary_reads_"


def reads(daemon):
    """Returns how many causal reads standbys have answered, and why others went to the primary, by
    the daemon's counters."""
    found = collections.Counter()
    for name, value in daemon.call("daemon.stats")["counters"].items():
        if name == "standby_reads":
            found["standby"] = value
        elif name.startswith(PRIMARY_READS):
            found[name[len(PRIMARY_READS) :]] = value
    return found


def roles(daemon):
    """Returns the role of each server by its port, as the daemon knows it."""
    servers = daemon.call("daemon.stats").get("servers", [])
    return {int(server["host"].rpartition(":")[2]): server["role"] for server in servers}
