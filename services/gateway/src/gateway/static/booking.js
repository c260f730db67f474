// The booking page: offering, time, hold. The details of who comes are details.js, paying and what came of it visit.js.
import { $, button, call, clinic, clock, countDown, data, dated, el, fill, heldUntil, here, how, keep, kept, lang, locale, money,
  nameOf as heldWith, now, problem, refusal, say, show, t, zone } from "./kit.js";

const DAYS = 14, v = { provider: "any", providers: [], slots: [], tries: 0, turn: 0 };
const dayOf = (at) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date(at)); // YYYY-MM-DD
const addDays = (day, n) => new Date(Date.parse(day) + n * 864e5).toISOString().slice(0, 10);
const offeringOf = (slot) => data.offerings.find(({ id }) => id === slot.offering_id);
const nameOf = (slot) => heldWith(slot) ?? v.providers.find(({ id }) => id === slot.provider_id)?.name ?? "";
const query = (more) => `?${new URLSearchParams({ lang, ...more })}`;
const details = () => location.assign(query({ hold: kept.hold.id }));

function step(name, push = true) {
  for (const section of ["offerings", "times"]) $(`#${section}`).hidden = section !== name;
  problem();
  history[push ? "pushState" : "replaceState"]({ step: name }, "", query(name === "times" ? { offering: v.offering.slug } : {}));
  $(`#${name} h1`).focus();
  scrollTo(0, 0);
}
async function choose(offering, push = true) {
  Object.assign(v, { offering, slots: [], providers: [], first: dayOf(now()), day: null });
  fill({ offering: offering.name });
  step("times", push);
  $("#refused").hidden = true;
  const listed = await call("GET", `/providers?offering=${offering.id}`);
  if (!listed.ok) problem(refusal(listed));
  v.providers = listed.body.data ?? [];
  await pick("any");
}
const soonest = (id) => v.providers.filter((one) => id === "any" || one.id === id).map((one) => one.next_available).filter(Boolean).sort()[0];
async function pick(provider) {
  const next = soonest(provider), today = dayOf(now());
  const first = next && dayOf(next) > addDays(today, DAYS - 1) ? dayOf(next) : today;
  Object.assign(v, { provider, first, day: null, slots: [], resume: null });
  draw();
  v.socket?.close();
  if (await load()) listen();
}
async function load() { // false when it failed or a newer search has begun
  const turn = ++v.turn;
  if (!v.slots.length) $("#status").textContent = t("loading");
  const asked = new URLSearchParams({ offering: v.offering.id, from: v.first, to: addDays(v.first, DAYS - 1), tz: zone });
  const answer = await call("GET", `/providers/${v.provider}/availability?${asked}`);
  if (turn !== v.turn) return false;
  if (!answer.ok) { problem(refusal(answer)); return false; }
  Object.assign(v, { slots: answer.body.slots, resume: answer.body.resume, degraded: answer.body.degraded[0], truth: Date.now() });
  if (!v.day || v.day < v.first) v.day = v.slots[0]?.local_start.slice(0, 10) ?? v.first;
  draw();
  return true;
}
const reload = (delay = 300) => { clearTimeout(v.timer); v.timer = setTimeout(load, delay + Math.random() * delay); };
const onDay = (day) => v.slots.filter((slot) => slot.local_start.startsWith(day));

function draw() {
  const focused = document.activeElement?.dataset.key, fresh = (day) => onDay(day).filter((slot) => !slot.gone).length;
  const most = Math.max(1, ...Array.from({ length: DAYS }, (_, i) => fresh(addDays(v.first, i))));
  $("#providers").replaceChildren(...[{ id: "any", slug: "any", name: t("anyone") }, ...v.providers].map(({ id, slug, name }) =>
    el("button", { type: "button", className: "prov", "data-testid": `provider-${slug}`, "data-key": slug, "aria-pressed": id === v.provider,
      onclick: () => pick(id) }, el("b", {}, name), el("span", {}, soonest(id) ? t("from_day", { day: dated(soonest(id)) }) : t("no_times")))));
  $("#days").replaceChildren(...Array.from({ length: DAYS }, (_, i) => addDays(v.first, i)).map((day) => {
    const named = (options) => show(`${day}T12:00Z`, { timeZone: "UTC", ...options }), free = fresh(day), bar = el("span", { className: "bar" });
    bar.style.setProperty("--v", free / most);
    return el("button", { type: "button", className: `day ${free ? "free" : "no"}`, "data-testid": `day-${day}`, "data-key": day,
      "aria-pressed": day === v.day, onclick: () => { v.day = day; draw(); $("#day").focus(); } },
    el("span", {}, named({ weekday: "short" })), el("b", { className: "num" }, named({ day: "numeric" })),
    el("span", { className: "sr" }, named({ month: "long" })), bar, el("span", {}, free ? t("n_free", { n: free }) : t("none")));
  }));
  $("#earlier").disabled = v.first <= dayOf(now());
  $("#day").textContent = show(`${v.day ?? v.first}T12:00Z`, { timeZone: "UTC", weekday: "long", day: "numeric", month: "long" });
  const same = clock(now()) === here(now());
  $("#zone").textContent = t(same ? "times_in" : "times_differ", { zone: zone.replaceAll("_", " "), local: here(now()) });
  $("#status").textContent = v.away ? t("offline", { time: here(v.truth) }) : v.degraded ? t("degraded", { time: here(v.degraded.since) })
    : onDay(v.day).length || !v.resume ? "" : t(v.slots.length ? "no_day" : "no_days");
  const mine = kept.hold?.slot, listed = onDay(v.day).filter((slot) => slot.start !== mine?.start);
  if (mine && mine.offering_id === v.offering.id && dayOf(mine.start) === v.day) listed.push(mine);
  const parts = { morning: [], afternoon: [], evening: [] }, hour = (slot) => Number(slot.local_start.slice(11, 13));
  listed.sort((a, b) => Date.parse(a.start) - Date.parse(b.start))
    .forEach((slot) => parts[hour(slot) < 12 ? "morning" : hour(slot) < 17 ? "afternoon" : "evening"].push(cell(slot, slot === mine)));
  $("#slots").replaceChildren(...Object.entries(parts).filter(([, cells]) => cells.length)
    .map(([part, cells]) => el("div", { className: "part" }, el("h3", {}, t(part)), el("div", { className: "times" }, ...cells))));
  $("#bar").hidden = !mine;
  if (mine && $("#bar").dataset.of !== kept.hold.id) {
    $("#bar").replaceChildren(el("p", {}, heldUntil(kept.hold), " ",
      el("b", { className: "num", "data-is": "countdown" })), button(t("let_go"), letGo),
    button(t("continue"), details, { className: "btn solid big", "data-testid": "continue" }));
    $("#bar").dataset.of = kept.hold.id;
    tick();
  } else if (!mine) { $("#bar").replaceChildren(); delete $("#bar").dataset.of; }
  if (focused) ($(`[data-key="${focused}"]`) ?? $("#day")).focus();
}
function cell(slot, mine) {
  const gone = slot.gone && !mine, waiting = slot === v.pressed;
  const note = gone ? t("just_taken") : v.offering.capacity > 1 && !mine ? t("seats_left", { n: slot.remaining })
    : v.provider === "any" ? nameOf(slot).split(" ")[0] : "";
  return el("button", { type: "button", className: `time ${gone ? "gone" : mine ? "mine" : waiting ? "wait" : ""}`, "data-key": slot.start,
    ...(gone ? { "aria-disabled": "true" } : { "data-testid": `slot-${slot.local_start.slice(11, 16)}`, "aria-pressed": mine }),
    onclick: () => (mine ? details() : gone ? null : hold(slot)) }, el("b", {}, clock(slot.start)), el("span", {}, note));
}

async function hold(slot, again = true) {
  if (v.pressed) return;
  v.pressed = slot;
  problem();
  draw();
  const slow = setTimeout(() => { $("#status").textContent = t("holding", { time: clock(slot.start) }); }, 400);
  const answer = await call("POST", "/holds", { body: { slot_id: slot.slot_id }, key: crypto.randomUUID() });
  clearTimeout(slow);
  v.pressed = null;
  if (answer.status === 201) {
    const before = kept.hold;
    keep({ hold: answer.body });
    v.day = dayOf(answer.body.slot.start);
    if (v.day < v.first || v.day > addDays(v.first, DAYS - 1)) { v.first = v.day; reload(0); }
    $("#refused").hidden = true;
    draw();
    say(heldUntil(kept.hold));
    $("[data-testid=continue]").focus();
    if (before) await call("DELETE", `/holds/${before.id}`, { token: before.manage_token });
  } else if (answer.status === 409) {
    slot.gone = true;
    draw();
    refused(slot, answer.body.alternatives ?? []);
    reload(2000);
  } else if ([410, 422].includes(answer.status)) { // an offer from before: ask anew, and once more for the same time
    const same = (await load()) && v.slots.find((other) => other.start === slot.start);
    if (same && again) return hold(same, false);
    problem(t("changed", { time: clock(slot.start) }));
  } else { draw(); problem(refusal(answer)); }
}
function refused(slot, alternatives) {
  const [title, text, places] = $("#refused").children;
  title.textContent = t("taken_title", { time: clock(slot.start) });
  text.textContent = t(alternatives.length ? "taken_text" : "taken_none");
  places.replaceChildren(...alternatives.map((other) => button(`${dated(other.start)}, ${clock(other.start)} ${nameOf(other)}`, () => hold(other))));
  $("#refused").hidden = false;
  title.focus();
}
async function letGo() {
  const held = kept.hold;
  keep({ hold: null });
  draw();
  if (!held) return;
  say(t("released", { time: clock(held.slot.start) }));
  await call("DELETE", `/holds/${held.id}`, { token: held.manage_token });
  reload();
}

const tick = countDown(({ status, slot }) => {
  draw();
  reload(0);
  problem(t(status === "converted" ? "used" : "hold_ended", { time: clock(slot.start) }));
});

function listen() {
  const asked = new URLSearchParams({ resume: v.resume, ...(v.provider !== "any" && { provider: v.provider }) });
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/clinics/${clinic}/live?${asked}`);
  v.socket = socket;
  socket.onmessage = ({ data: text }) => { if (v.socket === socket) heard(JSON.parse(text)); };
  socket.onclose = () => {
    if (v.socket !== socket) return;
    if (v.tries++) { v.away = true; draw(); }
    setTimeout(() => { if (v.socket === socket) listen(); }, Math.min(15, 2 ** (v.tries - 1)) * 1000);
  };
}
function heard(frame) {
  v.truth = Date.now();
  const others = (frame.viewers ?? frame.count ?? 0) - 1;
  if (frame.type === "hello" || frame.type === "viewers") {
    $("#viewers").hidden = others < 1;
    $("#viewers").textContent = t("viewers", { n: others > 9 ? "9+" : others });
  }
  if (frame.type === "hello") {
    if (v.away) say(t("online"));
    Object.assign(v, { resume: frame.resume ?? v.resume, tries: 0, away: false });
    draw();
  } else if (frame.type === "slot_taken") taken(frame);
  else if (["slot_freed", "schedule_changed", "reset"].includes(frame.type)) reload();
}
function taken({ provider_id, start, end, offering_id, remaining }) {
  const [from, to] = [Date.parse(start), Date.parse(end)], known = v.providers.some(({ id }) => id === provider_id);
  const touched = (slot) => Date.parse(slot.start) < to && from < Date.parse(slot.end);
  const own = [v.pressed, kept.hold?.slot].some((slot) => slot?.provider_id === provider_id && touched(slot));
  if (own || !known) return reload(); // our own doing is no news; which times a room or a device costs only the search knows
  for (const slot of v.slots.filter((one) => !one.gone && touched(one))) {
    if (offering_id === slot.offering_id && remaining > 0) { slot.remaining = remaining; continue; }
    slot.provider_ids = slot.provider_ids.filter((id) => id !== provider_id);
    slot.gone = !slot.provider_ids.length;
    if (slot.provider_id === provider_id) slot.provider_id = slot.provider_ids[0];
    if (slot.gone && slot.local_start.startsWith(v.day)) v.news = t("said_taken", { time: clock(slot.start), n: onDay(v.day).filter((one) => !one.gone).length });
  }
  if (v.news) v.telling ??= setTimeout(() => { say(v.news); Object.assign(v, { news: null, telling: null }); }, 1500);
  draw();
}

$("#change").onclick = () => step("offerings");
$("#earlier").onclick = () => { v.first = [addDays(v.first, -DAYS), dayOf(now())].sort()[1]; v.day = null; load(); };
$("#later").onclick = () => { v.first = addDays(v.first, DAYS); v.day = null; load(); };
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
addEventListener("popstate", ({ state }) => step(v.offering && state?.step === "times" ? "times" : "offerings", false));
data.offerings.forEach((offering) => {
  const card = $(`[data-testid="offering-${offering.slug}"]`);
  card.querySelector("[data-price]").textContent = offering.price.amount ? money(offering.price) : t("free");
  card.querySelector("[data-how]").textContent = how(offering);
  card.onclick = (event) => { event.preventDefault(); choose(offering); };
});
if (kept.hold) { // a reload, another look: what is held is still held
  const answer = await call("GET", `/holds/${kept.hold.id}`, { token: kept.hold.manage_token });
  keep({ hold: answer.body.status === "held" && offeringOf(answer.body.slot) ? { ...kept.hold, ...answer.body } : null });
}
const asked = new URLSearchParams(location.search).get("offering");
const first = kept.hold ? offeringOf(kept.hold.slot) : data.offerings.find(({ id, slug }) => [id, slug].includes(asked));
if (first) choose(first, false);
