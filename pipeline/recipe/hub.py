"""Weights on a hub of models by ``hf://ORG/REPO/FILE``, through its own library, the extra ``hf``.

``hf://ORG/REPO@REVISION/FILE`` names a branch, a tag or a commit. The library keeps what it has fetched in
its own cache, asks each time whether that is still the newest, and finds the token where its login puts it
or in ``HF_TOKEN``; ``HF_ENDPOINT`` is another hub, ``HF_HUB_OFFLINE`` the cache alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.errors import JobError
from pipeline.formats.extras import extra_called

SCHEME = "hf://"


def fetch_from_hub(url: str) -> bytes:
    """The whole file. ``JobError`` with the cure where it is not to be had."""
    if not extra_called("hf").is_installed:
        raise JobError(f"needs the hub's own library: {extra_called('hf').cure}")
    from huggingface_hub import errors

    repo, revision, file = _parts(url)
    try:
        return Path(_downloaded(repo, revision, file)).read_bytes()
    except errors.GatedRepoError:
        raise JobError(f"{repo} wants its conditions accepted on its page first, then HF_TOKEN set") from None
    except errors.RepositoryNotFoundError:
        raise JobError(
            f"the hub has no {repo} for you; check the name; a private one needs HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise JobError(f"{repo} has no revision {revision!r}; check the branch, tag or commit") from None
    except errors.LocalEntryNotFoundError:
        raise JobError(
            "the hub does not answer, and the file is not in its cache; check the network and HF_ENDPOINT"
        ) from None
    except errors.EntryNotFoundError:
        raise JobError(f"{repo} has no file {file}; check the name") from None


def _downloaded(repo: str, revision: str | None, file: str) -> str:
    import huggingface_hub

    path: Any = huggingface_hub.hf_hub_download(
        repo,
        file,
        revision=revision,
        library_name="restora",
        # Asked for here: the library reads both when it is first imported.
        endpoint=os.environ.get("HF_ENDPOINT"),
        cache_dir=os.environ.get("HF_HUB_CACHE"),
        tqdm_class=None,
    )
    return str(path)


def _parts(url: str) -> tuple[str, str | None, str]:
    """Repository, revision, file."""
    owner, _, rest = url.removeprefix(SCHEME).partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    if not (owner and name and file):
        raise JobError("write hf://ORG/REPO/FILE, or hf://ORG/REPO@REVISION/FILE")
    return f"{owner}/{name}", revision or None, file
