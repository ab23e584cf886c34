"""The build-time generator: catalog and SQL in, C tables and documents out. See model.py for the
data in between.
"""
