"""Around a run: folder and study (``study``), data (``data``), end (``stopping``), what it tells (``progress``).

``settings.py`` lists the hooks; those that keep records of what was made from what are in ``provenance``.
"""
