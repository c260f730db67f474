"""Contracts, their committed schemas, and the event map."""

import copy
import json
import subprocess
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from events import Deleted, Event, Invalid, Money, State, docs, schemas
from events.base import TYPES, Instant, declare
from events.contracts.availability import ResourceState
from events.contracts.booking import HoldExpired
from events.envelope import Envelope, Message, seal, unseal
from events.handlers import Handler, upcast, with_upcasts
from events.tables import MESSAGING_DDL, metadata
from events.topics import BY_NAME, CONSUMERS, TOPICS, dead_letters

FOLDER = Path(__file__).parents[1] / "schemas"
COMMITTED = schemas.committed_in(FOLDER)


def message_of(event: Event | Deleted, **more: Any) -> Message:
    _, record = seal(event, source="test")
    place = {"partition": 0, "offset": 0} | more
    return Message(record.topic, record.key, record.value, record.headers, **place)


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, old in COMMITTED.items() for n in range(len(old["examples"]))]
)
def test_every_example_ever_committed_still_decodes(name: str, number: int) -> None:
    example = COMMITTED[name]["examples"][number]
    cls = TYPES[name]
    event = cls.model_validate_json(json.dumps(example["value"]))
    assert event.key() == example["key"]
    decoded = unseal(message_of(event))
    assert decoded == event


def test_every_type_is_committed_and_names_its_topic_and_version() -> None:
    assert sorted(COMMITTED) == sorted(schemas.contracts())
    for name, cls in schemas.contracts().items():
        assert cls.TOPIC in BY_NAME
        assert name.rsplit(".v", 1)[1].isdigit()
        assert cls.__doc__


def test_no_contract_has_a_field_for_a_persons_name_or_address() -> None:
    personal = {"email", "phone", "first_name", "last_name", "full_name", "customer", "notes"}
    for name, cls in schemas.contracts().items():
        assert not personal & set(cls.model_fields), name


def test_the_topics_names_are_unique_and_every_consumer_has_its_dead_letters() -> None:
    assert len(BY_NAME) == len(TOPICS)
    assert all(BY_NAME[dead_letters(name)].kind == "dead" for name in CONSUMERS)


# -- compatibility ---------------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten() -> Iterator[list[str]]:
    """Types declared here are forgotten afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        TYPES.pop(name, None)


def variant(forgotten: list[str], **changes: Any) -> type[Event]:
    """`HoldExpired` with fields added, retyped or (None) taken out."""
    name = f"test.t{uuid.uuid4().hex[:8]}.v1"
    forgotten.append(name)
    annotations: dict[str, Any] = {
        "booking_id": uuid.UUID, "at": Instant, "reason": str, "amount": Money, "note": str | None,
    }  # fmt: skip
    defaults: dict[str, Any] = {"note": None}
    for field, change in changes.items():
        annotation, *default = change if isinstance(change, tuple) else (change,)
        annotations.pop(field, None)
        if annotation is not None:
            annotations[field] = annotation
        if default:
            defaults[field] = default[0]
    body = {"__annotations__": annotations, "__module__": __name__, "__doc__": "A variant."} | defaults
    return declare(name, topic="holdfast.booking", key="booking_id")(type("Variant", (Event,), body))


def objections(forgotten: list[str], **changes: Any) -> list[str]:
    old, new = schemas.document_of(variant(forgotten)), schemas.document_of(variant(forgotten, **changes))
    return list(schemas.objections(old, new))


def test_a_new_optional_field_is_compatible(forgotten: list[str]) -> None:
    assert objections(forgotten, more=(int, 0), other=(str | None, None)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reason": None}, "the field reason was removed or renamed"),
        ({"reason": None, "cause": str}, "the field reason was removed or renamed"),
        ({"reason": int}, "the field reason changed its type from string to integer"),
        ({"at": str}, "the field at changed its type from string (date-time) to string"),
        ({"note": (str, "")}, "the field note changed its type from string or null to string"),
        ({"more": int}, "the field more is new and required"),
        ({"note": str | None}, "the field note became required"),
        ({"amount": int}, "the field amount changed its type from object to integer"),
    ],
)
def test_other_changes_are_refused_by_name(forgotten: list[str], changes: dict[str, Any], says: str) -> None:
    if changes.get("note") == str | None:
        changes = {"note": (str | None, ...)}
    sentences = objections(forgotten, **changes)
    assert any(says in sentence for sentence in sentences), sentences
    assert all(".v2 with an upcaster" in sentence for sentence in sentences)


def test_a_field_that_disappears_inside_another_is_refused_with_its_path() -> None:
    old = schemas.document_of(HoldExpired)
    new = copy.deepcopy(old)
    del new["schema"]["$defs"]["Visit"]["properties"]["seats"]
    new["schema"]["$defs"]["Visit"]["required"].remove("seats")
    (sentence,) = schemas.objections(old, new)
    assert sentence.startswith("booking.hold_expired.v1: the field visit.seats was removed or renamed.")


def test_a_value_that_is_no_longer_taken_is_refused() -> None:
    old = schemas.document_of(ResourceState)
    new = copy.deepcopy(old)
    new["schema"]["properties"]["type"]["enum"].remove("virtual")
    (sentence,) = schemas.objections(old, new)
    assert "the field type no longer takes virtual" in sentence


def test_a_type_that_was_removed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = COMMITTED["booking.hold_expired.v1"] | {"type": "booking.gone.v1"}
    (tmp_path / "booking.gone.v1.json").write_text(schemas.text_of(gone))
    assert schemas.main([str(tmp_path)]) == 1
    assert "booking.gone.v1: the type was removed" in capsys.readouterr().err


def test_an_example_that_no_longer_decodes_is_refused() -> None:
    old = copy.deepcopy(COMMITTED["booking.hold_expired.v1"])
    old["examples"][0]["value"]["visit"]["seats"] = 0
    sentences = list(schemas.refused(schemas.contracts(), {"booking.hold_expired.v1": old}))
    assert any("example 1 no longer decodes: visit.seats" in sentence for sentence in sentences)


def test_a_key_that_changed_is_refused() -> None:
    old = copy.deepcopy(COMMITTED["booking.hold_expired.v1"])
    old["examples"][0]["key"] = "another"
    sentences = list(schemas.refused(schemas.contracts(), {"booking.hold_expired.v1": old}))
    assert any("which breaks the order" in sentence for sentence in sentences)


def test_files_are_written_once_checked_and_compared_with_the_branch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "schemas"
    assert schemas.main(["--check", str(folder)]) == 1
    assert "Out of date" in capsys.readouterr().err
    assert schemas.main([str(folder)]) == 0
    assert schemas.main(["--check", str(folder)]) == 0
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert schemas.main([str(folder)]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first

    # The branch has a type that the files here no longer show: it is missed all the same.
    gone = COMMITTED["booking.hold_expired.v1"] | {"type": "booking.gone.v1"}
    (folder / "booking.gone.v1.json").write_text(schemas.text_of(gone))
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    (folder / "booking.gone.v1.json").unlink()
    assert schemas.main(["--check", str(folder)]) == 1
    assert "booking.gone.v1: the type was removed" in capsys.readouterr().err


def test_examples_are_kept_when_fields_are_added(forgotten: list[str]) -> None:
    old = schemas.document_of(variant(forgotten))
    new = schemas.document_of(variant(forgotten, more=(int, 0)), old)
    assert new["examples"][: len(old["examples"])] == old["examples"]
    assert any("more" in example["value"] for example in new["examples"])


async def test_whoever_handles_the_new_version_is_given_the_old_one_too(forgotten: list[str]) -> None:
    first, second = variant(forgotten), variant(forgotten, more=int)

    @upcast(first, second)
    def with_more(old: Any) -> Any:
        return second.model_validate(old.model_dump() | {"more": 3})

    seen: list[Any] = []

    async def react(event: Any, tx: Any) -> None:
        seen.append(event)

    handlers = with_upcasts({(second.TYPE, False): Handler("test", second, react)})
    old = first.model_validate(schemas.document_of(first)["examples"][0]["value"])
    await handlers[first.TYPE, False].react(unseal(message_of(old)), None)
    assert isinstance(seen[0], second)
    assert seen[0].more == 3  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="upcast twice"):
        upcast(first, second)(with_more)


# -- envelope --------------------------------------------------------------------------------------------------------


def test_the_envelope_comes_back_as_it_was_sealed() -> None:
    event = HoldExpired.model_validate(COMMITTED["booking.hold_expired.v1"]["examples"][0]["value"])
    cause, _ = seal(event, source="booking")
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    envelope, record = seal(event, source="payment", cause=cause, traceparent=trace)
    assert Envelope.of(Message(record.topic, record.key, record.value, record.headers, 0, 0)) == envelope
    assert (envelope.causation_id, envelope.correlation_id) == (cause.id, cause.correlation_id)
    assert envelope.source == "holdfast/payment"


def test_a_tombstone_becomes_deleted_and_only_state_can_be_deleted() -> None:
    resource = ResourceState.model_validate(COMMITTED["catalog.resource.v1"]["examples"][0]["value"])
    gone = Deleted(ResourceState.TYPE, resource.key(), resource.tenant_id, 9)
    assert unseal(message_of(gone)) == gone
    assert issubclass(ResourceState, State)
    with pytest.raises(Invalid, match="only state can be deleted"):
        unseal(message_of(Deleted(HoldExpired.TYPE, "k", resource.tenant_id, 1)))


def test_unknown_fields_are_ignored_and_instants_need_an_offset() -> None:
    value = COMMITTED["booking.hold_renewed.v1"]["examples"][0]["value"]
    cls = TYPES["booking.hold_renewed.v1"]
    assert cls.model_validate(value | {"from_the_future": 1})
    with pytest.raises(ValidationError, match="UTC offset"):
        cls.model_validate(value | {"expires_at": datetime(2026, 1, 1).isoformat()})


async def test_the_tables_described_are_the_tables_made(memory_toy: Any) -> None:
    assert len(MESSAGING_DDL) == 4
    made = await memory_toy.rows(
        "SELECT table_name, column_name, is_nullable = 'YES' AS nullable FROM information_schema.columns"
        f" WHERE table_schema = '{memory_toy.name}' AND table_name <> 'handled'"
    )
    described = {(t.name, c.name, c.nullable) for t in metadata.tables.values() for c in t.columns}
    assert {(row.table_name, row.column_name, row.nullable) for row in made} == described


# -- the event map ---------------------------------------------------------------------------------------------------


def test_the_map_names_topics_types_keys_and_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "events.md"
    assert docs.main(["--check", str(path)]) == 1
    assert docs.main([str(path)]) == 0
    assert docs.main(["--check", str(path)]) == 0
    page = path.read_text()
    for topic in TOPICS:
        assert f"| {topic.name} |" in page
    for name in schemas.contracts():
        assert f"`{name}`" in page
    assert "- key: `booking_id`" in page
    assert "- key: `offering:<offering_id>`" in page
    path.write_text(page + "\n")
    assert docs.main(["--check", str(path)]) == 1
