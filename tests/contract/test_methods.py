"""What every registered method must do, so that the engine can treat them alike."""

from pathlib import Path

import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError

REFERENCES = (Path(__file__).parents[2] / "REFERENCES.bib").read_text()
SMALL = {"usme_hdr": {"width": 4}}


@pytest.mark.parametrize("name", methods.names())
class TestEveryMethod:
    def test_describes_itself(self, name):
        method = methods.get(name)
        assert method.title
        assert f"{{{method.reference}," in REFERENCES
        assert method.abilities <= {"reconstruct", "expose", "fuse"}
        assert method.abilities

    def test_reconstructs_finite_radiance_of_the_input_size(self, name):
        method = methods.get(name)
        network = methods.build(name, SMALL.get(name, {})).eval()
        middle = torch.rand(2, 3, 21, 34, generator=torch.Generator().manual_seed(0))
        result = method.reconstruct(network, middle, torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]]))
        assert result.hdr.shape == middle.shape
        assert torch.isfinite(result.hdr).all()
        assert all(image.shape == middle.shape for image in result.exposures.values())

    def test_survives_black_and_white_input(self, name):
        network = methods.build(name, SMALL.get(name, {})).eval()
        for value in (0.0, 1.0):
            image = torch.full((1, 3, 16, 16), value)
            result = methods.get(name).reconstruct(network, image, torch.tensor([[1.0, 4.0, 16.0]]))
            assert torch.isfinite(result.hdr).all()


def test_unknown_method_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'usme_hdr'"):
        methods.get("usme-hdr")


def test_a_method_that_cannot_be_imported_says_so(monkeypatch, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "__init__.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.setattr(methods, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    with pytest.raises(HdrbenchError, match="a_package_that_is_not_there"):
        methods.get("broken")
