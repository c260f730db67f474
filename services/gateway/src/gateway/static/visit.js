// One visit: what became of it, paying for it, calling it off. The page that Stripe returns to, and manage links.
import { $, button, call, clinic, clock, data, dated, fill, keep, kept, lang, money, now, problem, refusal, t, whenOf } from "./kit.js";

const id = data.booking, path = `/appointments/${id}`, PATIENCE = 60_000, CAN_CANCEL = ["confirmed", "pending_approval", "pending_payment"];
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { // out of the address before anything else is asked for
  keep({ tokens: { ...kept.tokens, [id]: given } });
  history.replaceState(null, "", location.pathname + location.search);
}
const token = kept.tokens[id], booking = `/${clinic}?${new URLSearchParams({ lang })}`;
let offering = null;

const moneyOf = ({ status, amount_due, amount_paid, amount_refunded, currency }) => status === "none" ? t("pay_free")
  : t(`money_${status}`, { amount: money({ amount: amount_paid || amount_due, currency }), back: money({ amount: amount_refunded, currency }) });

async function draw(visit, text) {
  const { slot, status, payment, approval_deadline: until } = visit;
  offering ??= (await call("GET", `/offerings/${slot.offering_id}`)).body.name;
  const practitioner = slot.resources.find(({ type }) => type === "practitioner")?.name, waiting = status === "pending_payment";
  const title = t(`${status}_title`), changed = $("[data-is=title]").textContent !== title;
  fill({ title, when: whenOf(slot), facts: [offering, practitioner, data.name].filter(Boolean).join(" · "), money: moneyOf(payment),
    text: text ?? t(waiting && payment.status === "failed" ? "declined" : `${status}_text`,
      { deadline: until ? `${dated(until)}, ${clock(until)}` : "" }) });
  $("#ticket").className = `ticket ${status === "confirmed" || status === "completed" ? "solid" : waiting || status === "pending_approval" ? "held" : "gone"}`;
  $("#ticket").hidden = false;
  $("#actions").replaceChildren(...[
    waiting && button(t(payment.status === "failed" ? "try_again" : "pay_now"), pay, { className: "btn solid big" }),
    CAN_CANCEL.includes(status) ? button(t("cancel"), preview)
      : button(t("another"), () => location.assign(`${booking}&offering=${slot.offering_id}`), { className: "btn solid big" }),
  ].filter(Boolean));
  $("#visit").ariaBusy = String(waiting);
  if (changed) $("h1").focus();
}
function unknown() {
  fill({ title: t("no_visit_title"), text: t("no_visit_text") });
  $("h1").focus();
}
async function follow() { // until it is known what became of the payment: gently less often, for a minute
  const end = now() + PATIENCE;
  for (let wait = 700; ; wait = Math.min(5000, wait * 1.4)) {
    const answer = await call("GET", path, { token });
    if ([401, 403, 404].includes(answer.status)) return unknown();
    problem(answer.ok ? "" : refusal(answer));
    const visit = answer.body, settled = answer.ok && visit.status !== "pending_payment", over = now() > end;
    if (answer.ok) await draw(visit, !settled && over && visit.payment.status !== "failed" ? t("still_waiting") : undefined);
    if (settled || over || !$("#cancelling").hidden) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
async function pay({ target }) {
  target.disabled = true;
  const answer = await call("POST", `${path}/checkout`, { token, key: crypto.randomUUID() }), url = answer.body.payment?.checkout_url;
  if (url) return location.assign(url);
  await follow();
  problem(t("no_checkout"));
}
async function preview() {
  const { ok, status, wait, body } = await call("PUT", `${path}/cancel?preview=true`, { token, body: {} });
  if (!ok) return problem(status === 409 ? t("cancel_refused") : refusal({ status, wait }));
  const { amount, fee, currency } = body.refund ?? { amount: 0, fee: 0 };
  fill({ refund: amount || fee ? t(fee ? "back_some" : "back_all", { amount: money({ amount, currency }), fee: money({ amount: fee, currency }) }) : t("back_none") });
  $("#choices").replaceChildren(button(t("cancel_yes"), cancel, { className: "btn bad solid big" }), button(t("cancel_no"), close));
  $("#cancelling").hidden = false;
  $("#cancelling h2").focus();
}
function close() {
  $("#cancelling").hidden = true;
  $("h1").focus();
}
async function cancel({ target }) {
  target.disabled = true;
  const answer = await call("PUT", `${path}/cancel`, { token, body: {} });
  close();
  if (answer.ok) await draw(answer.body);
  else problem(answer.status === 409 ? t("cancel_refused") : refusal(answer));
}

addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
if (clinic && token) follow(); else unknown();
