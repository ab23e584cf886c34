"""The build-time generator: catalog and SQL in, C tables and documents out. See model.py for what
is in between."""
