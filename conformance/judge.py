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

    from sightline.testing.foreign import check_foreign

    torch.set_num_threads(1)
    module = importlib.import_module(f"conformance.subjects.{sys.argv[1]}")
    reports = [check_foreign(kind()).to_dict() for kind in module.SUBJECTS]
    print(json.dumps({"torch": torch.__version__, "subjects": reports}))


if __name__ == "__main__":
    main()
