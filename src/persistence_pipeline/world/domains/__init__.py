"""The six domains of the tool world, one file each."""

from persistence_pipeline.world.domains import calendar, database, files, home, mail, payments
from persistence_pipeline.world.domains._domain import Domain, Role

DOMAINS: dict[str, Domain] = {
    module.DOMAIN.name: module.DOMAIN for module in (files, mail, payments, calendar, home, database)
}

__all__ = ["DOMAINS", "Domain", "Role"]
