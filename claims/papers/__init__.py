"""Papers from arXiv beside claims: pulled, grounded, matched, and attached by people."""
