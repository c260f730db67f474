"""Google Calendar v3: events, freebusy, watches, and the consent that leads to its tokens."""
