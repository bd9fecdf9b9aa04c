"""Paths with wildcards, as faults and sentences over the access log are given them."""

from __future__ import annotations
