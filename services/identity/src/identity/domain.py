"""Pure rules: slugs, zones, currencies, languages, roles, and JSON Merge Patch."""

import re
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

LOCALES = ("en", "pl", "es", "de")
RESERVED_SLUGS = frozenset(
    ("any", "v1", "me", "ops", "health", "docs", "assets", "embed", "login", "desk", "_sandbox")
)  # api.md
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

# ISO 4217, the currencies in circulation.
_CODES = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf
chf clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd
hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd
mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln
pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt tnd top try
ttd twd tzs uah ugx usd uyu uzs ves vnd vuv wst xaf xcd xcg xof xpf yer zar zmw zwg
"""
CURRENCIES = frozenset(_CODES.split())


def slug_fault(slug: str) -> str | None:
    """What is wrong with a slug by api.md's rules, None when nothing is."""
    if not 2 <= len(slug) <= 63:
        return "has to have 2 to 63 characters"
    if slug in RESERVED_SLUGS:
        return "is a reserved word"
    if not _SLUG.fullmatch(slug):
        return "may have lower-case letters, digits and single hyphens between them"
    if _is_uuid(slug):
        return "must not look like an id"
    return None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The IANA zones of this machine."""
    return frozenset(name for name in available_timezones() if name not in ("localtime", "posixrules", "Factory"))


def language_of(tag: str | None, otherwise: str) -> str:
    """The language we speak for a wish such as `pl-PL`; the clinic's own where we do not speak it."""
    primary = (tag or "").split("-")[0].split("_")[0].lower()
    return primary if primary in LOCALES else otherwise


def merge_patch(target: Any, patch: Any) -> Any:
    """The target with the patch applied (RFC 7396 §2): null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def may_manage(own_role: str, role: str) -> bool:
    """Whether a member with `own_role` may give or take away `role`: managers everything but ownership."""
    return own_role == "owner" or (own_role == "manager" and role != "owner")
