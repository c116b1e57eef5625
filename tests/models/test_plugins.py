"""Parts of other packages: found, named, refused; with packages as they are installed, only smaller."""

import pytest
from torch import nn

from models.card import Card
from models.networks import NETWORKS
from models.plugins import Parts, accept_class, is_module_address
from models.weights import build_part, build_restorer
from tests.packages import put_package


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install("one", "1.0", code, networks={"name": "module:attribute"})`` puts a package on the path."""

    def install(package: str, version: str, code: str, **groups: dict[str, str]) -> None:
        monkeypatch.syspath_prepend(put_package(tmp_path, package, version, code, **groups))

    return install


def table(**built_in) -> Parts:
    return Parts("networks", built_in, accept_class(nn.Module))


NET = "from torch import nn\nclass Net(nn.Identity): ...\n"
CONVOLUTION = """
from torch import nn

class Small(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 1, 1)
"""


def test_a_part_of_a_package_is_had_by_its_name_with_its_version(install):
    install("one", "1.0", NET, networks={"mine": "one_code:Net"})
    parts = table(ours=nn.ReLU)
    assert list(parts) == ["ours", "mine"]
    assert parts.named("mine").__name__ == "Net"
    assert (parts.origin("mine"), parts.origin("ours")) == ("one 1.0", None)


def test_what_no_entry_point_names_is_had_by_its_address(install, tmp_path, monkeypatch):
    install("one", "1.0", NET)
    (tmp_path / "alone.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    parts = table()
    assert "one_code:Net" in parts
    assert parts.named("one_code:Net") is not parts.named("alone:Net")
    assert parts.origin("one_code:Net") == "one 1.0"
    assert parts.origin("alone:Net").startswith("alone.py sha256:")


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("missing_module:Net", "ModuleNotFoundError"),
        ("os:nothing", "AttributeError"),
        ("os:getcwd", "not a class that derives from"),
        ("collections:OrderedDict", "not a class that derives from"),
    ],
)
def test_an_address_that_leads_to_no_part_says_why(address, fault):
    with pytest.raises(ValueError, match=f'"{address}".*{fault}'):
        table().named(address)


def test_two_packages_of_one_name_are_refused_and_both_named(install):
    install("one", "1.0", NET, networks={"mine": "one_code:Net", "other": "one_code:Net"})
    install("two", "2.1", NET, networks={"mine": "two_code:Net", "ours": "two_code:Net"})
    parts = table(ours=nn.ReLU)
    with pytest.raises(ValueError, match=r'"mine".* one 1\.0 and in two 2\.1'):
        parts.named("mine")
    with pytest.raises(ValueError, match=r'"ours".* restora and in two 2\.1'):
        parts.named("ours")
    assert parts.named("other").__name__ == "Net", "who uses neither pays nothing"
    assert list(parts) == ["ours", "other"]
    assert len(list(parts.faults())) == 2


def test_a_package_that_cannot_be_imported_is_named_and_costs_nobody_else(install, caplog):
    install("broken", "0.3", "import not_to_be_found\n", networks={"lost": "broken_code:Net"})
    install("one", "1.0", NET, networks={"mine": "one_code:Net"})
    parts = table()
    assert list(parts) == list(parts) == ["mine"]
    assert caplog.text.count("broken 0.3") == 1, "said once"
    with pytest.raises(ValueError, match=r"broken 0\.3 cannot be used: ModuleNotFoundError"):
        parts.named("lost")


def test_an_unknown_name_is_no_address():
    assert not is_module_address("https://host/x.safetensors")
    assert not is_module_address("C:\\weights")
    assert "unknown" not in table()
    assert "mine:Net" not in Parts("formats", {}, lambda _, value: value, by_address=False)


def test_a_card_from_anywhere_imports_nothing_that_the_job_did_not_name(install):
    install("one", "1.0", "from torch import nn\nraise SystemExit('it was imported')\n")
    card = Card(name="x", summary="x", task="denoising", architecture="one_code:Net")
    for build in (build_restorer, build_part):
        with pytest.raises(ValueError, match='network = "one_code:Net"'):
            build(card, {})


def test_a_card_may_name_a_network_that_the_job_names_too(install):
    install("small", "1.0", CONVOLUTION)
    card = Card(name="x", summary="x", task="denoising", architecture="small_code:Small", channels=1)
    state = NETWORKS.named("small_code:Small")().state_dict()
    assert build_restorer(card, state, "small_code:Small").card.architecture == "small_code:Small"
