"""What tests of the cache tier in Redis have in common."""


def shares(proxy) -> bool:
    return not any("shared cache" in warning for warning in proxy.status()["warnings"])


def counts(proxy) -> dict:
    return proxy.stats()["cache"]


def answers(redis) -> list[str]:
    """The names of those that Redis holds (database 3)."""
    return redis.cli("-n", "3", "--scan", "--pattern", "hd:*:a:*").split()
