"""Rows to test with: each maker stores one through a connection and returns its id; members may be
replaced."""
import itertools
import os
import uuid

from . import model

HASH = "$2b$04$abcdefghijklmnopqrstuuO8d3Ff0p3Ymq0v1pWmJp1iQv3o9Ye2S"
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
ACCESS, REFRESH, WRONG_PASSWORD = "canary-access-a", "canary-refresh-r", "canary-wrong-password"
_count = itertools.count(1)
model.secrets.update(
    {HASH, ACCESS, REFRESH, WRONG_PASSWORD}
)  # must not appear in any error or log, whatever a test does


def unique(prefix):
    return f"{prefix}-{os.getpid()}-{next(_count)}"


def new_user(**members):
    return {"email": f"{unique('user')}@example.com", "password_hash": HASH, **members}


def new_api_key(owner, **members):
    name = unique("key")
    return {
        "id": name,
        "user_id": owner,
        "name": f"Key {name}",
        "key_prefix": f"pk_{name}",
        "key_hash": f"hash of {name}",
        "description": None,
        "tier": "starter",
        "rate_limit_requests": 10000,
        "rate_limit_window": 2592000,
        **members,
    }


def new_usage(api_key_id, **members):
    return {"api_key_id": api_key_id, "tool_name": "get_activities", "status_code": 200, **members}


def new_client(**members):
    name = unique("client")
    return {
        "id": name,
        "name": f"Client {name}",
        "description": "plans training",
        "public_key": "PUB",
        "capabilities": ["fitness-data-analysis", "goals"],
        "redirect_uris": ["https://a.example/cb"],
        **members,
    }


def new_a2a_usage(client_id, **members):
    return {"client_id": client_id, "tool_name": "plan", "status_code": 200, **members}


def uuid4():
    return str(uuid.uuid4())


class World:
    def __init__(self, connection):
        self.c = connection

    def user(self, **members):
        return self.c.call("create_user", user=new_user(**members))

    def api_key(self, user_id, **members):
        key = new_api_key(user_id, **members)
        self.c.call("create_api_key", api_key=key)
        return key["id"]

    def usage(self, api_key_id, **members):
        self.c.call("record_api_key_usage", usage=new_usage(api_key_id, **members))

    def client(self, api_key_id, **members):
        return self.c.call("create_a2a_client", client=new_client(**members), api_key_id=api_key_id)

    def session(self, client_id, user_id=None, scopes=("read",), hours=24):
        return self.c.call(
            "create_a2a_session",
            client_id=client_id,
            user_id=user_id,
            granted_scopes=list(scopes),
            expires_in_hours=hours,
        )

    def task(self, client_id, session_id=None, input_data=None):
        return self.c.call(
            "create_a2a_task",
            client_id=client_id,
            session_id=session_id,
            task_type="analysis",
            input_data={"n": 1} if input_data is None else input_data,
        )

    def a2a_usage(self, client_id, **members):
        self.c.call("record_a2a_usage", usage=new_a2a_usage(client_id, **members))

    def goal(self, user_id, **members):
        return self.c.call("create_goal", user_id=user_id, goal_data={"title": "Run", **members})

    def insight(self, user_id, **members):
        return self.c.call(
            "store_insight", user_id=user_id, insight_data={"note": "faster", **members}
        )


class Samples:
    """Valid parameters for every method, about rows that exist. Each call of params() generates new
    names where a write needs them."""

    def __init__(self, connection):
        world = World(connection)
        self.user = world.user()
        self.email = connection.call("get_user", user_id=self.user)["email"]
        self.key, self.spare_key = world.api_key(self.user), world.api_key(self.user)
        self.client = world.client(self.key)
        self.session = world.session(self.client, self.user)
        self.task = world.task(self.client)
        self.goal = world.goal(self.user)
        self.insight = world.insight(self.user, type="pace")
        world.usage(self.key, timestamp="2025-06-01T00:00:00Z")
        (self.log,) = connection.call("get_request_logs", api_key_id=self.key)
        self.position = connection.call("daemon.position")

    def params(self):
        day, end = "2025-06-01T00:00:00Z", "2030-01-01T00:00:00Z"
        token = {
            "user_id": self.user,
            "access_token": ACCESS,
            "refresh_token": REFRESH,
            "expires_at": end,
            "scope": "read",
        }
        user = {"user_id": self.user}
        usage = new_usage(
            self.key,
            id=1,
            timestamp=day,
            response_time_ms=5,
            error_message="e",
            request_size_bytes=1,
            response_size_bytes=2,
            ip_address="::1",
            user_agent="ua",
        )
        a2a_usage = new_a2a_usage(
            self.client,
            id=7,
            session_token=self.session,
            timestamp=day,
            response_time_ms=5,
            error_message="e",
            request_size_bytes=1,
            response_size_bytes=2,
            ip_address="10.0.0.1",
            user_agent="ua",
            protocol_version="1.0",
            client_capabilities=["a"],
            granted_scopes=["read"],
        )
        return {
            "migrate": {},
            "create_user": {
                "user": new_user(
                    id=uuid4(), display_name="Zoë", created_at=day, last_active=day, is_active=True
                )
            },
            "get_user": user,
            "get_user_by_email": {"email": self.email},
            "get_user_by_email_required": {"email": self.email},
            "verify_user_password": {"email": self.email, "password": WRONG_PASSWORD},
            "update_last_active": user,
            "get_user_count": {},
            "get_password_costs": {},
            "update_strava_token": token,
            "get_strava_token": user,
            "clear_strava_token": user,
            "update_fitbit_token": token,
            "get_fitbit_token": user,
            "clear_fitbit_token": user,
            "lease_token_refresh": {**user, "provider": "strava", "seconds": 1},
            "upsert_user_profile": {**user, "profile_data": {"age": 41}},
            "get_user_profile": user,
            "create_goal": {**user, "goal_data": {"title": "Run", "target": 10}},
            "get_user_goals": {**user, "limit": 5, "after": self.goal},
            "update_goal_progress": {"goal_id": self.goal, "current_value": 5.5, **user},
            "store_insight": {**user, "insight_data": {"type": "pace"}},
            "get_user_insights": {
                **user,
                "insight_type": "pace",
                "limit": 5,
                "after": self.insight,
            },
            "create_api_key": {
                "api_key": new_api_key(
                    self.user,
                    description="d",
                    is_active=True,
                    last_used_at=day,
                    expires_at=end,
                    created_at=day,
                    updated_at=day,
                )
            },
            "get_api_key_by_prefix": {"prefix": "pk_x", "hash": "h"},
            "authenticate_api_key": {"prefix": "pk_x", "hash": "h"},
            "get_user_api_keys": {**user, "limit": 5, "after": self.key},
            "update_api_key_last_used": {"api_key_id": self.key},
            "deactivate_api_key": {"api_key_id": self.spare_key, **user},
            "cleanup_expired_api_keys": {},
            "get_expired_api_keys": {},
            "record_api_key_usage": {"usage": usage},
            "record_api_key_usages": {"usages": [usage, usage]},
            "get_api_key_current_usage": {"api_key_id": self.key},
            "get_api_key_usage_stats": {"api_key_id": self.key, "start_date": day, "end_date": end},
            "get_request_logs": {
                "api_key_id": self.key,
                "start_time": day,
                "end_time": end,
                "status_filter": "all",
                "tool_filter": "all",
                "limit": 5,
                **user,
                "after": self.log["id"],
            },
            "get_user_api_key_usage": {**user, "start_date": day, "end_date": end},
            "get_user_usage_series": {
                **user,
                "start_date": day,
                "end_date": end,
                "bucket": "day",
            },
            "get_system_stats": {},
            "create_a2a_client": {
                "client": new_client(is_active=True, created_at=day),
                "api_key_id": self.key,
            },
            "get_a2a_client": {"client_id": self.client},
            "get_a2a_client_by_name": {"name": "nobody"},
            "list_a2a_clients": {**user, "limit": 5, "after": self.client},
            "create_a2a_session": {
                "client_id": self.client,
                **user,
                "granted_scopes": ["read"],
                "expires_in_hours": 24,
            },
            "get_a2a_session": {"session_token": self.session},
            "update_a2a_session_activity": {"session_token": self.session},
            "create_a2a_task": {
                "client_id": self.client,
                "session_id": self.session,
                "task_type": "t",
                "input_data": [1, "x"],
            },
            "get_a2a_task": {"task_id": self.task},
            "update_a2a_task_status": {
                "task_id": self.task,
                "status": "running",
                "result": {"a": 1},
                "error": "e",
            },
            "record_a2a_usage": {"usage": a2a_usage},
            "record_a2a_usages": {"usages": [a2a_usage, a2a_usage]},
            "get_a2a_client_current_usage": {"client_id": self.client},
            "get_a2a_usage_stats": {"client_id": self.client, "start_date": day, "end_date": end},
            "get_a2a_client_usage_history": {"client_id": self.client, "days": 30},
            "get_top_tools_analysis": {**user, "start_time": day, "end_time": end},
            "rotate_key": {},
            "daemon.transaction": {"calls": [{"method": "get_user_count"}]},
            "daemon.position": {},
            "daemon.wait_for": {"position": self.position},
            "daemon.ping": {},
            "daemon.version": {},
            "daemon.health": {},
            "daemon.stats": {},
            "rpc.discover": {},
            "daemon.clients": {},
            "daemon.config": {},
            "daemon.reload": {},
            "daemon.pause": {},
            "daemon.resume": {},
            "daemon.diagnose": {},
            # It begins, and fails because the folder is missing: no test may leave copies behind.
            "daemon.backup": {"path": f"/nonexistent/{unique('backup')}.db", "force": False},
            "daemon.backup_state": {},
        }
