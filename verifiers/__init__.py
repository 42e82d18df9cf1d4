"""How it is measured: small experiments on models, usable without a store.

From outside import `verifiers.measurement`, `verifiers.registry` and `verifiers.stats`; an experiment is started as
`python -P -m verifiers`, so that only that child loads torch.
"""
