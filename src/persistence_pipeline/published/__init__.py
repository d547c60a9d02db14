"""The published study (arXiv:2603.02229): its files read into this project's tables, and analysed with its code.

Reading: ``layout`` (what the names say), ``toolemu`` (one trajectory), ``reading`` (a group of files),
``importing`` (a whole clone, cached). Study: ``splits``, ``study``, ``pairs``, ``audits``, ``sensitivity``,
``published_scheme``. Showing: ``figures``, ``page``. No kedro here.
"""
