"""Effects of other sessions and of the database's own rules on the daemon's statements: locks,
deadlocks, conflicts, altered tables, changed session state, failures in the middle of a pipeline.
Would catch: an endless wait for a lock, an error where another try would have succeeded, endless
tries, a neighbour's failure in a call's answer, a write lost in an open transaction."""
import os
import random
import time

from lib import invariants
from lib.daemon import SANITIZER, SLOW
from lib.postgres_case import ServerCase, recovered
from lib.proxy import Inject
from lib.world import UNKNOWN, World, new_api_key, new_user, unique, uuid4

BACKENDS = ("postgres",)
TOKEN = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_at": "2030-01-01T00:00:00Z",
    "scope": "read",
}
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))


class StatementCase(ServerCase):
    settings = {"deadlock_timeout": "'1s'"}
    options = ("--pool", "1")

    def setUp(self):
        super().setUp()
        self.small = self.daemon(*self.options)
        self.one = self.small.connect()
        self.addCleanup(self.one.close)
        self.world = World(self.one)
        self.one.call("daemon.ping")
        self.before = invariants.Snapshot(self.small)

    def sound(self):
        invariants.check(self.small, self.before)

    def blocked(self):
        """Waits until one of the daemon's statements waits for a lock."""
        self.within(
            10,
            lambda: self.query(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
                f"AND wait_event_type = 'Lock' AND datname = '{self.name}'"
            )
            != "0",
        )


class Locks(StatementCase):
    options = ("--pool", "2", "--pool-min", "2", "--call-timeout", "1s")

    def test_table_locked(self):
        user = self.world.user()
        self.within(5, lambda: len(self.backends()) == 2)
        old = set(self.backends())
        with self.server.session(self.name) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            identifiers = [
                self.one.request("update_last_active", user_id=user),
                self.one.request("get_user", user_id=user),
            ]
            for identifier in identifiers:
                error = self.one.answer(identifier)["error"]
                self.assertEqual(
                    (error["data"]["kind"], error["data"]["outcome"]), ("timeout", "none")
                )
            took = time.monotonic() - began
            self.assertGreater(took, 0.9)
            self.assertLess(took, 1 + 2 + 2 * SLOW)
            other.run("ROLLBACK")
        began = time.monotonic()
        self.one.call("update_last_active", user_id=user)
        recovered("a lock that outlasted its calls", time.monotonic() - began)
        self.assertEqual(set(self.backends()), old, "a working connection was closed")
        self.assertEqual(
            self.query(
                f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}' AND "
                "application_name = 'pierre-dbd' "
                "AND state <> 'idle'"
            ),
            "0",
        )
        self.sound()

    def test_others_go_on(self):
        """A locked row delays the calls that need it, and no others."""
        user, other_user = self.world.user(), self.world.user()
        with self.server.session(self.name) as other:
            other.run("BEGIN")
            other.run(f"SELECT 1 FROM users WHERE id = '{user}' FOR UPDATE")
            waiting = self.one.request("update_last_active", user_id=user)
            self.blocked()
            with self.small.connect() as second:
                for _ in range(50):
                    began = time.monotonic()
                    second.call("update_last_active", user_id=other_user)
                    self.assertLess(time.monotonic() - began, 0.5 * SLOW)
            other.run("COMMIT")
            self.assertIsNone(self.one.answer(waiting)["result"])
        self.sound()


class OwnLocks(StatementCase):
    """The daemon's own batches beside one another."""

    options = ("--pool", "4", "--pool-min", "4")

    def test_same_rows_in_any_order(self):
        """Many clients change the same few rows, with several calls in flight each: no two
        transactions may wait for each other."""
        users = [self.world.user() for _ in range(30)]
        self.within(5, lambda: len(self.backends()) == 4)
        self.before = invariants.Snapshot(self.small)  # with all connections open
        chance, clients = random.Random(7), [self.small.connect() for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
        began = time.monotonic()
        for _ in range(10):
            wanted = []
            for client in clients:
                # A read before each keeps batches of several connections in flight.
                calls = [("get_user", {"user_id": chance.choice(users)})]
                calls += [
                    ("update_last_active", {"user_id": chance.choice(users)}) for _ in range(24)
                ]
                first = client.last_id + 1
                client.send(b"".join(client.encode(*call)[0] for call in calls), note=False)
                wanted.append((client, first + len(calls)))
            for client, end in wanted:
                for identifier in range(end - 25, end):
                    self.assertIn("result", client.answer(identifier))
        for client in clients:
            client.close()
        print(f"  {10 * 8 * 24} updates of the same rows in {time.monotonic() - began:.2f} s")
        self.query("SELECT pg_stat_clear_snapshot()")
        self.assertEqual(
            self.query(f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{self.name}'"), "0"
        )
        self.sound()


class Conflicts(StatementCase):
    def test_deadlock(self):
        """Two updates of one batch conflict with a transaction that makes them in the other order.
        The server aborts the batch, and it runs again."""
        first, second = sorted(
            (self.world.user(), self.world.user())
        )  # the order in which a batch takes its locks
        for number in range(2):
            with self.server.session(self.name) as other:
                other.run("SET deadlock_timeout = '20s'")
                other.run("BEGIN")
                other.run(f"UPDATE users SET display_name = 'other {number}' WHERE id = '{second}'")
                # They follow a pending call, so that both share a batch.
                data = b"".join(
                    self.one.encode(*call)[0]
                    for call in (
                        ("get_user_count", None),
                        ("update_last_active", {"user_id": first}),
                        ("update_last_active", {"user_id": second}),
                    )
                )
                last = self.one.last_id
                self.one.send(data, note=False)
                self.blocked()
                other.run(
                    f"UPDATE users SET display_name = 'other {number}' WHERE id = '{first}'"
                )  # the batch checks for deadlocks first
                other.run("COMMIT")
            for identifier in range(last - 1, last + 1):
                self.assertIsNone(self.one.answer(identifier)["result"])
            self.one.answer(last - 2)
        self.assertGreaterEqual(
            int(
                self.query(f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{self.name}'")
            ),
            1,
        )
        self.sound()

    def count_tries(self, state, method, params, fail_first):
        """A trigger refuses the first tries with that SQLSTATE. A sequence counts all of them,
        since it is never rolled back."""
        self.query(
            "CREATE SEQUENCE tries; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN "
            f"IF nextval('tries') <= {fail_first} THEN RAISE EXCEPTION 'not now' USING ERRCODE "
            f"= '{state}'; END IF; "
            "RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW "
            "EXECUTE FUNCTION refuse()"
        )
        try:
            answer = self.one.answer(self.one.request(method, params))
            return answer, int(self.query("SELECT last_value FROM tries"))
        finally:
            self.query("DROP TRIGGER refuse ON users; DROP FUNCTION refuse; DROP SEQUENCE tries")

    def test_tries(self):
        """40001 and 40P01 are tried again three times, and no more."""
        user = {"user_id": self.world.user()}
        for state in ("40001", "40P01"):
            answer, tries = self.count_tries(state, "update_last_active", user, 3)
            self.assertEqual((answer.get("error"), tries), (None, 4))
            answer, tries = self.count_tries(state, "update_last_active", user, 1000)
            data = answer["error"]["data"]
            self.assertEqual(
                (data["kind"], data["retryable"], data["outcome"], tries),
                ("unavailable", True, "none", 4),
            )
        answer, tries = self.count_tries("22012", "update_last_active", user, 1000)
        self.assertEqual(
            (answer["error"]["data"]["kind"], tries),
            ("internal", 1),
            "a call's own failure is not tried again",
        )
        self.sound()

    def test_serialization(self):
        """A real 40001: another transaction has changed the row since this one's snapshot."""
        self.query(
            f"ALTER DATABASE {self.name} SET default_transaction_isolation = 'repeatable read'"
        )
        daemon = self.daemon("--pool", "1", key=self.small.key)
        user = self.world.user()
        with daemon.connect() as one, self.server.session(self.name) as other:
            for _ in range(3):
                other.run("BEGIN")
                other.run(f"UPDATE users SET display_name = 'other' WHERE id = '{user}'")
                waiting = one.request("update_last_active", user_id=user)
                self.blocked()
                other.run("COMMIT")
                self.assertIsNone(one.answer(waiting)["result"])
            self.assertGreaterEqual(one.call("daemon.stats")["counters"]["db_retries"], 3)
        self.sound()


class Spoilt(StatementCase):
    """Sessions that something else has changed."""

    options = ("--pool", "4", "--pool-min", "4")

    def setUp(self):
        super().setUp()
        self.within(5, lambda: self.connections(self.small) == 4)
        self.before = invariants.Snapshot(self.small)

    def warm(self, daemon, calls):
        """Prepares the statements on all connections."""
        clients = daemon.admitted(8)
        for _ in range(10):
            for client in clients:
                client.send(b"".join(client.encode(*call)[0] for call in calls * 8), note=False)
            for client in clients:
                for identifier in range(client.last_id - 8 * len(calls) + 1, client.last_id + 1):
                    self.assertNotIn("error", client.answer(identifier))
        for client in clients:
            client.close()

    def test_tables_altered(self):
        """Cached plans become stale on every connection at once, and no caller notices."""
        user = self.world.user(display_name="as before")
        calls = [("get_user", {"user_id": user}), ("update_last_active", {"user_id": user})]
        self.warm(self.small, calls)
        for statement in (
            "ALTER TABLE users ALTER COLUMN display_name TYPE varchar(200)",
            "ALTER TABLE users ADD COLUMN extra TEXT DEFAULT 'x'",
            "ALTER TABLE users ALTER COLUMN display_name TYPE text",
            "ALTER TABLE users DROP COLUMN extra",
            "DROP INDEX api_keys_key_prefix",
            "ANALYZE users",
        ):
            self.query(statement)
            self.warm(self.small, calls)
        self.assertEqual(self.one.call("get_user", user_id=user)["display_name"], "as before")
        self.sound()

    def test_deallocated_by_a_trigger(self):
        """DEALLOCATE ALL in the middle of a pipeline: the work before it is lost as well, and all
        of it runs again."""
        user = self.world.user()
        self.query(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE "
            "'DEALLOCATE ALL'; RETURN NEW; END $$; "
            "CREATE TRIGGER spoil AFTER INSERT ON goals FOR EACH ROW EXECUTE FUNCTION spoil()"
        )
        for _ in range(5):
            calls = []
            for number in range(6):
                calls += [
                    ("update_last_active", {"user_id": user}),
                    ("create_goal", {"user_id": user, "goal_data": {"title": f"g{number}"}}),
                    ("get_user", {"user_id": user}),
                ]
            answers = self.one.many(calls)
            self.assertEqual([answer["error"] for answer in answers if "error" in answer], [])
        self.assertEqual(self.query("SELECT count(*) FROM goals"), "30")
        self.query("DROP TRIGGER spoil ON goals")
        self.sound()

    def test_settings_left_by_a_trigger(self):
        """A changed search_path remains: the session is closed, and the next caller gets the
        defaults."""
        user = self.world.user()
        time.sleep(2.1)  # a new connection is not checked
        self.query(
            "CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM set_config('search_path', 'nowhere', false); RETURN NEW; END $$; "
            "CREATE TRIGGER spoil AFTER INSERT ON goals FOR EACH ROW EXECUTE FUNCTION "
            "public.spoil()"
        )
        self.one.call("create_goal", user_id=user, goal_data={"title": "spoils"})
        self.query("DROP TRIGGER spoil ON goals")
        self.assertEqual(self.one.call("get_user", user_id=user)["id"], user)
        self.one.call("create_goal", user_id=user, goal_data={"title": "after"})
        self.assertEqual(
            [goal["title"] for goal in self.one.call("get_user_goals", user_id=user)],
            ["after", "spoils"],
        )
        self.sound()


class Injected(ServerCase):
    """Foreign statements on the daemon's connection just before a write, as a pooler lets them
    through."""

    settings = StatementCase.settings

    def test_statements(self):
        proxy, daemon = self.proxied(pool=1)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            world = World(one)
            for statement, suspicion in (
                ("BEGIN", False),
                ("BEGIN; SELECT 1/0", False),
                ("DEALLOCATE ALL", False),
                ("DISCARD ALL", False),
                ("SET search_path = nowhere", True),
                ("SET default_transaction_read_only = on", True),
            ):
                with self.subTest(statement=statement):
                    if suspicion:
                        time.sleep(2.1)  # a new connection is not checked
                    self.inject(proxy, one, world.user(), statement)
        invariants.check(daemon, before)

    def inject(self, proxy, one, user, statement):
        one.call("create_api_key", api_key=new_api_key(user))
        key = new_api_key(user, id=unique("marked"))
        proxy.fault = fault = Inject(key["id"], statement)
        answer = one.answer(one.request("create_api_key", api_key=key))
        proxy.fault = None
        self.assertIsNotNone(fault.link)
        self.assertIsNone(answer.get("error"))
        self.assertEqual(self.query(f"SELECT count(*) FROM api_keys WHERE id = '{key['id']}'"), "1")
        one.call("create_api_key", api_key=new_api_key(user))
        self.assertEqual(len(one.call("get_user_api_keys", user_id=user)), 3)


class Merged(StatementCase):
    """Pending look-ups of one kind share a statement. Each gets its own answer or its own
    failure."""

    def merged(self):
        return self.one.call("daemon.stats")["counters"]["db_merged_calls"]

    def test_each_gets_its_own(self):
        """Existing keys, missing keys and repeated keys, for every kind of look-up."""
        users = [self.world.user(display_name=f"user {i}") for i in range(40)]
        for user in users[::2]:
            self.one.call("update_strava_token", user_id=user, **TOKEN)
        rows = {user: self.one.call("get_user", user_id=user) for user in users}
        tokens = {user: self.one.call("get_strava_token", user_id=user) for user in users}
        chance, shared = random.Random("merged"), self.merged()
        for size in (6, 7, 12, 40, 127, 128, 129, 200):
            calls, wanted = [], []
            for _ in range(size):
                user = chance.choice([*users, UNKNOWN])
                kind = chance.choice(
                    (
                        "get_user",
                        "get_user",
                        "get_user_by_email",
                        "get_user_by_email_required",
                        "get_strava_token",
                        "get_user_goals",
                    )
                )
                email = rows[user]["email"] if user in rows else "nobody@example.com"
                calls.append((kind, {"email": email} if "email" in kind else {"user_id": user}))
                wanted.append(
                    {"get_strava_token": tokens.get(user), "get_user_goals": []}.get(
                        kind, rows.get(user)
                    )
                )
            for call, answer, row in zip(calls, self.one.many(calls), wanted):
                if call[0] == "get_user_by_email_required" and row is None:
                    self.assertEqual(answer["error"]["data"]["kind"], "not_found", call)
                else:
                    self.assertEqual(answer.get("result", answer.get("error")), row, call)
        self.assertGreater(self.merged(), shared + 300, "no look-ups were merged")
        self.sound()

    def test_order(self):
        """Reads do not overtake a write, nor a write the reads."""
        user, others = self.world.user(), [self.world.user() for _ in range(8)]
        shared = self.merged()
        for number in range(20):
            look = [("get_strava_token", {"user_id": one}) for one in (user, *others, user)]
            calls = [
                *look,
                ("update_strava_token", {"user_id": user, **TOKEN, "access_token": f"t{number}"}),
                *look,
                ("clear_strava_token", {"user_id": user}),
                *look,
            ]
            answers = [answer.get("result", answer) for answer in self.one.many(calls)]
            for at, wanted in (
                (0, None),
                (9, None),
                (11, f"t{number}"),
                (20, f"t{number}"),
                (22, None),
                (31, None),
            ):
                self.assertEqual(
                    answers[at] and answers[at]["access_token"],
                    wanted,
                    f"call {at} of round {number}",
                )
        self.assertGreater(self.merged(), shared + 200)
        self.sound()

    def test_one_row_is_bad(self):
        """A row that cannot be returned fails only the calls that ask for it."""
        users = [self.world.user() for _ in range(20)]
        self.query(f"UPDATE users SET last_active = 'infinity' WHERE id = '{users[7]}'")
        shared = self.merged()
        for user, answer in zip(
            users, self.one.many([("get_user", {"user_id": user}) for user in users])
        ):
            if user == users[7]:
                self.assertEqual(answer["error"]["data"]["kind"], "storage")
            else:
                self.assertEqual(answer["result"]["id"], user)
        self.assertGreater(self.merged(), shared)
        self.query(f"UPDATE users SET last_active = created_at WHERE id = '{users[7]}'")
        self.sound()

    def test_statement_fails(self):
        """One key makes the shared statement fail. The other look-ups are still answered, and
        merging stops for a while."""
        users = [self.world.user() for _ in range(20)]
        self.query(
            "ALTER TABLE users RENAME TO users_kept; CREATE VIEW users AS SELECT * FROM users_kept "
            f"WHERE CASE WHEN id = '{users[7]}' THEN 1 / (length(email) - length(email)) ELSE 1 "
            "END = 1"
        )
        try:
            for _ in range(3):
                for user, answer in zip(
                    users, self.one.many([("get_user", {"user_id": user}) for user in users])
                ):
                    if user == users[7]:
                        self.assertEqual(answer["error"]["data"]["kind"], "internal")
                    else:
                        self.assertEqual(answer["result"]["id"], user)
        finally:
            self.query("DROP VIEW users; ALTER TABLE users_kept RENAME TO users")
        shared = self.merged()
        self.within(
            30,
            lambda: self.one.many([("get_user", {"user_id": user}) for user in users])
            and self.merged() > shared,
        )
        self.sound()


class Pipelines(StatementCase):
    def test_failure_at_every_place(self):
        """n new users in one batch, the k-th with an existing address: only that one is refused."""
        taken = self.one.call("get_user", user_id=self.world.user())["email"]
        sizes = range(1, 17, 3 if SANITIZER else 1)
        for n in sizes:
            for k in range(n):
                users = [new_user(**({"email": taken} if i == k else {})) for i in range(n)]
                answers = self.one.many([("create_user", {"user": user}) for user in users])
                for i, answer in enumerate(answers):
                    if i == k:
                        self.assertEqual(
                            (answer["error"]["data"]["kind"], answer["error"]["data"]["field"]),
                            ("conflict", "email"),
                        )
                    else:
                        self.assertEqual(answer.get("error"), None, f"{i} of {n}, where {k} fails")
        self.assertGreater(
            self.one.call("daemon.stats")["gauges"]["db_batch_max"],
            8,
            "the calls did not share a batch",
        )
        self.assertEqual(
            int(self.query("SELECT count(*) FROM users")), 1 + sum(n * (n - 1) for n in sizes)
        )
        self.sound()

    def test_random(self):
        """Random pipelines with many calls that must fail, compared with a model that knows each
        call's result."""
        seed = os.environ.get("PIERRE_TEST_SEED", "pipelines")
        chance, model = random.Random(seed), Model()
        rounds, kinds = 10000 if LONG else 300, {}
        began = time.monotonic()
        for number in range(rounds):
            calls = [model.random_call(chance) for _ in range(chance.randint(1, 40))]
            expected = [model.run(*call) for call in calls]
            answers = self.one.many(calls)
            for call, answer, wanted in zip(calls, answers, expected):
                got = answer["error"]["data"]["kind"] if "error" in answer else answer["result"]
                if isinstance(got, dict):
                    got = got["id"]
                elif isinstance(got, list):
                    got = sorted(one["id"] for one in got)
                self.assertEqual(
                    got, wanted, f"pipeline {number} of seed {seed}: {call} in {calls}"
                )
                kind = answer["error"]["data"]["kind"] if "error" in answer else "result"
                kinds[kind] = kinds.get(kind, 0) + 1
            if time.monotonic() - began > (600 if LONG else 10) * SLOW:
                break
        print(f"  {number + 1} random pipelines, {kinds}", flush=True)
        self.assertGreater(number, 50)
        self.assertEqual(set(kinds), {"result", "conflict", "not_found"})
        self.sound()


class Model:
    """The expected results of a pipeline's calls. Few names, so that calls conflict."""

    def __init__(self):
        self.ids = [uuid4() for _ in range(60)]
        self.prefix = unique("m")
        self.users = {}  # id: email
        self.keys = {}  # id: (owner, name)

    def random_call(self, chance):
        user, number = chance.choice(self.ids), chance.randrange(40)
        what = chance.choice(
            ("create", "create", "by_email", "touch", "touch", "key", "key", "keys", "unknown")
        )
        email = f"{self.prefix}-{number}@example.com"
        if what == "create":
            return "create_user", {"user": new_user(id=user, email=email)}
        if what == "by_email":
            return "get_user_by_email", {"email": email}
        if what == "touch":
            return "update_last_active", {"user_id": user}
        if what == "key":
            return "create_api_key", {
                "api_key": new_api_key(user, id=f"{self.prefix}-k{number}", name=f"n{number % 5}")
            }
        if what == "keys":
            return "get_user_api_keys", {"user_id": user}
        return "upsert_user_profile", {"user_id": UNKNOWN, "profile_data": {"a": 1}}

    def run(self, method, params):
        if method == "create_user":
            user = params["user"]
            if user["id"] in self.users or user["email"] in self.users.values():
                return "conflict"
            self.users[user["id"]] = user["email"]
            return user["id"]
        if method == "get_user_by_email":
            return next(
                (user for user, email in self.users.items() if email == params["email"]), None
            )
        if method == "update_last_active":
            return None if params["user_id"] in self.users else "not_found"
        if method == "get_user_api_keys":
            return sorted(
                key for key, (owner, _) in self.keys.items() if owner == params["user_id"]
            )
        if method == "create_api_key":
            key = params["api_key"]
            if key["id"] in self.keys or (key["user_id"], key["name"]) in self.keys.values():
                return "conflict"
            if key["user_id"] not in self.users:
                return "not_found"
            self.keys[key["id"]] = (key["user_id"], key["name"])
            return None
        return "not_found"
