"""All SQL of the service, by noun. Every statement names the tenant besides Row Level Security."""

from availability.repository.catalogue import *  # noqa: F403
from availability.repository.reading import *  # noqa: F403
from availability.repository.taken import *  # noqa: F403
from availability.repository.times_off import *  # noqa: F403
