"""The stub of torchvision: there while spandrel is imported, and only where nothing better is."""

import importlib
import sys

import pytest

from pipeline.recipe.torchvision_stub import NAMES, importable_torchvision, torchvision_works


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes a torchvision whose ``__init__`` holds this text, before any other on the path."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        folder = tmp_path / "torchvision" / "transforms"
        folder.mkdir(parents=True)
        (folder / "functional.py").write_text("normalize = rotate = InterpolationMode = 'real'")
        (folder / "__init__.py").touch()
        (folder.parent / "__init__.py").write_text(text)

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def functional():
    return importlib.import_module("torchvision.transforms.functional")


def test_one_that_does_not_fit_torch_is_replaced_and_no_stub_is_left(install):
    install("raise RuntimeError('operator torchvision::nms does not exist')")
    assert not torchvision_works()
    with importable_torchvision():
        assert {vars(functional())[name] for name in NAMES} == {None}
    assert not [name for name in sys.modules if name.startswith("torchvision")]


def test_one_that_works_is_used_and_stays(install):
    install("")
    with importable_torchvision():
        assert functional().rotate == "real"
    assert torchvision_works()
    assert functional().rotate == "real"


def test_the_stub_goes_also_where_the_import_fails(install):
    install("raise ImportError")
    with pytest.raises(KeyError, match="spandrel"), importable_torchvision():
        raise KeyError("spandrel")
    assert "torchvision" not in sys.modules
