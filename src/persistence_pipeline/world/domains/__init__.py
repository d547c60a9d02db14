"""The domains of the tool world, one file each."""

from persistence_pipeline.world.domains import calendar, files, home, payments, servers
from persistence_pipeline.world.domains._domain import Domain, Errand

DOMAINS: dict[str, Domain] = {
    module.DOMAIN.name: module.DOMAIN for module in (files, payments, calendar, home, servers)
}

__all__ = ["DOMAINS", "Domain", "Errand"]
