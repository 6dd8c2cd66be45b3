"""`builtin:dates`: dates as people write them in many locales → ISO 8601.

Every form comes from the Unicode CLDR through Babel: the locale's own short, medium, long and full patterns and its
skeletons with weekday and era, in the locale's own digits; Japan's eras, Taiwan's Minguo years and Thailand's Buddhist
years on top. Years have all their digits, 1950 to 2049.

The task is well posed: a string that two forms read as two dates (`11/12/2005`) is never used. Training, validation and
test differ in their dates, hence in all their strings too.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, final

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.core.suggest import unknown
from sightline.data.builtin import parse_options, parse_seed, whole_number

NAME = "builtin:dates"
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
VALID_SIZE, TEST_SIZE, MOST = 1000, 2000, 500_000
DEFAULT_LOCALES = 8
# By number of locales a user gets the first n: scripts, directions and orders of day, month and year come early.
LOCALES = (
    *("en", "de", "ar_EG", "zh", "ru", "he", "ja", "es", "fr", "hi", "ko", "fa", "tr", "pl", "th", "bn"),
    *("pt", "it", "nl", "sv", "cs", "el", "uk", "hu", "fi", "vi", "id", "mr", "zh_Hant_TW", "da", "ro"),
)
_ZERO = {"arab": "\u0660", "arabext": "\u06f0", "beng": "\u09e6", "deva": "\u0966"}
_SKELETONS = ("yMd", "yMMMd", "yMMMMd", "yMEd", "yMMMEd", "GyMMMd", "GyMMMEd")
_YEAR = "\0"  # instead of the year while strings are compared


class DateOptions(NamedTuple):
    """The options of `builtin:dates?locales=31&size=50000&seed=1`; `locales` may also be names, as in `en+de+ja`."""

    locales: tuple[str, ...] = LOCALES[:DEFAULT_LOCALES]
    size: int = 100_000
    seed: int = 0

    @classmethod
    def parse(cls, query: str) -> DateOptions:
        """Read the part after `?`.

        Raises:
            InputError: "builtin:dates: unknown option 'local', did you mean 'locales'?", "builtin:dates: size must be
                from 1 to 500000, found '0'", …
        """
        options = parse_options(query, cls._fields, NAME)
        return cls(
            locales=_locales(options.get("locales", str(DEFAULT_LOCALES))),
            size=whole_number(options, "size", cls._field_defaults["size"], 1, MOST, NAME),
            seed=parse_seed(options, NAME),
        )


class DateParts(NamedTuple):
    """(source, target) pairs of each part."""

    train: list[tuple[str, str]]
    valid: list[tuple[str, str]]
    test: list[tuple[str, str]]


@final
@dataclass(frozen=True)
class DateForm:
    """One way to write a date: a CLDR pattern in a locale.

    `parts` has literal strings, and tables of strings with the place in (month, day, weekday) that picks from them;
    `None` is the year.
    """

    locale: str
    pattern: str
    year: Callable[[date], str]
    parts: tuple[str | tuple[int, tuple[str, ...]] | None, ...]

    @property
    def has_weekday(self) -> bool:
        """Whether the weekday is written."""
        return any(isinstance(part, tuple) and part[0] == 2 for part in self.parts)

    def write(self, month: int, day: int, weekday: int, year: str = _YEAR) -> str:
        """The string, with `year` as the year; weekday 0 is Monday."""
        numbers = (month, day, weekday)
        return "".join(
            [
                year if part is None else part if isinstance(part, str) else part[1][numbers[part[0]]]
                for part in self.parts
            ]
        )


def dates(options: DateOptions) -> DateParts:
    """Generate the pairs: the same ones for the same options, on every machine.

    Raises:
        InputError: when the locales cannot write `size` different strings.
    """
    forms = [forms_of(locale) for locale in options.locales]
    ambiguous = _ambiguous([form for group in forms for form in group])
    pools = split_dates(options.seed)
    sizes = (options.size, VALID_SIZE, TEST_SIZE)
    parts = [
        _draw(pool, forms, ambiguous, size, random.Random(derive(options.seed, "dates", name)))
        for pool, size, name in zip(pools, sizes, ("train", "valid", "test"), strict=True)
    ]
    return DateParts(*parts)


def split_dates(seed: int) -> tuple[list[date], list[date], list[date]]:
    """All dates in three pools, about 80, 10 and 10 %, chosen by hash."""
    pools: tuple[list[date], list[date], list[date]] = ([], [], [])
    for offset in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        digit = hashlib.sha256(f"{seed}/{day.isoformat()}".encode()).digest()[0] * 10 // 256
        pools[max(digit - 7, 0)].append(day)
    return pools


@functools.cache
def forms_of(locale: str) -> tuple[DateForm, ...]:
    """Every form of a locale, each pattern once."""
    from babel import Locale

    data = Locale.parse(locale)
    patterns = [data.date_formats[length].pattern for length in ("short", "medium", "long", "full")]
    patterns += [str(data.datetime_skeletons[name]) for name in _SKELETONS if name in data.datetime_skeletons]
    _, _, long, full = patterns[:4]
    if "MMMM" in long:  # more ways to mix words, where there are words
        patterns += [long.replace("MMMM", "MMM"), full.replace("EEEE", "E"), long if "G" in long else f"{long} GGGG"]
    digits = _digits(data.default_numbering_system)

    def gregorian_year(day: date) -> str:
        return str(day.year).translate(digits)

    forms = [_compile(locale, pattern, gregorian_year) for pattern in patterns]
    forms += [_compile(locale, pattern, year) for year, pattern in _CALENDARS.get(locale, ())]
    return tuple({(form.year, form.parts): form for form in forms}.values())


def _japanese_year(day: date) -> str:
    """Era and year of the era; the first one is 元."""
    for start, era in ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和")):
        if day >= start:
            number = day.year - start.year + 1
            return era + (str(number) if number > 1 else "元")
    raise ValueError(f"no era for {day}")


def _minguo_year(day: date) -> str:
    return f"民國{day.year - 1911}"


def _buddhist_year(day: date) -> str:
    return f"พ.ศ. {day.year + 543}"


_CALENDARS: dict[str, tuple[tuple[Callable[[date], str], str], ...]] = {
    "ja": ((_japanese_year, "y年M月d日"), (_japanese_year, "y年M月d日EEEE"), (_japanese_year, "y年M月d日(E)")),
    "zh_Hant_TW": ((_minguo_year, "y年M月d日"), (_minguo_year, "y年M月d日 EEEE"), (_minguo_year, "y/M/d")),
    "th": ((_buddhist_year, "d MMM y"), (_buddhist_year, "d MMMM y"), (_buddhist_year, "EEEEที่ d MMMM y")),
}


def _compile(locale: str, pattern: str, year: Callable[[date], str]) -> DateForm:
    """Look up every month, day and weekday once, so that writing a date is joining strings."""
    from babel import Locale
    from babel.dates import DateTimeFormat, tokenize_pattern

    data = Locale.parse(locale)
    digits = _digits(data.default_numbering_system)
    sample = {"M": [date(2001, m, 1) for m in range(1, 13)], "d": [date(2001, 1, d) for d in range(1, 32)]}
    sample["E"] = [date(2001, 1, d) for d in range(1, 8)]  # a Monday to a Sunday
    parts: list[str | tuple[int, tuple[str, ...]] | None] = []
    for kind, value in tokenize_pattern(pattern):
        if kind == "chars":
            parts.append(str(value))
            continue
        letter, width = str(value[0]), int(value[1])
        field = {"L": "M", "c": "E"}.get(letter, letter)
        if field == "y":
            parts.append(None)
        elif field == "G":
            parts.append(DateTimeFormat(date(2001, 1, 1), data)["G" * width])
        else:
            written = [DateTimeFormat(day, data)[letter * width] for day in sample[field]]
            if field == "d" or width < 3:
                written = [text.translate(digits) for text in written]
            # Months and days count from 1, weekdays from 0.
            parts.append(("MdE".index(field), tuple(written) if field == "E" else ("", *written)))
    return DateForm(locale, pattern, year, tuple(parts))


def _ambiguous(forms: Sequence[DateForm]) -> frozenset[str]:
    """The strings, without their year, that mean more than one month and day."""
    meaning: dict[str, tuple[int, int]] = {}
    twice: set[str] = set()
    days = [(d.month, d.day) for d in _days_of(2000)]
    for form in forms:
        for weekday in range(7 if form.has_weekday else 1):
            for month, day in days:
                text = form.write(month, day, weekday)
                if meaning.setdefault(text, (month, day)) != (month, day):
                    twice.add(text)
    return frozenset(twice)


def _days_of(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)


def _draw(
    pool: Sequence[date],
    forms: Sequence[Sequence[DateForm]],
    ambiguous: frozenset[str],
    size: int,
    stream: random.Random,
) -> list[tuple[str, str]]:
    """`size` different strings: a date, a locale and one of its forms, each drawn uniformly."""
    pairs: dict[str, str] = {}
    for _ in range(20 * size + 1000):
        if len(pairs) == size:
            break
        day = stream.choice(pool)
        form = stream.choice(stream.choice(forms))
        text = form.write(day.month, day.day, day.weekday())
        if text not in ambiguous:
            pairs.setdefault(text.replace(_YEAR, form.year(day)), day.isoformat())
    else:
        raise InputError(f"{len(forms)} locales cannot write {size} different dates; lower size", where=NAME)
    return list(pairs.items())


def _digits(numbering: str) -> dict[int, int]:
    zero = ord(_ZERO.get(numbering, "0"))
    return {ord("0") + i: zero + i for i in range(10)}


def _locales(text: str) -> tuple[str, ...]:
    if text.isascii() and text.isdigit():
        if not 1 <= int(text[:9]) <= len(LOCALES):
            raise InputError(f"locales must be from 1 to {len(LOCALES)}, found {text}", where=NAME)
        return LOCALES[: int(text)]
    names = tuple(dict.fromkeys(text.replace(" ", "+").split("+")))  # a query writes "+" for a space
    for name in names:
        if name not in LOCALES:
            raise InputError(unknown("locale", name, LOCALES), where=NAME)
    return names
