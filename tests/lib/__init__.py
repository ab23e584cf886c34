"""Shared by the end-to-end tests: a daemon, raw connections, strict JSON, the model of the
interface."""
