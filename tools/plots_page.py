"""Write .dvc/plots/offline.html, the page of `dvc plots show`, with Vega inside: DVC's own loads it from the network.

Run again to take a newer Vega: `python tools/plots_page.py`.
"""

from pathlib import Path

import vl_convert

TEMPLATE = Path(__file__).with_suffix(".html")
PAGE = Path(__file__).parents[1] / ".dvc" / "plots" / "offline.html"
VEGA_LITE = "5.21"  # of the major version that DVC's chart templates are written for


def main() -> None:
    """Put the bundle into the template; what else stands in braces there is for DVC to fill."""
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(TEMPLATE.read_text(encoding="utf-8").replace("{bundle}", bundle), encoding="utf-8")


if __name__ == "__main__":
    main()
