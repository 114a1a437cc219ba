"""Whose event is this? Iterators of one engine may run side by side; each gets its own, `step` gets the rest."""

from __future__ import annotations

from greenlight.engine.requests import Event, TokenEvent


class Mailbox:
    """Events of one iterator's requests."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        """Requests that have not ended."""
        self._events: list[Event] = []

    @property
    def waiting(self) -> bool:
        """Whether there is anything to collect."""
        return bool(self._events)

    def put(self, event: Event) -> None:
        """Keep an event until it is collected."""
        self._events.append(event)

    def collect(self) -> list[Event]:
        """All events since the last time, in order."""
        events, self._events = self._events, []
        return events


class PostOffice:
    """Knows which mailbox each request's events go to."""

    def __init__(self) -> None:
        self._boxes: dict[str, Mailbox] = {}
        self._rest = Mailbox()

    @property
    def empty(self) -> bool:
        """Whether no event waits outside of a subscriber's mailbox."""
        return not self._rest.waiting

    def subscribe(self, request_id: str, box: Mailbox) -> None:
        """Send a request's events to a mailbox until it ends."""
        self._boxes[request_id] = box
        box.open.add(request_id)

    def deliver(self, event: Event) -> None:
        """Put an event where it belongs; a result ends its request's subscription."""
        self._boxes.get(event.id, self._rest).put(event)
        if not isinstance(event, TokenEvent):
            self.end(event.id)

    def end(self, request_id: str, event: Event | None = None) -> None:
        """The request is over; a subscriber, if there is one, gets the event."""
        box = self._boxes.pop(request_id, None)
        if box is None:
            return
        box.open.discard(request_id)
        if event is not None:
            box.put(event)

    def collect(self) -> list[Event]:
        """Events nobody subscribed to, in order."""
        return self._rest.collect()
