"""The retry quotas of hosts, so that retries do not overload a host that is failing."""

from __future__ import annotations

import os
import threading

__all__ = ["RetryQuota", "RetryQuotas"]

_SERVER_ERRORS = 500

# One lock for all quotas. Only a failure, and a success after one, takes it.
_lock = threading.Lock()


def _renew_lock() -> None:
    # A thread that held it in the parent process does not exist in the child.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class RetryQuota:
    """The tokens that pay for retries to one host.

    A retry costs 5 tokens, a retry after a time-out 10. An answer that is no failure returns 1. So
    however a host fails, at most ``calls / 5`` retries are made, in addition to those that a full
    quota allows at once: 40, or 20 after time-outs. First attempts are free, so calls to a host
    that has recovered never wait. The idea and the prices are those of the AWS SDKs' standard mode
    ("Retry behavior", AWS SDKs and Tools Reference Guide). There, a quota is larger (500) and a
    successful retry returns its whole price, which sets no limit as long as some succeed.

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
        """Pay for a retry. False, with nothing paid, if there are too few tokens."""
        with _lock:
            return self._spend(timed_out=timed_out)

    def _spend(self, *, timed_out: bool) -> bool:
        price = self.RETRY_AFTER_TIMEOUT if timed_out else self.RETRY
        if self.tokens < price:
            return False
        self.tokens -= price
        return True

    def give_back(self) -> None:
        """Return a token, for an answer that is no failure."""
        if self.tokens < self.capacity:
            with _lock:
                self.tokens = min(self.capacity, self.tokens + 1)


class RetryQuotas:
    """The quotas of many hosts, for one client or shared by several.

    A full quota equals a new one, so only those of hosts that have failed lately are kept.

    :param hosts: how many quotas are kept. Beyond that, full quotas are dropped first.
    :param capacity: the tokens of each quota.

    May be used from many threads at once. A pickle holds no quotas: all are full again.
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
        """The quota of a host as it is now. To spend from it, call :meth:`spend`: once it is full,
        another takes its place."""
        quota = self._quotas.get(host)
        if quota is None:
            with _lock:
                quota = self._find(host)
        return quota

    def spend(self, host: str, *, timed_out: bool = False) -> bool:
        """See :meth:`RetryQuota.spend`."""
        with _lock:
            return self._find(host)._spend(timed_out=timed_out)  # noqa: SLF001 the lock is held

    def note_answer(self, host: str, status: int) -> None:
        """Return a token to a host, if it has failed lately and this answer is no failure."""
        if host not in self._quotas or status >= _SERVER_ERRORS:
            return
        with _lock:
            quota = self._quotas.get(host)
            if quota is not None:
                quota.tokens += 1
                if quota.tokens >= quota.capacity:
                    del self._quotas[host]

    def _find(self, host: str) -> RetryQuota:
        """The quota of a host, made if need be, while the lock is held."""
        quota = self._quotas.get(host)
        if quota is not None:
            return quota
        if len(self._quotas) >= self._hosts:
            in_use = {
                name: quota for name, quota in self._quotas.items() if quota.tokens < quota.capacity
            }
            while len(in_use) >= self._hosts:
                del in_use[next(iter(in_use))]  # the oldest
            self._quotas = in_use
        return self._quotas.setdefault(host, RetryQuota(self._capacity))

    def __reduce__(self) -> tuple[type[RetryQuotas], tuple[int, int]]:
        return type(self), (self._hosts, self._capacity)
