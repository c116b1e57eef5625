"""DICOMweb: series of a server found, read, and stored. Nothing is imported before one is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.outlet import Outlet
from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.jobs.stores import DicomwebStore
from pipeline.storage.folder import Folder, absolute_url

if TYPE_CHECKING:
    from pipeline.doors.dicomweb.server import Server

SCHEMES = {"dicomweb": "https", "dicomweb+http": "http", "https": "https", "http": "http"}
"""Of addresses, and what they are asked by."""


def _claims(url: str) -> bool:
    return urlsplit(url).scheme.startswith("dicomweb")


def _server(url: str, profile: str | None, where: str) -> tuple[str, Server]:
    """The address as all runs write it, and the server there."""
    if find_spec("dicomweb_client") is None:
        raise JobError(f"{where}: DICOMweb needs an extra: pip install 'restora[dicomweb]'")
    from pipeline.doors.dicomweb.server import Server  # start-up: the client is an extra

    scheme, separator, rest = absolute_url(url).partition("://")
    if not separator or scheme not in SCHEMES:
        raise JobError(
            f"{where}: {url!r} is no address of a DICOMweb server; write dicomweb://HOST/PATH, which is "
            "asked by https, or dicomweb+http://HOST:PORT/PATH"
        )
    name = "dicomweb" if SCHEMES[scheme] == "https" else "dicomweb+http"
    return f"{name}://{rest}", Server(f"{SCHEMES[scheme]}://{rest}", profile)


def _open(dataset: Dataset, url: str) -> Archive:
    where = f'dataset "{dataset.name}"'
    store = dataset.store if isinstance(dataset.store, DicomwebStore) else DicomwebStore(name="dicomweb")
    if store.uri is not None or store.profile is not None:
        raise JobError(f"{where}: store: uri and profile are for output_store; a dataset has its own")
    address, server = _server(url, dataset.profile, where)
    from pipeline.doors.dicomweb.archive import DicomwebArchive  # start-up: as above

    return DicomwebArchive(
        address,
        server,
        tuple(_searches(store)),
        together=dataset.series != "single",
        with_ours=store.derived,
    )


def _searches(store: DicomwebStore) -> Iterator[tuple[str | None, Mapping[str, str]]]:
    """One for every study and modality: not every server takes lists of them."""
    matching = dict(store.filters) | ({"StudyDate": store.date} if store.date else {})
    modalities = (store.modality,) if isinstance(store.modality, str) else store.modality
    studies = (store.study,) if isinstance(store.study, str) else store.study
    for study in studies or (None,):
        for modality in modalities or ("",):
            yield study, matching | ({"Modality": modality} if modality else {})


def _outlet(folder: Folder, job: Job) -> Outlet:
    store = job.output_store
    if not isinstance(store, DicomwebStore) or store.uri is None:
        raise JobError(
            'output_store: on which server? Write output_store = { name = "dicomweb", '
            'uri = "dicomweb://HOST/PATH", profile = "..." }'
        )
    if store.modality or store.study or store.filters or store.date or store.derived:
        raise JobError(
            "output_store: modality, date, study, filters and derived choose sources; leave them out"
        )
    address, server = _server(store.uri, store.profile, "output_store")
    from pipeline.doors.dicomweb.outlet import DicomwebOutlet  # start-up: as above

    return DicomwebOutlet(address, server)


DICOMWEB = Door(
    name="dicomweb",
    summary="series of a DICOMweb server (QIDO-RS, WADO-RS); derived ones are stored by STOW-RS if asked to",
    claims=_claims,
    open=_open,
    outlet=_outlet,
    extra="dicomweb",
)
