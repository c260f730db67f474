"""HTTP in, by noun."""

from fastapi import APIRouter

from availability.endpoints import locations, offerings, other_times, resources, searching, times_off

router = APIRouter()
internal = APIRouter()
# What is asked most is matched first.
router.include_router(searching.hot)
internal.include_router(other_times.hot)
for noun in (locations, resources, times_off, offerings, searching):
    router.include_router(noun.router)
for noun in (resources, offerings):
    internal.include_router(noun.internal)
