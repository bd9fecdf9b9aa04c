"""The retry quotas of hosts: so that one which fails is not hammered as well."""

from __future__ import annotations

import os
import threading

__all__ = ["RetryQuota", "RetryQuotas"]

# One lock for all quotas: it is taken for a failure, and for a success that follows one.
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it, and is not there to release it.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class RetryQuota:
    """Tokens that retries to one host cost.

    A retry costs 5 tokens, one after a time-out 10; an answer that is no failure gives 1 back.
    So however a host fails, ``calls / 5`` retries are made at most, beside those that a full quota
    allows at once: 40, or 20 after time-outs. First attempts are always free, so there is no
    waiting for a host that is well again. The idea and the prices are those of the AWS SDKs'
    standard mode ("Retry behavior", AWS SDKs and Tools Reference Guide); there, a quota is larger
    (500) and a retry that succeeds gives its whole price back, which bounds nothing while some
    succeed.

    May be used from many threads at once.
    """

    __slots__ = ("capacity", "tokens")

    RETRY = 5
    RETRY_AFTER_TIMEOUT = 10

    def __init__(self, capacity: int = 200) -> None:
        self.capacity = capacity
        self.tokens = capacity

    def __repr__(self) -> str:
        return f"<RetryQuota, {self.tokens} of {self.capacity}>"

    def spend(self, *, timed_out: bool = False) -> bool:
        """Pay for a retry; False, and nothing paid, where there are too few tokens."""
        price = self.RETRY_AFTER_TIMEOUT if timed_out else self.RETRY
        with _lock:
            if self.tokens < price:
                return False
            self.tokens -= price
            return True

    def give_back(self) -> None:
        """Note an answer that is no failure."""
        if self.tokens < self.capacity:
            with _lock:
                self.tokens = min(self.capacity, self.tokens + 1)


class RetryQuotas:
    """The quotas of many hosts; a session or transport has one of these, or several share one.

    :param hosts: how many are kept. Beyond that those that are full go first, for a full one says
        no more than a new one.
    :param capacity: the tokens of each.

    May be used from many threads at once. A pickle holds no quotas: they are all full again.
    """

    def __init__(self, hosts: int = 256, capacity: int = 200) -> None:
        self._hosts = hosts
        self._capacity = capacity
        self._quotas: dict[str, RetryQuota] = {}

    def __len__(self) -> int:
        return len(self._quotas)

    def __repr__(self) -> str:
        return f"<RetryQuotas of {len(self)} hosts>"

    def of(self, host: str) -> RetryQuota:
        """The quota of a host."""
        quota = self._quotas.get(host)
        return self._new(host) if quota is None else quota

    def _new(self, host: str) -> RetryQuota:
        with _lock:
            if len(self._quotas) >= self._hosts:
                in_use = {
                    name: quota
                    for name, quota in self._quotas.items()
                    if quota.tokens < quota.capacity
                }
                while len(in_use) >= self._hosts:
                    del in_use[next(iter(in_use))]  # the oldest
                self._quotas = in_use
            return self._quotas.setdefault(host, RetryQuota(self._capacity))

    def __reduce__(self) -> tuple[type[RetryQuotas], tuple[int, int]]:
        return type(self), (self._hosts, self._capacity)
