"""The live socket: what one person takes vanishes from every other open page within a blink."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from starlette.websockets import WebSocket, WebSocketDisconnect

from events.contracts.availability import AvailabilityChanged
from events.envelope import Message, unseal
from events.errors import Invalid
from events.topics import AVAILABILITY, BY_NAME
from gateway.frames import CursorTooOld, Frame, Window, frames_of, read_cursor, write_cursor

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
MOST_WAITING = 256  # frames; a socket that is slower than that is dropped, not waited for
BACKLOG = 2_000  # messages a partition that are read again at the start
TRY_AGAIN_LATER = 1013


class Socket:
    """One open page: what it wants to hear, and what waits to be sent to it."""

    def __init__(self, tenant_id: UUID, provider_id: UUID | None, offering_id: UUID | None) -> None:
        self.tenant_id, self.provider_id, self.offering_id = tenant_id, provider_id, offering_id
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)

    def wants(self, frame: Frame) -> bool:
        """Of its clinic, its provider (if it asked for one), and its class (if the frame is about one)."""
        return (
            frame.tenant_id == self.tenant_id
            and self.provider_id in (None, frame.provider_id)
            and (frame.offering_id is None or self.offering_id in (None, frame.offering_id))
        )

    def put(self, text: str) -> bool:
        """Queues a frame; False when the socket is too slow."""
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            return False
        return True


class Live:
    """Reads `holdfast.availability` without a group, keeps the last frames, and tells every open page."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._windows: dict[int, Window] = {}
        self._sockets: dict[UUID, set[Socket]] = {}
        self._viewers: Counter[tuple[UUID, UUID | None]] = Counter()
        self._seq = 0
        self.reading = False

    # -- reading -----------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop`; a broker that is away is waited for."""
        while not stop.is_set():
            try:
                await self._read(stop)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("the live feed waits for Kafka", error=str(error))
                self.reading = False
                try:
                    async with asyncio.timeout(1.0):
                        await stop.wait()
                except TimeoutError:
                    continue

    async def _read(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=500
        )
        partitions = [TopicPartition(AVAILABILITY, number) for number in range(BY_NAME[AVAILABILITY].partitions)]
        try:
            await consumer.start()
            consumer.assign(partitions)
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            for partition in partitions:
                window = self._windows.get(partition.partition)
                if window is None:
                    window = Window(max(begins[partition], ends[partition] - BACKLOG))
                    self._windows[partition.partition] = window
                consumer.seek(partition, window.next)
            while not stop.is_set():
                for partition, messages in (await consumer.getmany(timeout_ms=500)).items():
                    for raw in messages:
                        self._take(partition.partition, raw)
                self.reading = True
        finally:
            await consumer.stop()

    def _take(self, partition: int, raw: Any) -> None:
        frames: list[Frame] = []
        message = Message(
            AVAILABILITY,
            (raw.key or b"").decode(errors="replace"),
            raw.value,
            tuple(raw.headers),
            partition,
            raw.offset,
        )
        if message.type == AvailabilityChanged.TYPE:
            try:
                event = unseal(message)
            except Invalid as invalid:
                log.error("a live event cannot be read", partition=partition, offset=raw.offset, reason=str(invalid))
            else:
                assert isinstance(event, AvailabilityChanged)
                frames = frames_of(event, self._seq + 1)
                self._seq += len(event.changes)
        self._windows[partition].add(raw.offset, frames)
        for frame in frames:
            self._tell(frame)

    def _tell(self, frame: Frame) -> None:
        slow = [
            socket
            for socket in self._sockets.get(frame.tenant_id, ())
            if socket.wants(frame) and not socket.put(frame.text)
        ]
        for socket in slow:
            self._drop(socket)

    def _drop(self, socket: Socket) -> None:
        while not socket.waiting.empty():
            socket.waiting.get_nowait()
        socket.waiting.put_nowait(None)

    # -- sockets -----------------------------------------------------------------------------------------------

    async def serve(
        self,
        websocket: WebSocket,
        *,
        tenant_id: UUID,
        provider_id: UUID | None,
        offering_id: UUID | None,
        resume: str | None,
    ) -> None:
        """One socket from its accept to its end."""
        protocol = "holdfast" if "holdfast" in websocket.scope.get("subprotocols", []) else None
        await websocket.accept(subprotocol=protocol)
        socket = Socket(tenant_id, provider_id, offering_id)
        self._sockets.setdefault(tenant_id, set()).add(socket)
        self._viewers[tenant_id, provider_id] += 1
        # From here on no frame is lost: what came before is sent from the windows, what comes now is queued.
        first = [self._hello(tenant_id, provider_id), *self._missed(socket, resume)]
        self._count_viewers(tenant_id, provider_id)
        listening = asyncio.create_task(self._listen(websocket))
        sending = asyncio.create_task(self._send(websocket, socket, first))
        try:
            await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, sending):
                task.cancel()
            await asyncio.gather(listening, sending, return_exceptions=True)
            self._sockets[tenant_id].discard(socket)
            if not self._sockets[tenant_id]:
                del self._sockets[tenant_id]
            self._viewers[tenant_id, provider_id] -= 1
            self._count_viewers(tenant_id, provider_id)

    def _hello(self, tenant_id: UUID, provider_id: UUID | None) -> str:
        cursor = write_cursor({number: window.next for number, window in self._windows.items()})
        return self._own("hello", viewers=self._viewers[tenant_id, provider_id], resume=cursor)

    def _missed(self, socket: Socket, resume: str | None) -> list[str]:
        if resume is None:
            return []
        try:
            offsets = read_cursor(resume)
            missed = [
                frame
                for number, window in self._windows.items()
                for frame in window.since(offsets.get(number, window.first))
            ]
        except CursorTooOld:
            return [self._own("reset")]
        return [frame.text for frame in missed if socket.wants(frame)]

    def _count_viewers(self, tenant_id: UUID, provider_id: UUID | None) -> None:
        count = self._viewers[tenant_id, provider_id]
        text = self._own("viewers", provider_id=str(provider_id) if provider_id else None, count=count)
        for socket in list(self._sockets.get(tenant_id, ())):
            if socket.provider_id == provider_id and not socket.put(text):
                self._drop(socket)

    def _own(self, kind: str, **more: Any) -> str:
        """A frame of the gateway's own."""
        self._seq += 1
        return json.dumps({"seq": self._seq, "type": kind} | more, separators=(",", ":"))

    async def _send(self, websocket: WebSocket, socket: Socket, first: list[str]) -> None:
        try:
            for text in first:
                await websocket.send_text(text)
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        waiting = await socket.waiting.get()
                except TimeoutError:
                    waiting = self._own("heartbeat")
                if waiting is None:
                    await websocket.close(TRY_AGAIN_LATER, "too slow")
                    return
                await websocket.send_text(waiting)
        except (WebSocketDisconnect, RuntimeError):
            return  # the page is gone; `serve` takes it off the list

    async def _listen(self, websocket: WebSocket) -> None:
        """A page says nothing; its end is heard here."""
        try:
            while True:
                await websocket.receive_text()
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return
