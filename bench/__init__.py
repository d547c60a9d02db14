"""Measurements that anyone can repeat: ``python -m bench``. Nothing of the package imports this."""
