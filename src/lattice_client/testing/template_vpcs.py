"""The VPC that a template's callers come from: one that it associates with a service network."""

from __future__ import annotations
