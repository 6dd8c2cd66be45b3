"""Write the fonts of `src/sightline/report/fonts` from pinned packages of npm: see `make fonts`.

`python write.py NODE_MODULES FOLDER`, with `fontTools` and `brotli`. Each font has the letters of one script, Han and
Hangul only those of `builtin:dates`, with the tables that a browser needs to join and place them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont


def block(first: int, last: int) -> set[int]:
    """All code points of a block."""
    return set(range(first, last + 1))


HAN = set(map(ord, "一三二五令元公六周和四國土平年成日星昭暦曆曜月期木民水火西週金七八九十零百千國国前紀纪時时分秒"))
HANGUL = set(map(ord, "금기년목서수요월일토화주전후오시분초"))
# In every font that joins or places letters: the space, joiners, marks of direction, the place of a mark.
COMMON = {0x20, 0xA0, 0x200C, 0x200D, 0x200E, 0x200F, 0x25CC}
FONTS = {
    "latin-greek-cyrillic": ("noto-sans", "NotoSans", block(0x20, 0x17F) | {0x1A0, 0x1A1, 0x1AF, 0x1B0}
        | block(0x218, 0x21B) | block(0x2B0, 0x323) | block(0x1E00, 0x1EFF) | block(0x370, 0x3FF) | block(0x400, 0x45F)
        | {0x490, 0x491, 0x202F, 0x20AC, 0x2212} | block(0x2010, 0x2027) | block(0x2030, 0x203A)),
    "arabic": ("noto-sans-arabic", "NotoSansArabic", block(0x600, 0x6FF)),
    "bengali": ("noto-sans-bengali", "NotoSansBengali", block(0x964, 0x965) | block(0x980, 0x9FE)),
    "devanagari": ("noto-sans-devanagari", "NotoSansDevanagari", block(0x900, 0x97F)),
    "hebrew": ("noto-sans-hebrew", "NotoSansHebrew", block(0x591, 0x5F4)),
    "signs": ("noto-sans-math", "NotoSansMath", {0x2190, 0x2192, 0x21B5, 0x23CE, 0x2423, 0x25CC, 0x27E8, 0x27E9}),
    "thai": ("noto-sans-thai", "NotoSansThai", block(0xE01, 0xE5B)),
    "kana-han": ("noto-sans-jp", "NotoSansJP", HAN | block(0x3000, 0x3015) | block(0x3041, 0x30FF)
        | block(0xFF01, 0xFF5E)),
    "hangul": ("noto-sans-kr", "NotoSansKR", HANGUL),
}  # fmt: skip
# Those that pictures need besides that of matplotlib, which reads no woff2.
IN_PICTURES = ("devanagari", "bengali", "thai", "kana-han", "hangul")
JOINING = ("arabic", "bengali", "devanagari", "hebrew", "thai")


def main(modules: Path, folder: Path) -> None:
    """Write each font as woff2, those for pictures as ttf too, what each covers, and the licence of all."""
    covers: dict[str, list[str]] = {}
    owners: dict[str, list[str]] = {}
    terms = ""
    for name, (package, stem, letters) in FONTS.items():
        place = modules / "@expo-google-fonts" / package
        font = TTFont(place / "400Regular" / f"{stem}_400Regular.ttf", recalcTimestamp=False)
        options = subset.Options(layout_features=["*"] if name in JOINING else ["ccmp", "locl", "mark", "mkmk", "kern"])
        options.hinting, options.flavor, options.name_IDs = False, "woff2", [0, 1, 2, 13, 14]
        options.notdef_outline, options.drop_tables = True, [*options.drop_tables, "STAT", "meta"]
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=letters | (COMMON if name in JOINING else set()))
        subsetter.subset(font)
        subset.save_font(font, folder / f"{name}.woff2", options)
        if name in IN_PICTURES:
            options.flavor = None
            subset.save_font(font, folder / f"{name}.ttf", options)
        spaces = {0x20, 0xA0} if name in JOINING else set()
        covers[name] = ranges(sorted(set(font.getBestCmap()) - spaces))
        owner, _, terms = (place / "LICENSE_FONT").read_text().partition("\n")
        owners.setdefault(owner.strip(), []).append(name)
    (folder / "covers.json").write_text(json.dumps(covers, indent=1) + "\n")
    notices = [f"{', '.join(names)}: {owner}" for owner, names in owners.items()]
    (folder / "OFL.txt").write_text("\n".join([*notices, terms]))


def ranges(points: list[int]) -> list[str]:
    """Ascending code points as ranges of CSS, such as U+600-604."""
    stretches: list[list[int]] = []
    for point in points:
        if stretches and stretches[-1][1] == point - 1:
            stretches[-1][1] = point
        else:
            stretches.append([point, point])
    return [f"U+{low:X}" if low == high else f"U+{low:X}-{high:X}" for low, high in stretches]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
