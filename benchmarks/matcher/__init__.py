"""Makes what triage ships from labels: `python -P -m benchmarks.matcher.fit`."""
