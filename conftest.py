"""Fixtures for every test: a real PostgreSQL and a real Kafka, once a run."""

pytest_plugins = ["servicekit.testing"]
