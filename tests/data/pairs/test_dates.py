"""builtin:dates: real forms, one meaning per string, parts that share neither dates nor strings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from datetime import date, timedelta
from itertools import pairwise

import pytest
from babel.dates import format_date

from sightline.core.errors import InputError
from sightline.data.pairs import dates as date_source
from sightline.data.pairs.corpus import load_corpus
from sightline.data.pairs.dates import LOCALES, DateOptions, DateParts, dates, forms_of, split_dates

EVERY_DAY = [date_source.FIRST + timedelta(days=i) for i in range((date_source.LAST - date_source.FIRST).days + 1)]


@pytest.fixture(scope="module")
def default() -> DateParts:
    return dates(DateOptions())


@pytest.fixture(scope="module")
def everything() -> DateParts:
    return dates(DateOptions.parse(f"locales={len(LOCALES)}&size=10000"))


@pytest.fixture(params=["default", pytest.param("everything", marks=pytest.mark.slow)])
def parts(request: pytest.FixtureRequest) -> DateParts:
    return request.getfixturevalue(request.param)


def test_targets_are_iso_dates(parts: DateParts) -> None:
    for part in parts:
        for _, target in part:
            assert date.fromisoformat(target).isoformat() == target
            assert date_source.FIRST <= date.fromisoformat(target) <= date_source.LAST


def test_no_date_and_no_string_is_in_two_parts(parts: DateParts) -> None:
    for side in (0, 1):
        train, valid, test = ({pair[side] for pair in part} for part in parts)
        assert not train & valid
        assert not train & test
        assert not valid & test
    assert all(len({source for source, _ in part}) == len(part) for part in parts)


def test_sizes(default: DateParts) -> None:
    assert [len(part) for part in default] == [100_000, 1000, 2000]
    pools = split_dates(0)
    assert sorted(day for pool in pools for day in pool) == EVERY_DAY
    assert [len(pool) / len(EVERY_DAY) for pool in pools] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


@pytest.mark.slow
def test_a_string_means_one_date_to_every_form(everything: DateParts) -> None:
    """Write every day of one year in every form: no string of that year means a second day."""
    forms = [form for locale in LOCALES for form in forms_of(locale)]
    meanings: dict[str, set[date]] = {}
    for day in EVERY_DAY:
        if day.year == 2012:
            for form in forms:
                text = form.write(day.month, day.day, day.weekday(), form.year(day))
                meanings.setdefault(text, set()).add(day)
    ambiguous = {text for text, days in meanings.items() if len(days) > 1}
    assert "11/12/2012" in ambiguous  # 11 December in France, November 12 in America
    generated = {source: target for part in everything for source, target in part if target[:4] == "2012"}
    assert len(generated) > 80
    assert not ambiguous & generated.keys()
    for source, target in generated.items():
        assert meanings[source] == {date.fromisoformat(target)}


def test_short_years_are_never_written(parts: DateParts) -> None:
    japanese = re.compile("令和|平成|昭和")
    for part in parts:
        for source, target in part:
            if japanese.search(source):
                continue
            digits = [unicodedata.digit(char, None) for char in source]
            runs = re.findall(r"\d+", "".join(" " if digit is None else str(digit) for digit in digits))
            year = int(target[:4])
            written = {str(year), str(year + 543)} | ({str(year - 1911)} if "民國" in source else set())
            assert written & set(runs)


@pytest.mark.parametrize("locale", LOCALES)
def test_forms_are_those_of_babel(locale: str) -> None:
    """Babel writes each pattern itself; digits apart, it must be the very string."""
    for form in forms_of(locale):
        for day in (date(2019, 3, 7), date(1950, 12, 31), date(2024, 2, 29)):
            ours = form.write(day.month, day.day, day.weekday(), str(day.year))
            western = "".join(str(unicodedata.digit(char, char)) for char in ours)
            pattern = re.sub("y+", "y", form.pattern)
            assert western == format_date(day, pattern, locale=locale)


def test_every_locale_has_weekdays_eras_and_several_forms() -> None:
    assert len(LOCALES) == len(set(LOCALES)) == 31
    for locale in LOCALES:
        forms = forms_of(locale)
        assert len(forms) >= 6
        assert any(form.has_weekday for form in forms)
        assert any("G" in form.pattern for form in forms)


def test_default_locales_have_right_to_left_and_cjk_scripts_and_native_digits(default: DateParts) -> None:
    assert len(DateOptions().locales) >= 8
    text = "".join(source for source, _ in default.train[:5000])
    assert {"R", "AL", "AN"} <= {unicodedata.bidirectional(char) for char in text}  # Hebrew, Arabic, Arabic digits
    assert "年" in text
    assert "令和" in text
    assert re.search("[А-я]", text)


def test_eras_of_japan_taiwan_and_thailand() -> None:
    def written(locale: str, pattern: str, day: date) -> set[str]:
        return {
            form.write(day.month, day.day, day.weekday(), form.year(day))
            for form in forms_of(locale)
            if form.pattern == pattern
        }

    for day, text in (
        (date(2019, 4, 30), "平成31年4月30日"),
        (date(2019, 5, 1), "令和元年5月1日"),
        (date(2020, 1, 1), "令和2年1月1日"),
        (date(1989, 1, 7), "昭和64年1月7日"),
        (date(1989, 1, 8), "平成元年1月8日"),
    ):
        assert text in written("ja", "y年M月d日", day)
    assert "民國108年3月7日" in written("zh_Hant_TW", "y年M月d日", date(2019, 3, 7))
    assert "7 มีนาคม พ.ศ. 2562" in written("th", "d MMMM y", date(2019, 3, 7))


@pytest.mark.slow
def test_the_same_in_every_process() -> None:
    program = (
        "from sightline.data.pairs.corpus import load_corpus\n"
        "print(load_corpus('builtin:dates?size=3000&seed=5').sha256)"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert hashes == {load_corpus("builtin:dates?size=3000&seed=5").sha256}


@pytest.mark.slow
def test_options() -> None:
    options = DateOptions.parse("locales=en+de+ja&size=100&seed=7")
    assert options == DateOptions(("en", "de", "ja"), 100, 7)
    assert DateOptions.parse("") == DateOptions()
    assert DateOptions.parse("locales=31").locales == LOCALES
    assert dates(options) != dates(options._replace(seed=8))
    # More training data does not change what is tested.
    assert dates(options).test == dates(options._replace(size=200)).test


@pytest.mark.slow
def test_load_corpus_takes_limit_and_no_files() -> None:
    corpus = load_corpus("builtin:dates?size=500", limit=10)
    assert corpus.name == "builtin:dates?size=500"
    assert [len(part.sources) for part in (corpus.train, corpus.valid, corpus.test)] == [10, 10, 10]
    for options in ({"test": "a.tsv"}, {"valid": "a.tsv"}, {"source_column": "a"}):
        with pytest.raises(InputError, match="built-in data does not take"):
            load_corpus("builtin:dates", **options)


def test_more_strings_than_a_locale_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(date_source, "split_dates", lambda seed: tuple(EVERY_DAY[i : i + 20] for i in (0, 20, 40)))
    with pytest.raises(InputError, match="1 locales cannot write 1000 different dates; lower size"):
        dates(DateOptions(("zh",), 1000))


def test_the_order_tells_nothing(default: DateParts) -> None:
    targets = [target for _, target in default.train]
    rises = sum(a < b for a, b in pairwise(targets))
    assert rises / len(targets) == pytest.approx(0.5, abs=0.02)
