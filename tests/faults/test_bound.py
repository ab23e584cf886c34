"""Bound tokens and hashed session tokens. Would catch: a token that opens after it was moved to
another user, provider or column; one of the old format that a bound database accepts; a session
token that stays in the database as it is, or a hash that passes for a token; an old database that
changes before its operator says so; a change that a kill -9 or another daemon breaks."""
import base64
import contextlib
import json
import os
import signal
import sqlite3
import threading

from lib import model, old_installation
from lib.bound import COLUMNS, EXPIRES, PROVIDERS, BoundCase, run
from lib.daemon import BINARY, CTL, Daemon, new_key
from lib.rpc import RpcError, result_of
from lib.world import World, new_a2a_usage, stored_session


class Moved(BoundCase):
    def test_a_new_database_is_bound(self):
        self.daemon.start()
        one, other = self.fill(2)
        whole = self.tokens([one, other])
        self.assertEqual(self.formats()[0], {True})
        names = [f"{p}_{c}" for p in PROVIDERS for c in COLUMNS]
        rows = {row[0]: row[1:] for row in self.sql(f"SELECT id, {', '.join(names)} FROM users")}
        stored = {user: dict(zip(names, rows[user])) for user in (one, other)}

        def put(user, **values):
            self.sql(
                "UPDATE users SET "
                + ", ".join(f"{name} = '{value}'" for name, value in values.items())
                + f" WHERE id = '{user}'"
            )

        def exchanged(nonce):
            return nonce[16:] + nonce[:16]

        own = stored[one]
        moves = {
            "another user": (other, "strava", {c: own[f"strava_{c}"] for c in COLUMNS}),
            "another provider": (one, "fitbit", {c: own[f"strava_{c}"] for c in COLUMNS}),
            "another column": (
                one,
                "strava",
                {
                    "access_token": own["strava_refresh_token"],
                    "refresh_token": own["strava_access_token"],
                    "nonce": exchanged(own["strava_nonce"]),
                },
            ),
            "one text of another provider": (
                one,
                "strava",
                {"refresh_token": own["fitbit_refresh_token"]},
            ),
        }
        for what, (user, provider, values) in moves.items():
            with self.subTest(what):
                put(user, **{f"{provider}_{name}": value for name, value in values.items()})
                self.assertEqual(
                    self.fails(f"get_{provider}_token", user_id=user), "decryption_failed"
                )
                self.assertEqual(
                    self.fails("lease_token_refresh", user_id=user, provider=provider),
                    "decryption_failed",
                )
                self.assertEqual(self.steps()["unreadable"], 1)
                put(user, **stored[user])
        self.assertEqual(self.tokens([one, other]), whole)
        put(other, **{f"strava_{c}": own[f"strava_{c}"] for c in COLUMNS})
        self.stop()
        environment = {"ENCRYPTION_KEY": self.key, "DATABASE_URL": self.daemon.url}
        code, out, _ = run([BINARY, "--verify=json"], **environment)
        self.assertEqual(code, 65)
        report = json.loads(out)
        self.assertIn(
            f"the strava token of user {other} cannot be opened", "\n".join(report["problems"])
        )
        # One of the old format, such as a backup holds, is no token here.
        put(other, **stored[other])
        self.forge(one)
        self.daemon.start()
        self.assertEqual(self.fails("get_strava_token", user_id=one), "decryption_failed")
        self.assertEqual(self.tokens([other]), whole[2:])
        self.daemon.stop()

    def forge(self, user):
        """A token of the old format, as a backup of before the change holds it."""
        nonces = os.urandom(24)
        key = base64.b64decode(self.key)
        access = old_installation.Sodium.seal(key, nonces[:12], "old access")
        refresh = old_installation.Sodium.seal(key, nonces[12:], "old refresh")
        update = (
            f"UPDATE users SET strava_access_token = '{access}',"
            f" strava_refresh_token = '{refresh}',"
            f" strava_nonce = '{base64.b64encode(nonces).decode()}' WHERE id = '{user}'"
        )
        if self.daemon.backend == "sqlite":
            self.sql(update)
        else:
            self.sql("SET session_replication_role = replica", update)


class Sessions(BoundCase):
    def test_hashed_only(self):
        self.daemon.start()
        with self.daemon.connect() as c:
            world = World(c)
            client = world.client(world.api_key(world.user()))
            token = world.session(client)
            ((stored,),) = self.sql("SELECT session_token FROM a2a_sessions")
            self.assertEqual(stored, stored_session(token))
            session = c.call("get_a2a_session", session_token=token)
            c.call("record_a2a_usage", usage=new_a2a_usage(client, session_token=token))
            usages = [new_a2a_usage(client, session_token=one) for one in (token, None, token)]
            self.assertEqual(c.call("record_a2a_usages", usages=usages), 3)
            self.assertEqual(c.call("get_a2a_session", session_token=token)["requests_count"], 3)
            task = c.call("create_a2a_task", [client, token, "kind", {}])
            self.assertEqual(c.call("get_a2a_task", task_id=task)["session_id"], session["id"])
            # A hash, which the database holds, is no token.
            self.assertIsNone(c.call("get_a2a_session", session_token=stored))
            for method, params in (
                ("update_a2a_session_activity", {"session_token": stored}),
                ("record_a2a_usage", {"usage": new_a2a_usage(client, session_token=stored)}),
                ("create_a2a_task", [client, stored, "kind", {}]),
            ):
                with self.assertRaises(RpcError) as caught:
                    c.call(method, params) if isinstance(params, list) else c.call(method, **params)
                self.assertEqual(caught.exception.kind, "not_found", method)
            usages[1] = new_a2a_usage(client, session_token=stored)
            with self.assertRaises(RpcError) as caught:
                c.call("record_a2a_usages", usages=usages)
            self.assertEqual(caught.exception.data["path"], "usages[1].session_token")
        if self.daemon.backend == "sqlite":
            self.sql("PRAGMA foreign_keys = ON", "DELETE FROM a2a_sessions")
            rows = self.sql("SELECT count(*), count(session_token) FROM a2a_usage")
        else:
            rows = self.sql(
                "DELETE FROM a2a_sessions", "SELECT count(*), count(session_id) FROM a2a_usage"
            )
        self.assertEqual(rows[-1], ["4", "0"])
        self.daemon.stop()


class Binding(BoundCase):
    def test_from_beginning_to_end(self):
        self.unbind()
        users = self.fill(150)
        client, sessions = self.sessions(230)
        lease = {"user_id": users[0], "provider": "fitbit", "seconds": 300}
        self.assertTrue(self.daemon.call("lease_token_refresh", **lease)["granted"])
        before = self.tokens(users)
        self.assertEqual(self.formats(), ({False}, {False}))
        # Without --bind nothing changes, over a restart and a change of the key.
        self.assertEqual(self.ctl("rotate-key")[0], 0)
        self.stop()
        self.daemon.start()
        self.assertEqual(self.formats(), ({False}, {False}))
        findings = self.daemon.call("daemon.diagnose")["findings"]
        (finding,) = [one for one in findings if one["name"] == "token_format"]
        self.assertIn("rotate-key --bind", finding["detail"])
        # It says what ends, and changes nothing without consent.
        code, out, err = self.ctl("rotate-key", "--bind")
        self.assertEqual((code, out), (64, ""), err)
        self.assertRegex(err, "cannot be undone.*\n(.*\n)*.*nothing was changed.* --yes ")
        self.assertEqual(self.formats(), ({False}, {False}))
        code, out, err = self.ctl("rotate-key", "--bind", "--yes")
        self.assertEqual(code, 0, err)
        self.assertIn("cannot be undone", err)
        self.assertRegex(out, "; 300 were re-encrypted\nthey are bound .* 230 of them")
        self.assertEqual(self.formats(), ({True}, {True}))
        self.assertEqual(self.tokens(users), before)  # with the versions of the tokens
        self.assertFalse(self.daemon.call("lease_token_refresh", **lease)["granted"])
        self.assertEqual(self.found(sessions), sessions)
        token = next(iter(sessions))
        with self.daemon.connect() as c:
            c.call("record_a2a_usage", usage=new_a2a_usage(client, session_token=token))
            c.call("update_a2a_session_activity", session_token=token)
            fresh = World(c).session(client)
            self.assertIsNotNone(c.call("get_a2a_session", session_token=fresh))
        sessions[token] += 1
        self.assertEqual(self.formats(), ({True}, {True}))
        answer = self.steps(bind=True)
        self.assertEqual(
            (answer["state"], answer["format"], answer["resealed"], answer["sessions"]),
            ("finished", "bound", 0, 0),
        )
        self.stop()
        if self.daemon.backend == "sqlite":
            with open(self.daemon.database.path, "rb") as file:
                content = file.read()
            left = [token for token in sessions if token.encode() in content]
            self.assertEqual(left, [])
        # A change of the key keeps the tokens bound.
        self.daemon.key, old = new_key(), self.key
        model.secrets.add(self.daemon.key)
        self.daemon.environment = {"PREVIOUS_ENCRYPTION_KEY": old}
        self.daemon.start()
        self.assertEqual(self.ctl("rotate-key")[0], 0)
        self.assertEqual(self.formats(), ({True}, {True}))
        self.assertEqual(self.tokens(users), before)
        self.assertEqual(self.found(sessions), sessions)
        self.stop()
        code, out, err = run(
            [BINARY, "--verify=json"],
            ENCRYPTION_KEY=self.daemon.key,
            DATABASE_URL=self.daemon.url,
        )
        self.assertEqual((code, json.loads(out)["problems"]), (0, []), err)

    def test_killed_while_calls_go_on(self):
        """Owners write tokens and open sessions all the time; the daemon is killed meanwhile."""
        self.unbind()
        users = self.fill(250)
        client, sessions = self.sessions(120)
        before = self.tokens(users)
        self.begin()
        for _ in range(2):
            with self.daemon.connect() as c:
                if self.daemon.backend == "sqlite":
                    c.call("rotate_key")
                c.request("rotate_key")
                self.daemon.signal(signal.SIGKILL)
                self.daemon.process.wait()
            self.daemon.start()
            self.assertEqual(self.tokens(users), before)
            self.assertEqual(self.found(sessions), sessions)
        owners, stop, problems, last = users[::50], threading.Event(), [], {}

        def write(user):
            with self.daemon.connect() as c:
                number = 0
                while not stop.is_set() or number == 0:
                    number += 1
                    c.call("update_strava_token", [user, f"own {number}", "r", EXPIRES, "s"])
                    token = World(c).session(client)
                    c.call("record_a2a_usage", usage=new_a2a_usage(client, session_token=token))
                    got = c.call("get_strava_token", user_id=user)["access_token"]
                    count = c.call("get_a2a_session", session_token=token)["requests_count"]
                    last[user] = f"own {number}"
                    if (got, count) != (last[user], 1):
                        problems.append((user, number, got, count))
                        return

        threads = [threading.Thread(target=write, args=(user,)) for user in owners]
        for thread in threads:
            thread.start()
        try:
            answer = self.steps()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual((problems, answer["state"], answer["format"]), ([], "finished", "bound"))
        self.assertEqual(sorted(last), sorted(owners))
        self.assertEqual(self.formats(), ({True}, {True}))
        self.stop()
        self.daemon.start()
        for user, token in zip(users, self.tokens(users)[::2]):
            self.assertEqual(token["access_token"], last.get(user, f"a strava {user}"))
        self.daemon.stop()

    def test_an_old_installation(self):
        if self.daemon.backend != "sqlite":
            self.skipTest("old installations are files")
        made = old_installation.make(self.daemon.database.path)
        model.secrets.add(made.key)
        self.daemon.key = made.key
        self.daemon.start()
        versions = {}

        def check():
            with self.daemon.connect() as c:
                for method, params, result in made.calls:
                    answer = result_of(c.answer(c.request(method, **params)))
                    if method.endswith("_token") and answer is not None:
                        of = method, params["user_id"]
                        versions.setdefault(of, answer["version"])
                        self.assertEqual(answer.pop("version"), versions[of])
                    self.assertEqual(answer, result, method)

        check()
        self.assertEqual(self.formats(), ({False}, {False}))
        self.assertEqual(self.ctl("rotate-key", "--bind", "--yes")[0], 0)
        self.assertEqual(self.formats(), ({True}, {True}))
        check()
        self.daemon.stop()

    def test_transfer(self):
        """From either format to either, with versions and sessions."""
        if self.daemon.backend != "sqlite":
            self.skipTest("the same program, whatever the databases")
        folder = self.daemon.folder
        empty = Daemon(key=self.key, folder=folder)
        self.addCleanup(empty.discard)
        empty.start()
        self.assertEqual(empty.terminate(), 0)
        self.unbind()
        users = self.fill(3)
        _, sessions = self.sessions(6)
        before = self.tokens(users)
        self.stop()
        files = {name: os.path.join(folder, f"{name}.db") for name in ("new", "old", "again")}
        with contextlib.closing(sqlite3.connect(self.daemon.database.path)) as db:
            with contextlib.closing(sqlite3.connect(files["old"])) as copy:
                db.backup(copy)
                for table in ("a2a_usage", "a2a_sessions", "a2a_clients", "api_keys", "users"):
                    copy.execute(f"DELETE FROM {table}")
                copy.commit()
        source = self.daemon.database.path
        for name, bound, hashed in (
            ("new", {True}, {True}),
            ("old", {False}, {True}),
            ("again", {True}, {True}),
        ):
            code, out, err = run(
                [CTL, "transfer", "--from", f"sqlite:{source}", "--to", f"sqlite:{files[name]}"],
                PATH=os.path.dirname(BINARY) + ":" + os.environ["PATH"],
                ENCRYPTION_KEY=self.key,
            )
            self.assertEqual(code, 0, err)
            self.daemon.database.path = source = files[name]
            self.daemon.url = f"sqlite:{source}"
            self.assertEqual(self.formats(), (bound, hashed), name)
            self.daemon.start()
            self.assertEqual(self.tokens(users), before)
            self.assertEqual(self.found(sessions), sessions)
            self.stop()
