"""What tests of the cache tier in Redis have in common."""

from .proxy import Proxy


def sharing(origin, redis, limit: int, mode="writes", more: dict | None = None, **local) -> Proxy:
    """A proxy with its cache in Redis, too. `local`: settings, and `caching`; `more`: for Proxy itself."""
    settings = {"invalidation": mode, "cache_url": f"redis://127.0.0.1:{redis.port}/3", "session_features": "pin"} | local
    caching = {"disabled": False} | settings.pop("caching", {})
    return Proxy(origin, caching=caching, origin_connection_limit=limit, local=settings, **(more or {}))


def shares(proxy) -> bool:
    return not any("shared cache" in warning for warning in proxy.status()["warnings"])


def counts(proxy) -> dict:
    return proxy.stats()["cache"]


def answers(redis) -> list[str]:
    """The names of those that Redis holds (database 3)."""
    return redis.cli("-n", "3", "--scan", "--pattern", "hd:*:a:*").split()
