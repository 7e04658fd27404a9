"""The application: routes, limits, page and lifecycle put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import simtom_pipelines
from simtom_pipelines.datasets import DatasetSpec, load_datasets
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.service import catalogue_routes, control_routes, live_routes, plot_routes, problems, replay_routes
from simtom_pipelines.service.catalogue_routes import health
from simtom_pipelines.service.context import Compat, Context, Service, wants_page
from simtom_pipelines.service.streams import Streams
from simtom_pipelines.settings import Settings, load_settings

PAGE = Path(__file__).parent / "page"

DESCRIPTION = """
Synthetic business data as a stream: rows made on the fly, or stored days replayed, as NDJSON or server-sent events,
with controls while they run.
"""

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application.

    Args:
        settings: Default: those of the environment.

    Raises:
        ConfigError: The environment cannot be used.
        DatasetsError: datasets.yaml cannot be used.
    """
    settings = settings or load_settings()
    datasets = _datasets(settings)
    lake = ParquetLake(settings.lake, settings.storage_options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        streams = Streams(settings)
        loop = asyncio.get_running_loop()
        app.state.context = Context(settings, datasets, lake, streams, loop.time, loop.time())
        janitor = asyncio.create_task(streams.look_after())
        try:
            yield
        finally:
            janitor.cancel()
            with suppress(asyncio.CancelledError):
                await janitor
            streams.stop_all("the service is ending")
            streams.close()

    app = FastAPIOffline(  # its /docs loads nothing from elsewhere
        redoc_url=None,
        title="simtom-pipelines",
        description=DESCRIPTION,
        version=simtom_pipelines.__version__,
        lifespan=lifespan,
    )
    problems.install(app)
    app.include_router(catalogue_routes.open_router)
    app.include_router(catalogue_routes.router)
    app.include_router(plot_routes.router)
    app.include_router(live_routes.router)
    app.include_router(replay_routes.router)
    app.include_router(control_routes.router)

    @app.get("/", summary="The page, or the health for programs", tags=["operations"], response_model=None)
    async def root(request: Request, service: Service, in_compat: Compat) -> Response:
        """Answer a browser with the page and everything else with the health."""
        if wants_page(request) and "compat" not in request.query_params:
            return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)
        return problems.answer(200, health(service, service.uptime()))

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}


def _datasets(settings: Settings) -> dict[str, DatasetSpec]:
    """Return the datasets; without a file and without being told of one there are none."""
    if not settings.datasets.exists() and "datasets" not in settings.model_fields_set:
        return {}
    return load_datasets(settings.datasets)
