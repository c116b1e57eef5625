"""A page in headless Chromium: what scripts in it found."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--allow-file-access-from-files",
    "--hide-scrollbars",
)


def in_browser(page: str, folder: Path, *options: str) -> Any:
    """What the scripts of the page leave in its title, as JSON; it may load the files of the folder."""
    (folder / "frame.html").write_text(page, encoding="utf-8")
    command = [
        CHROMIUM,
        *OPTIONS,
        *options,
        "--window-size=1600,1000",
        f"--user-data-dir={folder / 'profile'}",
    ]
    done = subprocess.run(
        [*command, "--virtual-time-budget=20000", "--dump-dom", (folder / "frame.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout, re.S)[1]))
