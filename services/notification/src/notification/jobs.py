"""Clock in."""

from notification import sending
from servicekit.jobs import every
from servicekit.service import Service


@every(1.0)
async def send_messages(service: Service) -> None:
    """Woken by each message that is written down; reminders come due by themselves."""
    await sending.send_due(service)


@every(15.0)
async def end_interrupted_messages(service: Service) -> None:
    """What a sender that is gone had in its hands: nobody knows whether it went out, so it is not sent again."""
    await sending.end_interrupted(service)
