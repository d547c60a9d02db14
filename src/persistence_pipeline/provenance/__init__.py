"""Provenance: what the files of a study were made from, and which of them are outdated.

Every node leaves a record of its code, parameters, inputs and outputs (``ledger.py``). A later run compares them
with what there is then (``outdated.py``): outdated outputs count as missing, and nothing outdated is shown as new.
"""
