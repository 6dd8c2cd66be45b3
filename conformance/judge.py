"""The laws over the subjects of one file, as JSON on standard output: `python -m conformance.judge torch_modules`."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import warnings


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    import torch

    from conformance.planted import planted
    from sightline.testing.foreign import check_foreign

    torch.set_num_threads(1)
    module = importlib.import_module(f"conformance.subjects.{sys.argv[1]}")
    reports = []
    for kind in module.SUBJECTS:
        report = check_foreign(kind())
        reports.append({**report.to_dict(), "planted": planted(kind(), report)._asdict()})
    print(json.dumps({"torch": torch.__version__, "subjects": reports}))


if __name__ == "__main__":
    main()
