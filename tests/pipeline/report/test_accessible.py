"""axe finds nothing on any page: wide in the light, narrow in the dark.

axe-core is that of the package ``axe-core-python``, or the file that ``AXE_CORE`` names (npm has newer ones).
"""

import json
import os
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.trust.protocol import estimate_protocol
from tests.browser import CHROMIUM, in_browser
from tests.pipeline.report.test_doubts import HEADER
from tests.pipeline.report.test_page_layout import METRICS, benchmark_html
from tests.pipeline.report.test_restore_page import restore_html
from tests.pipeline.report.test_training_page import training_page
from tests.pipeline.trust.test_calibration import calibration

FIND = """<script>
const frames = [...document.querySelectorAll('iframe')];
const loaded = frames.map((frame) => new Promise((done) => { frame.onload = done; }));
Promise.all(loaded).then(async () => {
  const found = {};
  for (const frame of frames) {
    const page = frame.contentWindow;
    const dark = page.matchMedia('(prefers-color-scheme: dark)').matches;
    const wrong = (await page.axe.run(page.document)).violations;
    found[frame.title] = {
      dark,
      wrong: wrong.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))]),
    };
  }
  document.title = JSON.stringify(found);
});
</script>"""


def with_trust(table):
    """With floors, intervals and flags of its images, as far as the page tells of them."""
    trust = {"psnr_estimate": estimate_protocol(calibration(count=120)), **HEADER}
    header = json.loads(table.schema.metadata[b"restora"]) | trust
    header["job"]["psnr_needed"] = 30.0
    columns = {
        "psnr_floor": [33.0, 28.5, None, 29.9, None],
        "psnr_estimate": [34.0, 29.5, None, 31.0, None],
        "uncertainty_mean": [0.1, 0.05, 0.2, None, None],
        "uncertainty_p95": [0.2, 0.1, 0.3, None, None],
        "flags": [0.0, 3.0, 1.0, None, None],
        "psnr_reason": [None, None, "SIZE: 9 samples", None, None],
        "uncertainty_reason": [None, None, None, "SIZE: 9 samples", None],
        "flags_reason": [None] * 5,
    }
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.string() if "reason" in name else pa.float64()))
    return table.replace_schema_metadata({"restora": json.dumps(header)})


def axe() -> str | None:
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text(encoding="utf-8")
    if find_spec("axe_core_python") is None:
        return None
    return (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.skipif(axe() is None, reason="axe-core-python is not installed")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 390)])
def test_axe_finds_nothing_on_any_page(scheme, width, tmp_path):
    pages = {
        "benchmark": benchmark_html((*METRICS, "lpips_lite0")),
        "restore": restore_html(also=with_trust),
        "training": training_page(),
    }
    assert 'id="planes"' in pages["benchmark"]
    assert all(f'id="{each}"' in pages["restore"] for each in ("floors", "doubts"))
    (tmp_path / "axe.js").write_text(axe(), encoding="utf-8")
    frames = []
    for name, page in pages.items():
        with_axe = page.replace("</body>", '<script src="axe.js"></script></body>')
        (tmp_path / f"{name}.html").write_text(with_axe, encoding="utf-8")
        style = f"width:{width}px;height:900px;border:0"
        frames.append(f'<iframe title="{name}" src="{name}.html" style="{style}"></iframe>')
    # Chromium's own names of the two: 0 is dark.
    option = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    found = in_browser(f"<title>-</title><body>{''.join(frames)}{FIND}", tmp_path, option)
    assert found.keys() == pages.keys()
    assert {each["dark"] for each in found.values()} == {scheme == "dark"}
    assert {name: each["wrong"] for name, each in found.items()} == {name: [] for name in found}
