"""The interface as docs/protocol.md and docs/methods.md promise it, written down by hand a second
time: what the tests measure the daemon (and its rpc.discover) against. `T?` may be missing or null
on input, and null in an answer."""
import ipaddress
import re

TIERS = ("trial", "starter", "professional", "enterprise")
TASK_STATUSES = ("pending", "running", "completed", "failed", "cancelled")
ENUMS = {
    "tier": TIERS,
    "task_status": TASK_STATUSES,
    "request_status": ("success", "error", "all"),
    "provider": ("strava", "fitbit"),
    "usage_bucket": ("hour", "day"),
    "health": ("ok", "degraded", "down"),
}

# Parameter objects: member -> type. Order does not matter on input.
INPUTS = {
    "NewUser": {
        "email": "email",
        "password_hash": "string?",
        "password": "password?",
        "id": "uuid?",
        "display_name": "string?",
        "created_at": "timestamp?",
        "last_active": "timestamp?",
        "is_active": "bool?",
        "strava_token": "null?",
        "fitbit_token": "null?",
    },
    "ApiKeyInput": {
        "id": "identifier",
        "user_id": "uuid",
        "name": "identifier",
        "key_prefix": "identifier",
        "key_hash": "identifier",
        "description": "string?",
        "tier": "tier",
        "rate_limit_requests": "u32",
        "rate_limit_window": "u32",
        "is_active": "bool?",
        "last_used_at": "timestamp?",
        "expires_at": "timestamp?",
        "created_at": "timestamp?",
        "updated_at": "timestamp?",
    },
    "ApiKeyUsageInput": {
        "id": "any?",
        "api_key_id": "identifier",
        "timestamp": "timestamp?",
        "tool_name": "string",
        "response_time_ms": "u32?",
        "status_code": "u16",
        "error_message": "string?",
        "request_size_bytes": "u32?",
        "response_size_bytes": "u32?",
        "ip_address": "ip?",
        "user_agent": "string?",
    },
    "A2AClientInput": {
        "id": "identifier",
        "name": "identifier",
        "description": "string",
        "public_key": "string",
        "capabilities": "[string]",
        "redirect_uris": "[string]",
        "is_active": "bool?",
        "created_at": "timestamp?",
    },
    "A2AUsageInput": {
        "id": "any?",
        "client_id": "identifier",
        "session_token": "identifier?",
        "timestamp": "timestamp?",
        "tool_name": "string",
        "response_time_ms": "u32?",
        "status_code": "u16",
        "error_message": "string?",
        "request_size_bytes": "u32?",
        "response_size_bytes": "u32?",
        "ip_address": "ip?",
        "user_agent": "string?",
        "protocol_version": "string?",
        "client_capabilities": "[string]?",
        "granted_scopes": "[string]?",
    },
}

# Answer objects: member -> type, in the order in which they are written. "*" allows further members
# behind.
OUTPUTS = {
    "ConnectedToken": {"expires_at": "timestamp", "scope": "string"},
    "User": {
        "id": "uuid",
        "email": "string",
        "display_name": "string?",
        "password_hash": "string",
        "strava_token": "ConnectedToken?",
        "fitbit_token": "ConnectedToken?",
        "created_at": "timestamp",
        "last_active": "timestamp",
        "is_active": "bool",
    },
    "PasswordCost": {"cost": "i64", "users": "i64"},
    "Token": {
        "access_token": "string",
        "refresh_token": "string",
        "expires_at": "timestamp",
        "scope": "string",
        "version": "string",
    },
    "TokenLease": {
        "granted": "bool",
        "lease": "string?",
        "expires_at": "timestamp",
        "token": "Token?",
    },
    "ApiKey": {
        "id": "string",
        "user_id": "uuid",
        "name": "string",
        "key_prefix": "string",
        "key_hash": "string",
        "description": "string?",
        "tier": "tier",
        "rate_limit_requests": "u32",
        "rate_limit_window": "u32",
        "is_active": "bool",
        "last_used_at": "timestamp?",
        "expires_at": "timestamp?",
        "created_at": "timestamp",
        "updated_at": "timestamp",
    },
    "AuthenticatedApiKey": {"api_key": "ApiKey", "current_usage": "u32"},
    "NamedApiKeyUsageStats": {
        "api_key_id": "string",
        "period_start": "timestamp",
        "period_end": "timestamp",
        "total_requests": "i64",
        "successful_requests": "i64",
        "failed_requests": "i64",
        "total_response_time_ms": "i64",
        "tool_usage": "map",
        "name": "string",
    },
    "UsageBucket": {
        "start": "timestamp",
        "total_requests": "i64",
        "successful_requests": "i64",
        "failed_requests": "i64",
        "total_response_time_ms": "i64",
    },
    "ApiKeyUsageStats": {
        "api_key_id": "string",
        "period_start": "timestamp",
        "period_end": "timestamp",
        "total_requests": "i64",
        "successful_requests": "i64",
        "failed_requests": "i64",
        "total_response_time_ms": "i64",
        "tool_usage": "map",
    },
    "RequestLog": {
        "id": "string",
        "timestamp": "timestamp",
        "api_key_id": "string",
        "api_key_name": "string",
        "tool_name": "string",
        "status_code": "u16",
        "response_time_ms": "u32?",
        "error_message": "string?",
        "request_size_bytes": "u32?",
        "response_size_bytes": "u32?",
    },
    "Goal": {
        "id": "uuid",
        "user_id": "uuid",
        "title": "string",
        "goal_type": "string",
        "type": "string",
        "target_value": "f64",
        "target": "f64",
        "current_value": "f64",
        "current": "f64",
        "status": "string",
        "created_at": "timestamp",
        "updated_at": "timestamp",
        "*": "any",
    },
    "Insight": {
        "id": "uuid",
        "user_id": "uuid",
        "insight_type": "string",
        "created_at": "timestamp",
        "*": "any",
    },
    "SystemStats": {"user_count": "i64", "api_key_count": "i64"},
    "ToolUsage": {
        "tool_name": "string",
        "request_count": "i64",
        "success_rate": "f64",
        "average_response_time": "f64",
    },
    "A2AClient": {
        "id": "string",
        "name": "string",
        "description": "string",
        "public_key": "string",
        "capabilities": "[string]",
        "redirect_uris": "[string]",
        "is_active": "bool",
        "created_at": "timestamp",
    },
    "A2ASession": {
        "id": "uuid",
        "client_id": "string",
        "user_id": "uuid?",
        "granted_scopes": "[string]",
        "created_at": "timestamp",
        "expires_at": "timestamp",
        "last_activity": "timestamp",
        "requests_count": "i64",
    },
    "A2ATask": {
        "id": "uuid",
        "client_id": "string",
        "session_id": "string?",
        "task_type": "string",
        "input_data": "any",
        "status": "task_status",
        "created_at": "timestamp",
        "started_at": "timestamp?",
        "completed_at": "timestamp?",
        "result": "any",
        "error": "string?",
    },
    "A2AUsageStats": {
        "client_id": "string",
        "period_start": "timestamp",
        "period_end": "timestamp",
        "total_requests": "i64",
        "successful_requests": "i64",
        "failed_requests": "i64",
        "total_response_time_ms": "i64",
        "tool_usage": "map",
        "capability_usage": "map",
    },
    "A2AUsageDay": {"day": "timestamp", "success_count": "i64", "error_count": "i64"},
    "MigrateResult": {"schema_version": "i64", "applied": "[string]"},
}

# Reads that a standby may answer.
CAUSAL = {
    "get_user_count",
    "get_user_profile",
    "get_user_goals",
    "get_user_insights",
    "get_api_key_usage_stats",
    "get_user_api_key_usage",
    "get_user_usage_series",
    "get_request_logs",
    "get_system_stats",
    "get_top_tools_analysis",
    "get_a2a_client",
    "get_a2a_client_by_name",
    "list_a2a_clients",
    "get_a2a_task",
    "get_a2a_usage_stats",
    "get_a2a_client_usage_history",
}

# method -> (parameters in their order, result, access). Access: r < w < s < a.
METHODS = {
    "migrate": ({}, "MigrateResult", "a"),
    "create_user": ({"user": "NewUser"}, "uuid", "w"),
    "get_user": ({"user_id": "uuid"}, "User?", "s"),
    "get_user_by_email": ({"email": "identifier"}, "User?", "s"),
    "get_user_by_email_required": ({"email": "identifier"}, "User", "s"),
    "verify_user_password": ({"email": "identifier", "password": "string"}, "User?", "s"),
    "update_last_active": ({"user_id": "uuid"}, "null", "w"),
    "get_user_count": ({}, "i64", "r"),
    "get_password_costs": ({"above": "u32?"}, "[PasswordCost]", "a"),
    "update_strava_token": (
        {
            "user_id": "uuid",
            "access_token": "string",
            "refresh_token": "string",
            "expires_at": "timestamp",
            "scope": "string",
            "if_version": "identifier?",
        },
        "null",
        "w",
    ),
    "get_strava_token": ({"user_id": "uuid"}, "Token?", "s"),
    "clear_strava_token": ({"user_id": "uuid", "if_version": "identifier?"}, "null", "w"),
    "update_fitbit_token": (
        {
            "user_id": "uuid",
            "access_token": "string",
            "refresh_token": "string",
            "expires_at": "timestamp",
            "scope": "string",
            "if_version": "identifier?",
        },
        "null",
        "w",
    ),
    "get_fitbit_token": ({"user_id": "uuid"}, "Token?", "s"),
    "clear_fitbit_token": ({"user_id": "uuid", "if_version": "identifier?"}, "null", "w"),
    "lease_token_refresh": (
        {"user_id": "uuid", "provider": "provider", "seconds": "u32?"},
        "TokenLease",
        "s",
    ),
    "upsert_user_profile": ({"user_id": "uuid", "profile_data": "document"}, "null", "w"),
    "get_user_profile": ({"user_id": "uuid"}, "document?", "r"),
    "create_goal": ({"user_id": "uuid", "goal_data": "document"}, "uuid", "w"),
    "get_user_goals": (
        {"user_id": "uuid", "limit": "limit?", "after": "uuid?"},
        "[Goal]",
        "r",
    ),
    "update_goal_progress": (
        {"goal_id": "uuid", "current_value": "f64", "user_id": "uuid?"},
        "null",
        "w",
    ),
    "store_insight": ({"user_id": "uuid", "insight_data": "document"}, "uuid", "w"),
    "get_user_insights": (
        {"user_id": "uuid", "insight_type": "string?", "limit": "limit?", "after": "uuid?"},
        "[Insight]",
        "r",
    ),
    "create_api_key": ({"api_key": "ApiKeyInput"}, "null", "w"),
    "get_api_key_by_prefix": ({"prefix": "identifier", "hash": "identifier"}, "ApiKey?", "s"),
    "authenticate_api_key": (
        {"prefix": "identifier", "hash": "identifier"},
        "AuthenticatedApiKey?",
        "s",
    ),
    "get_user_api_keys": (
        {"user_id": "uuid", "limit": "limit?", "after": "identifier?"},
        "[ApiKey]",
        "s",
    ),
    "update_api_key_last_used": ({"api_key_id": "identifier"}, "null", "w"),
    "deactivate_api_key": ({"api_key_id": "identifier", "user_id": "uuid"}, "null", "w"),
    "cleanup_expired_api_keys": ({}, "i64", "w"),
    "get_expired_api_keys": ({}, "[ApiKey]", "s"),
    "record_api_key_usage": ({"usage": "ApiKeyUsageInput"}, "null", "w"),
    "record_api_key_usages": ({"usages": "[ApiKeyUsageInput]"}, "i64", "w"),
    "get_api_key_current_usage": ({"api_key_id": "identifier"}, "u32", "r"),
    "get_api_key_usage_stats": (
        {"api_key_id": "identifier", "start_date": "timestamp", "end_date": "timestamp"},
        "ApiKeyUsageStats",
        "r",
    ),
    "get_request_logs": (
        {
            "api_key_id": "identifier?",
            "start_time": "timestamp?",
            "end_time": "timestamp?",
            "status_filter": "request_status?",
            "tool_filter": "string?",
            "limit": "limit?",
            "user_id": "uuid?",
            "after": "identifier?",
        },
        "[RequestLog]",
        "r",
    ),
    "get_user_api_key_usage": (
        {"user_id": "uuid", "start_date": "timestamp", "end_date": "timestamp"},
        "[NamedApiKeyUsageStats]",
        "r",
    ),
    "get_user_usage_series": (
        {
            "user_id": "uuid",
            "start_date": "timestamp",
            "end_date": "timestamp",
            "bucket": "usage_bucket",
        },
        "[UsageBucket]",
        "r",
    ),
    "get_system_stats": ({}, "SystemStats", "r"),
    "create_a2a_client": ({"client": "A2AClientInput", "api_key_id": "identifier"}, "string", "w"),
    "get_a2a_client": ({"client_id": "identifier"}, "A2AClient?", "r"),
    "get_a2a_client_by_name": ({"name": "identifier"}, "A2AClient?", "r"),
    "list_a2a_clients": (
        {"user_id": "uuid", "limit": "limit?", "after": "identifier?"},
        "[A2AClient]",
        "r",
    ),
    "create_a2a_session": (
        {
            "client_id": "identifier",
            "user_id": "uuid?",
            "granted_scopes": "[string]",
            "expires_in_hours": "hours",
        },
        "string",
        "w",
    ),
    "get_a2a_session": ({"session_token": "identifier"}, "A2ASession?", "s"),
    "update_a2a_session_activity": ({"session_token": "identifier"}, "null", "w"),
    "create_a2a_task": (
        {
            "client_id": "identifier",
            "session_id": "identifier?",
            "task_type": "string",
            "input_data": "json",
        },
        "uuid",
        "w",
    ),
    "get_a2a_task": ({"task_id": "uuid"}, "A2ATask?", "r"),
    "update_a2a_task_status": (
        {"task_id": "uuid", "status": "task_status", "result": "json?", "error": "string?"},
        "null",
        "w",
    ),
    "record_a2a_usage": ({"usage": "A2AUsageInput"}, "null", "w"),
    "record_a2a_usages": ({"usages": "[A2AUsageInput]"}, "i64", "w"),
    "get_a2a_client_current_usage": ({"client_id": "identifier"}, "u32", "r"),
    "get_a2a_usage_stats": (
        {"client_id": "identifier", "start_date": "timestamp", "end_date": "timestamp"},
        "A2AUsageStats",
        "r",
    ),
    "get_a2a_client_usage_history": (
        {"client_id": "identifier", "days": "days"},
        "[A2AUsageDay]",
        "r",
    ),
    "get_top_tools_analysis": (
        {"user_id": "uuid", "start_time": "timestamp", "end_time": "timestamp"},
        "[ToolUsage]",
        "r",
    ),
    "rotate_key": ({"bind": "bool?"}, "any", "a"),
    "daemon.transaction": ({"calls": "calls"}, "[any]", "r"),
    "daemon.position": ({}, "string", "r"),
    "daemon.wait_for": ({"position": "string"}, "null", "r"),
    "daemon.ping": ({}, "string", "r"),
    "daemon.version": ({}, "any", "r"),
    "daemon.health": ({}, "any", "r"),
    "daemon.stats": ({}, "any", "r"),
    "daemon.clients": ({}, "any", "a"),
    "daemon.config": ({}, "any", "a"),
    "daemon.reload": ({}, "any", "a"),
    "daemon.pause": ({}, "any", "a"),
    "daemon.resume": ({}, "any", "a"),  # directly behind, for tests that call each method in turn
    "daemon.diagnose": ({}, "any", "a"),
    "daemon.backup": ({"path": "string", "force": "bool?"}, "any", "a"),
    "daemon.backup_state": ({}, "any", "a"),
    "rpc.discover": ({}, "any", "r"),
}

IDENTIFIER_MAX_BYTES = 1024

# Integer ranges of the types above.
RANGES = {
    "u16": (0, 65535),
    "u32": (0, 4294967295),
    "i64": (-(2**63), 2**63 - 1),
    "limit": (0, 1000),
    "days": (0, 36600),
    "hours": (1, 87600),
}

# error.data.kind -> (code, retryable)
ERRORS = {
    "parse_error": (-32700, False),
    "invalid_request": (-32600, False),
    "method_not_found": (-32601, False),
    "invalid_params": (-32602, False),
    "internal": (-32603, None),
    "not_found": (-32001, False),
    "conflict": (-32002, False),
    "unavailable": (-32003, True),
    "timeout": (-32004, None),
    "permission_denied": (-32005, False),
    "overloaded": (-32006, None),
    "too_large": (-32007, False),
    "decryption_failed": (-32008, False),
    "storage": (-32009, None),
    "shutting_down": (-32010, True),
}

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIMESTAMP = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"
)


def wrong(kind, value, path="result"):
    """What is wrong with a value of an answer; None when it is as promised."""
    if kind.endswith("?"):
        return None if value is None else wrong(kind[:-1], value, path)
    if kind.startswith("["):
        if not isinstance(value, list):
            return f"{path} is not an array"
        return next(
            filter(None, (wrong(kind[1:-1], item, f"{path}[{i}]") for i, item in enumerate(value))),
            None,
        )
    if kind in OUTPUTS:
        return _wrong_object(OUTPUTS[kind], value, path)
    return None if _matches(kind, value) else f"{path} is no {kind}: {str(value)[:120]}"


def _wrong_object(members, value, path):
    if not isinstance(value, dict):
        return f"{path} is not an object"
    listed = [name for name in members if name != "*"]
    present = list(value)
    if "*" in members:
        present = [name for name in present if name in members]
    if present != listed:
        return f"{path}: members {present}, not {listed}"
    return next(
        filter(None, (wrong(members[name], value[name], f"{path}.{name}") for name in listed)), None
    )


def _matches(kind, value):
    if kind == "any":
        return True
    if kind == "null":
        return value is None
    if kind == "bool":
        return isinstance(value, bool)
    if kind in RANGES:
        low, high = RANGES[kind]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if kind == "f64":
        return isinstance(
            value, float
        )  # strict.py makes a float only of a number with a fraction or an exponent
    if kind == "uuid":
        return isinstance(value, str) and UUID.fullmatch(value) is not None
    if kind == "timestamp":
        return isinstance(value, str) and TIMESTAMP.fullmatch(value) is not None
    if kind in ENUMS:
        return value in ENUMS[kind]
    if kind == "map":
        return (
            isinstance(value, dict)
            and all(isinstance(n, int) and n > 0 for n in value.values())
            and list(value) == sorted(value, key=str.encode)
        )
    if kind == "document":
        return isinstance(value, dict)
    if kind == "string":
        return isinstance(value, str)
    if kind == "ip":
        return isinstance(value, str) and str(ipaddress.ip_address(value)) == value
    raise KeyError(kind)
