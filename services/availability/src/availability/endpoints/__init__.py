"""HTTP in, by noun."""

from fastapi import APIRouter

from availability.endpoints import locations, offerings, resources, searching, times_off

router = APIRouter()
internal = APIRouter()
for noun in (locations, resources, times_off, offerings, searching):
    router.include_router(noun.router)
for noun in (searching, resources, offerings):
    internal.include_router(noun.internal)
