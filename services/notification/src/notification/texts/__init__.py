"""What we say, in each language we speak. A missing label fails to construct; a test compares the rest."""

from notification.texts.de import GERMAN
from notification.texts.en import ENGLISH
from notification.texts.es import SPANISH
from notification.texts.pl import POLISH
from notification.texts.shape import Texts, Words

__all__ = ["TEXTS", "Texts", "Words"]

TEXTS: dict[str, Texts] = {"en": ENGLISH, "pl": POLISH, "es": SPANISH, "de": GERMAN}
