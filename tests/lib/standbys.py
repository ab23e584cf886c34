"""A private primary with streaming standbys, and daemons that read from them.

    group = Standbys(2)             # group.primary, group.standbys[0] and [1]
    group.url()                     # DATABASE_URL of all hosts
    one.delay("20ms")               # it replays each commit that much later
    one.cut_off(); one.follow(server)
    one.kill(); one.launch(); one.promote()
    with one.paused(): …            # it receives and does not replay
    with one.frozen(): …            # it does not answer

They stay in a state until the opposite is called, or the block ends. Each waits until the server is
in the state."""
import atexit
import contextlib
import functools
import itertools
import signal

from . import states
from .daemon import Daemon
from .postgres_case import Database
from .postgres_server import PostgresServer
from .proxy import Proxy

SETTINGS = {
    "fsync": "off",
    "shared_buffers": "'16MB'",
    "autovacuum": "off",
    "max_standby_streaming_delay": "'30s'",
    "wal_retrieve_retry_interval": "'20ms'",
    "wal_receiver_status_interval": "'1s'",
    "log_line_prefix": "'%m '",
}
NOWHERE = "host=/nonexistent"


class Standby:
    """What makes a server of a group lag behind or vanish."""

    def __init__(self, group, server):
        self.group, self.server = group, server

    def __getattr__(self, name):
        return getattr(self.server, name)

    def ask(self, statement):
        return self.server.psql(statement, "postgres")

    def set(self, **settings):
        """Changes settings; None resets one."""
        for name, value in settings.items():
            to = "DEFAULT" if value is None else f"'{value}'"
            self.ask(f"ALTER SYSTEM SET {name} = {to}")
        self.ask("SELECT pg_reload_conf()")
        for name, value in settings.items():
            states.until(lambda n=name, v=value: self.has(n, v), name)

    def has(self, name, value):
        if value is not None:
            return self.ask(f"SHOW {name}") == value
        source = f"SELECT sourcefile FROM pg_settings WHERE name = '{name}'"
        return not self.ask(source).endswith("postgresql.auto.conf")

    def position(self):
        """What it has replayed, as a number."""
        return int(self.ask("SELECT pg_last_wal_replay_lsn() - '0/0'") or 0)

    def position_as_primary(self):
        return int(self.ask("SELECT pg_current_wal_flush_lsn() - '0/0'"))

    def caught_up(self, position=None):
        """Waits until it shows what the primary has flushed."""
        position = self.group.position() if position is None else position
        states.until(lambda: self.position() >= position, "replay")

    def delay(self, time):
        self.set(recovery_min_apply_delay=time)

    def receiving(self):
        return (
            self.ask("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "1"
        )

    def cut_off(self):
        """It answers its clients, and receives nothing."""
        self.set(primary_conninfo=NOWHERE)
        states.until(lambda: not self.receiving(), "the end of its stream")

    @contextlib.contextmanager
    def deaf(self):
        """It receives nothing, also while it does not replay."""
        receiver = [int(self.ask("SELECT pid FROM pg_stat_wal_receiver"))]
        self.signal(receiver, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(receiver, signal.SIGCONT)

    def follow(self, server=None):
        server = server or self.group.primary
        self.set(
            primary_conninfo=f"host={server.host} port={server.port} user={server.user} "
            f"application_name={self.name}"
        )
        states.until(self.receiving, "a stream")

    @property
    def name(self):
        """By which it is known to its primary."""
        return f"s{self.server.port}"

    def promote(self):
        self.server.promote()
        self.group.primary = self.server


class Standbys:
    def __init__(self, count=2, settings=None):
        self.primary = PostgresServer({**SETTINGS, **(settings or {})})
        self.first, self.standbys, self.key = self.primary, [], None
        self.count, self.all = count, []

    def start(self, migrate=True):
        """Starts all. The database is migrated by a first daemon, unless the tests use others."""
        self.primary.start()
        if migrate:
            with Daemon(database=Database(self.primary.url)) as daemon:
                self.key = daemon.key
        for server in self.primary.standbys(self.count):
            self.add(server)
        return self

    def add(self, server=None):
        """Adds this standby of the primary, or a new one."""
        one = Standby(self, server or self.primary.standby())
        self.standbys.append(one)
        self.all.append(one)
        one.follow()
        return one

    def stop(self):
        for one in self.all:
            one.stop()
        self.first.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def position(self):
        return int(self.primary.psql("SELECT pg_current_wal_flush_lsn() - '0/0'", "postgres"))

    def caught_up(self):
        position = self.position()
        for one in self.standbys:
            one.caught_up(position)

    def synchronous(self, names):
        """Commits wait for these standbys: the text of synchronous_standby_names."""
        self.primary.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "postgres")
        self.primary.psql("SELECT pg_reload_conf()", "postgres")
        states.until(
            lambda: self.primary.psql("SHOW synchronous_standby_names", "postgres") == names, names
        )

    def url(self, *servers, database="pierre", options=""):
        """servers: those of the group, in its order, unless others are given; or proxies."""
        servers = servers or (self.primary, *self.standbys)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        return (
            f"postgresql://{self.first.user}@{hosts}/{database}"
            f"?sslmode=disable&gssencmode=disable{options}"
        )

    def daemon(self, *options, url=None, read_from="standby"):
        """A daemon of the group, not started."""
        return Daemon(
            database=Database(url or self.url()),
            options=("--read-from", read_from, *options) if read_from else options,
            key=self.key,
        )


@functools.cache
def shared():
    """A group with two standbys for all classes of the process, which leave it as it was."""
    group = Standbys(2)
    atexit.register(group.stop)
    return group.start()


class Endpoint(Proxy):
    """One name for several servers: each connection goes to the next one."""

    def __init__(self, *servers):
        super().__init__(servers[0])
        self.targets = itertools.cycle([("127.0.0.1", server.port) for server in servers])

    @property
    def target(self):
        return next(self.targets)

    @target.setter
    def target(self, _):
        pass
