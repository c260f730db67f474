"""Rows as other services keep them."""

from availability.repository import Row
from events import Money
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState, TimeOffState


def resource_state(row: Row) -> ResourceState:
    """A resource with its working hours."""
    return ResourceState(
        tenant_id=row["tenant_id"],
        version=row["version"],
        resource_id=row["id"],
        type=row["type"],
        slug=row["slug"],
        name=row["name"],
        active=row["active"],
        time_zone=row["time_zone"],
        approval_required=row["approval_required"],
        user_id=row["user_id"],
        schedule_version=row["schedule_version"],
        location_id=row["location_id"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        schedule=row["schedule"],
    )


def offering_state(row: Row) -> OfferingState:
    """An offering with its requirements and rules."""
    return OfferingState(
        tenant_id=row["tenant_id"],
        version=row["version"],
        offering_id=row["id"],
        slug=row["slug"],
        name=row["name"],
        active=row["active"],
        duration_minutes=row["duration_minutes"],
        capacity=row["capacity"],
        price=Money(**row["price"]),
        mode=row["payment"]["mode"],
        deposit_amount=row["payment"].get("deposit_amount"),
        hold_seconds=row["hold_minutes"] * 60,
        min_notice_minutes=row["min_notice_minutes"],
        cancellation=CancellationPolicy(**row["cancellation"]),
        reminders_minutes=row["reminders_minutes"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        window_days=row["window_days"],
        requirements=row["requirements"],
        rules=row["rules"],
        members_only=row["members_only"],
    )


def time_off_state(row: Row) -> TimeOffState:
    """Time off with the rule by which it comes back."""
    return TimeOffState(
        tenant_id=row["tenant_id"],
        version=row["version"],
        time_off_id=row["id"],
        resource_id=row["resource_id"],
        start=row["start_at"],
        end=row["end_at"],
        rrule=row["rrule"],
        time_zone=row["time_zone"],
    )
