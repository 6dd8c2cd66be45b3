"""The laws over modules of other libraries: `check_foreign` and `Adapter`."""

from sightline.testing.foreign.adapter import Adapter, NotOffered, Offers
from sightline.testing.foreign.check import ForeignReport, LawCell, check_foreign
from sightline.testing.foreign.laws import FOREIGN_LAWS

__all__ = ["FOREIGN_LAWS", "Adapter", "ForeignReport", "LawCell", "NotOffered", "Offers", "check_foreign"]
