"""The stores beside PostgreSQL: each behind a protocol, each with a fake that passes the same contract tests."""
