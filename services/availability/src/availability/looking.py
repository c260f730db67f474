"""One look at a clinic: its catalogue, kept from before where it has not changed, and what is taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from availability.board import Sought, arguments
from availability.calendars import Taken
from availability.directory import Directories, Directory
from availability.errors import ClinicUnknown
from availability.repository import reading
from availability.repository.reading import Asked, Reading, Stamps
from availability.search import Search
from events.contracts.identity import TenantChanged
from servicekit import copies
from servicekit.database import Database
from servicekit.hot import HotPool
from servicekit.problems import NotFound, Problem, ValidationFailed

Seek = Callable[[Directory], Sought]
NOTHING = Asked((), 0, 0)
Survey = Callable[[Directory], Sequence[Sought]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was looked for, with what is taken."""

    sought: Sought
    reading: Reading
    taken: dict[UUID, Taken] | None = None
    """What the reading says, where it is shared by several things that were looked for."""

    def search(self) -> Search:
        """The search over it."""
        if self.taken is None:
            return self.sought.search(self.reading.taken())
        asked = self.sought.asked
        later = asked.first_chunk - self.reading.asked.first_chunk
        own = self.sought.resources()
        return self.sought.search({identity: self.taken[identity].from_chunk(later, asked) for identity in own})


class Looker:
    """Looks. `Directories` outlive a request."""

    def __init__(self, database: Database, hot: HotPool) -> None:
        self._database = database
        self._hot = hot
        self._directories = Directories(database)

    async def look(self, tenant_id: UUID, seek: Seek, *, ignored: UUID | None = None) -> Seen:
        """What `seek` looks for in the catalogue as it is now. One statement where the catalogue has not changed.

        `seek` may raise `NotFound` and `ValidationFailed`; `Unavailable` when the clinic's copy does not come.
        """

        def survey(directory: Directory) -> list[Sought]:
            return [seek(directory)]

        def asked(all_sought: Sequence[Sought]) -> Asked:
            return Asked(**arguments(all_sought[0], ignored))

        found, read = await self._fresh(tenant_id, survey, asked)
        return Seen(found[0], read)

    async def survey(self, tenant_id: UUID, survey: Survey) -> list[Seen]:
        """Several things at once, which need not be of one offering, within one and the same stretch of chunks."""

        def asked(all_sought: Sequence[Sought]) -> Asked:
            first = min((one.asked.first_chunk for one in all_sought), default=0)
            end = max((one.asked.first_chunk + one.asked.chunks for one in all_sought), default=1)
            return Asked(
                resources=list({identity: None for one in all_sought for identity in one.resources()}),
                first_chunk=first,
                chunks=end - first,
                offerings=sorted({identity for one in all_sought for identity in one.offerings()}),
                wide=max((one.wide() for one in all_sought), default=0),
            )

        found, read = await self._fresh(tenant_id, survey, asked)
        taken = read.taken()
        return [Seen(one, read, taken) for one in found]

    async def _fresh(
        self, tenant_id: UUID, survey: Survey, asked: Callable[[Sequence[Sought]], Asked]
    ) -> tuple[Sequence[Sought], Reading]:
        """What is kept serves only at the versions that come with what is taken; what was read in this very request
        serves in any case. A name that is not known is looked up in the present catalogue before anybody is told."""
        directory = self._directories.kept(tenant_id)
        stamps: Stamps | None = None
        if directory is not None:
            missing: Problem | None = None
            try:
                found = survey(directory)
                asked_for = asked(found)
            except (NotFound, ValidationFailed) as problem:
                missing, asked_for = problem, NOTHING
            read = await reading.read(self._hot, tenant_id, asked_for)
            stamps = read.stamps
            if stamps == directory.stamps:
                if missing is not None:
                    raise missing
                return found, read
        directory = await self._directories.load(tenant_id, stamps)
        try:
            found = survey(directory)
        except ClinicUnknown:
            # Its offering is here: the clinic was made just now, and the word of it is on its way.
            await copies.await_copy(self._database, tenant_id, TenantChanged, str(tenant_id))
            directory = await self._directories.load(tenant_id)
            found = survey(directory)
        return found, await reading.read(self._hot, tenant_id, asked(found))
