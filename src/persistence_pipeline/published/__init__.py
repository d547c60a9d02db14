"""The published study (arXiv:2603.02229): its files read into this project's tables, and analysed with its code.

Reading: ``layout`` (what the names say), ``toolemu`` (one trajectory), ``reading`` (a group of files),
``importing`` (a whole clone, cached). Study: ``study`` (score tables), ``analysis`` (frontier, persistence),
``published_scheme`` (the published bootstrap), ``rivals`` (persistence without memory), ``pairs``, ``audits``,
``sensitivity``, ``summary``. Showing, by the report's kit: ``findings`` (sentences), ``tables``, ``figures``,
``links`` (where numbers lead), ``browsing`` (trajectories), ``page``. No kedro here.
"""
