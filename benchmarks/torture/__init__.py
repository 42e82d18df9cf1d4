"""Breaks a library in every way that years of use may, and looks whether anything was lost, made twice or made up:
`FAULTS=N SEED=S make torture`.
"""
