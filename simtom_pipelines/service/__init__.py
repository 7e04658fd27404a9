"""The HTTP service: generators and stored datasets as streams."""

from __future__ import annotations

from simtom_pipelines.service.app import create_app

__all__ = ["create_app"]
