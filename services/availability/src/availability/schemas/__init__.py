"""HTTP shapes, by noun. Fields that are not known are refused by name."""

from availability.schemas.common import *  # noqa: F403
from availability.schemas.locations import *  # noqa: F403
from availability.schemas.offerings import *  # noqa: F403
from availability.schemas.resources import *  # noqa: F403
from availability.schemas.searching import *  # noqa: F403
from availability.schemas.times_off import *  # noqa: F403
