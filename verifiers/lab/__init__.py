"""The laboratory: small worlds, one tiny language model, its training and its sampling. CPU, float32, one thread a
process.
"""
