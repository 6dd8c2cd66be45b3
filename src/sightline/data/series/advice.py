"""How errors show a cell, and what they advise about it."""

from __future__ import annotations

import re

_DAY_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:( )\d{1,2}:\d{2}(:\d{2})?)?")


def short(cell: str) -> str:
    """A cell as messages show it: at most 40 characters."""
    return repr(cell if len(cell) <= 40 else cell[:39] + "…") if cell else "an empty time"


def way_for_time(cell: str) -> str:
    """Advice about a cell that is not in ISO 8601; its own form as the example, where it is a usual one."""
    form, match = "%d/%m/%Y", _DAY_LAST.fullmatch(cell)
    if match:
        first, second = ("m", "d") if int(match[3]) > 12 else ("d", "m")
        form = f"%{first}{match[2]}%{second}{match[2]}%{'Y' if len(match[4]) == 4 else 'y'}"
        if match[5]:
            form = f"'{form} %H:%M{':%S' if match[6] else ''}'"
    return (
        f"write times as 2016-07-01 13:00 (ISO 8601) or as numbers, set their format, as in --time-format={form}, "
        "or choose another column with --time-column"
    )
