import time, statistics, random
from datetime import UTC, datetime, timedelta, date
from availability.slots import Query, Slots


async def test_bench(clinic, world, slots):
    rs = []
    for n in ("Anna", "Piotr", "Ola"):
        rs.append(await clinic.practitioner(n))
    rooms = [
        await clinic.resource(
            "room", f"Room {i}", {d: [["09:00", "17:00"]] for d in ("mon", "tue", "wed", "thu", "fri")}
        )
        for i in range(3)
    ]
    off = await clinic.offering(duration_minutes=30, slot_step_minutes=15, price={"amount": 100, "currency": "pln"})
    multi = await clinic.offering(
        "M", duration_minutes=30, slot_step_minutes=15, requirements=[{"type": "practitioner"}, {"type": "room"}]
    )
    base = datetime.combine(date.today() + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    from events.envelope import seal

    rec = []
    for r in rs + rooms:
        for d in range(30):
            for h in (9, 11, 13):
                s = base + timedelta(days=d, hours=h, minutes=random.choice((0, 15, 30)))
                rec.append(seal(clinic.occupancy(r, s, s + timedelta(minutes=30)), source="t")[1])
    await world.broker.publish(rec, 5)
    await world.settle()
    day = date.today() + timedelta(days=1)
    for o, nm, prov in ((off, "any of 3", "any"), (off, "one", "anna"), (multi, "any of 3 + room of 3", "any")):
        for what in ("http", "use case"):
            ts = []
            for i in range(40):
                t = time.perf_counter()
                if what == "http":
                    a = await clinic.availability(o, day, day + timedelta(days=29), provider=prov)
                else:
                    a = await slots.availability(
                        clinic.id, Query(prov, o["id"], str(day), str(day + timedelta(days=29)))
                    )
                ts.append((time.perf_counter() - t) * 1000)
            print(
                nm,
                what,
                len(a["slots"]),
                "p50 %.1f p90 %.1f min %.1f" % (statistics.median(ts), sorted(ts)[36], min(ts)),
            )

    import gc

    gc.collect()
    gc.freeze()
    import availability.slots as S
    from availability.slots import _wanted, _range, catalogue, copies, repository, zone_of, utc, calendars, Search
    from events.contracts.identity import TenantChanged

    for o in (off, multi):
        T = {}
        for i in range(30):

            def lap(k):
                nonlocal t
                n = time.perf_counter()
                T.setdefault(k, []).append((n - t) * 1000)
                t = n

            t = time.perf_counter()
            async with world.service.database.transaction(clinic.id) as tx:
                lap("begin")
                offering = await catalogue.get(tx, "offering", o["id"], staff=False)
                lap("offering")
                c = await copies.find(tx, TenantChanged, str(clinic.id))
                lap("copy")
                tz = zone_of("tz", "Europe/Warsaw")
                asked = _range(
                    Query("any", o["id"], str(day), str(day + timedelta(days=29))),
                    offering,
                    tz,
                    c.time_zone,
                    datetime.now(UTC),
                )
                lap("range")
                r = await repository.active(tx, "resource")
                lap("resources")
                d = await repository.degraded(tx)
                lap("degraded")
                w = _wanted(offering, r, None)
                ids = list({resource.id for requirement in w.requirements for resource in requirement})
                start, end = utc(asked.horizon.origin), utc(asked.horizon.end)
                rows = await repository.claims(tx, ids, start, end)
                lap("claims")
                await repository.blocks(tx, ids, start, end)
                lap("blocks")
                cl = [S._claim(row) for row in rows]
                lap("claim rows")
                cal = calendars(w, asked, slots._grids, cl, {})
                lap("calendars")
                se = Search(w, asked, cal)
                f = se.found()
                lap("found")
                desk = slots._desk(offering, tz, provider_chosen=False)
                x = [desk.slot(q) for q in f]
                lap("desk")
            lap("commit")
            import msgspec

            msgspec.json.encode(x)
            lap("json")
        print({k: round(statistics.median(v), 2) for k, v in T.items()}, len(rows))
