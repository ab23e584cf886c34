"""What the end-to-end tests share: a daemon to talk to, raw connections, strict JSON, the model of
the interface."""
