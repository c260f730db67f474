// Who comes: the details that turn a hold into an appointment. Also where a waiting list's offer leads to.
import { $, call, clock, countDown, data, fill, heldUntil, how, keep, kept, lang, money, nameOf, problem, refusal, say, t, whenOf } from "./kit.js";

const form = $("form"), confirm = $("[data-testid=confirm]"), asked = new URLSearchParams(location.search), id = asked.get("hold");
const page = (more) => `${location.pathname}?${new URLSearchParams({ lang, ...more })}`;
const given = asked.get("token");
if (given) history.replaceState(null, "", page({ hold: id })); // out of the address before anything else is asked for
let sending = false, sent = null, key = null, again = page({});

function over(text) {
  problem(text);
  $("#ticket").className = "ticket gone";
  fill({ held: "", countdown: "" });
  confirm.disabled = true;
  $("#back").className = "btn solid big";
}
const tick = countDown(({ status, slot }) => { if (!sending) over(t(status === "converted" ? "used" : "hold_ended", { time: clock(slot.start) })); });

async function begin() {
  const token = given ?? (kept.hold?.id === id ? kept.hold.manage_token : null);
  const answer = await call("GET", `/holds/${id}`, { token });
  if (!answer.ok) return over(answer.status === 0 || answer.status >= 500 ? refusal(answer) : t("refused"));
  const hold = { ...answer.body, manage_token: token }, { slot, status } = hold;
  const offering = data.offerings.find((one) => one.id === slot.offering_id), free = offering.free_until_minutes;
  again = page({ offering: offering.slug });
  fill({ when: whenOf(slot), facts: [offering.name, nameOf(slot), data.name].filter(Boolean).join(" · "), held: heldUntil(hold),
    money: `${slot.price.amount ? money(slot.price) : t("free")}. ${how(offering)}. ${free ? t("free_cancel", { n: Math.ceil(free / 60) }) : ""}` });
  confirm.textContent = t(offering.payment.mode === "free" || !slot.price.amount ? "confirm_free" : "confirm_paid");
  if (status !== "held") return over(t(status === "converted" ? "used" : "hold_ended", { time: clock(slot.start) }));
  keep({ hold });
  tick();
}
function complain(faults) { // next to each field; true when there is nothing to complain about
  for (const name of ["name", "email", "phone"]) {
    $(`#${name}-error`).textContent = faults.includes(name) ? t(`bad_${name}`) : "";
    $(`#${name}-error`).hidden = !faults.includes(name);
    $(`#${name}`).setAttribute("aria-invalid", faults.includes(name));
  }
  if (faults.length) $(`#${faults[0]}`).focus();
  return !faults.length;
}
const typed = () => Object.fromEntries([...new FormData(form)].map(([name, text]) => [name, text.trim()]));
form.onchange = () => keep({ typed: typed() }); // what was typed outlives a hold
form.onsubmit = async (event) => {
  event.preventDefault();
  await ready;
  const { name, email, phone, locale } = typed();
  const faults = [!name && "name", !/^[^\s@]+@[^\s@]+$/.test(email) && "email", phone && !/^[+\d][\d ()./-]{5,}$/.test(phone) && "phone"];
  if (sending || !kept.hold || !complain(faults.filter(Boolean))) return;
  const customer = { name, email, ...(phone && { phone }), locale, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
  const body = { hold_id: id, hold_token: kept.hold.manage_token, customer, return_url: location.origin + page({}) };
  if (JSON.stringify(body) !== sent) [sent, key] = [JSON.stringify(body), crypto.randomUUID()]; // the same request: the same key
  sending = true;
  confirm.setAttribute("aria-disabled", "true");
  say(t("sending"));
  problem();
  const answer = await call("POST", "/appointments", { body, key });
  sending = false;
  confirm.removeAttribute("aria-disabled");
  if (answer.status === 201) {
    const { id: visit, manage_token, payment } = answer.body, result = page({ appointment: visit });
    keep({ hold: null, typed: null, tokens: { ...kept.tokens, [visit]: manage_token } });
    if (!payment.checkout_url) return location.replace(result);
    history.replaceState(null, "", result); // coming back from the payment leads to the visit, not to the form
    return location.assign(payment.checkout_url);
  }
  if (answer.status === 410) return over(t("hold_ended", { time: clock(kept.hold.slot.start) }));
  const fields = (answer.body.errors ?? []).map(({ field }) => field.replace("customer.", "")).filter((one) => $(`#${one}-error`));
  if (complain(fields)) problem(answer.status === 409 ? t("used") : refusal(answer));
};
$("#back").onclick = async () => {
  const { hold } = kept;
  keep({ hold: null });
  if (hold) await call("DELETE", `/holds/${hold.id}`, { token: hold.manage_token });
  location.assign(again);
};
for (const [name, text] of Object.entries(kept.typed ?? {})) form.elements[name].value = text;
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
$("h1").focus();
confirm.disabled = false;
const ready = begin();
