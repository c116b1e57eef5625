import hashlib
import pickle

import pytest

from models import catalog
from models.restorer import Restorer
from models.weights import shipped_path


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: catalog.build("bicubic-x44"), 'unknown restorer "bicubic-x44"; did you mean "bicubic-x4"?'),
        (lambda: catalog.build("zzz"), "known are basicvsr-clip, bicubic, "),
        (lambda: catalog.build_solver("total_variaton"), 'did you mean "total_variation"?'),
        (
            lambda: catalog.build_solver("total_variation", wieght=1),
            'total_variation: unknown parameter "wieght"; did',
        ),
        (
            lambda: catalog.build_solver("total_variation", weight=-1),
            "weight must be a number from 1e-06 to 1000, or",
        ),
        (lambda: catalog.build_solver("total_variation", weight="much"), "got 'much'"),
        (
            lambda: catalog.build_solver("median", radius=1.5),
            "radius must be a whole number from 1 to 10, got 1.5",
        ),
        (lambda: catalog.build_solver("median", radius=True), "got True"),
        (lambda: catalog.build_solver("wiener", balance=float("nan")), "got nan"),
        (
            lambda: catalog.build_solver("interpolation", kernel="cubic"),
            "kernel must be one of bicubic, lanczos, bil",
        ),
        (lambda: catalog.build_solver("plug_and_play", denoiser="ffdnet"), 'did you mean "ffdnet-grey"?'),
        (
            lambda: catalog.build_solver("plug_and_play", denoiser="bicubic"),
            "denoiser must be a restorer that takes",
        ),
        (lambda: catalog.build_solver("plug_and_play"), "plug_and_play: give denoiser"),
        (lambda: catalog.build_solver("identity", strength=1), "known are none"),
    ],
)
def test_errors_name_the_thing_and_the_cure(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        call()
    assert message in str(error.value)


def test_every_card_carries_its_name_and_can_be_shown():
    cards = catalog.describe()
    assert [card.name for card in cards] == list(catalog.RESTORERS)
    assert all(card.summary.endswith(".") for card in cards)


def test_the_job_form_sets_parameters():
    restorer = catalog.build_solver("total_variation", weight=0.08)
    assert restorer.card.architecture == "total_variation"
    assert restorer.card.arguments == {"weight": 0.08, "tolerance": 0.0002, "iterations": 200}
    assert restorer.card.needs == ()


def test_identity_is_the_digest_of_solver_version_and_parameters():
    canonical = '{"parameters": {"radius": 2}, "solver": "median", "version": 1}'
    expected = hashlib.sha256(canonical.encode()).hexdigest()
    assert catalog.identity(catalog.build_solver("median", radius=2)) == expected


def test_identity_ignores_names_and_sees_parameters():
    def identity(*args, **kwargs):
        return catalog.identity(catalog.build_solver(*args, **kwargs))

    assert identity("interpolation") == catalog.identity(catalog.build("bicubic"))
    assert identity("total_variation", weight=1) == identity("total_variation", weight=1.0)
    assert identity("total_variation", weight=1) != identity("total_variation", weight=2)
    assert identity("plug_and_play", denoiser="wavelet") != identity(
        "plug_and_play", denoiser="total-variation"
    )
    inner = catalog.build_solver("wavelet_shrinkage", levels=3)
    assert identity("plug_and_play", denoiser="wavelet") != identity("plug_and_play", denoiser=inner)


def test_a_solver_is_built_around_a_name_or_a_file_alike():
    path = str(shipped_path("ffdnet-colour"))
    for solver, part in (
        ("plug_and_play", "denoiser"),
        ("self_ensemble", "restorer"),
        ("per_band", "restorer"),
    ):
        named = catalog.build_solver(solver, **{part: "ffdnet-colour"})
        assert catalog.identity(catalog.build_solver(solver, **{part: path})) == catalog.identity(named)
    fetched = []

    def fetch(url):
        fetched.append(url)
        return catalog.build("ffdnet-colour")

    catalog.build_solver("plug_and_play", fetch, denoiser="s3://bucket/mine.safetensors")
    assert fetched == ["s3://bucket/mine.safetensors"]


def test_all_of_the_catalog_differs_and_travels():
    identities = {}
    for name in catalog.RESTORERS:
        restorer = catalog.build(name)
        copy = pickle.loads(pickle.dumps(restorer))
        assert isinstance(copy, Restorer)
        identities.setdefault(catalog.identity(copy), []).append(name)
    assert [names for names in identities.values() if len(names) > 1] == []
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in identities)
