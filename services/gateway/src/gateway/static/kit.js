// What the pages' scripts share: the words, the API, times and money. The data comes with the page.
export const $ = (selector) => document.querySelector(selector);
export const data = JSON.parse($("#data").textContent), { lang, words, clinic, zone } = data;
export const locale = navigator.languages.find((tag) => tag.startsWith(lang)) ?? lang;
export const t = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => values[name]);

// What this tab has of a clinic: its hold, and the manage tokens of its appointments. Tokens are never in a URL.
const stored = `holdfast:${clinic}`;
export const kept = { hold: null, tokens: {}, ...JSON.parse(sessionStorage.getItem(stored) ?? "{}") };
export const keep = (change) => sessionStorage.setItem(stored, JSON.stringify(Object.assign(kept, change)));

export const el = (tag, props = {}, ...inside) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) name in made ? (made[name] = value) : made.setAttribute(name, value);
  made.append(...inside);
  return made;
};
export const button = (text, onclick, props = {}) => el("button", { type: "button", className: "btn big", onclick, ...props }, text);
export const fill = (texts) => Object.entries(texts).forEach(([name, text]) => document.querySelectorAll(`[data-is="${name}"]`)
  .forEach((place) => { place.textContent = text; }));
export const say = (text, how = "polite") => { $(`#${how}`).textContent = text; };
export const problem = (text) => { $("#problem").textContent = text ?? ""; $("#problem").hidden = !text; };

let skew = 0; // how far the server's clock is ahead of this one
export const now = () => Date.now() + skew;
export const show = (at, options) => new Intl.DateTimeFormat(locale, { timeZone: zone, ...options }).format(new Date(at));
export const clock = (at) => show(at, { timeStyle: "short" });
export const here = (at) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(at)); // the visitor's clock
export const dated = (at) => show(at, { weekday: "short", day: "numeric", month: "short" });
export const whenOf = (slot) => `${dated(slot.start)}, ${clock(slot.start)}–${clock(slot.end)} ${slot.zone_abbreviation}`;
export const money = ({ amount, currency }) => {
  const style = { style: "currency", currency };
  const digits = new Intl.NumberFormat("en", style).resolvedOptions().maximumFractionDigits;
  return new Intl.NumberFormat(locale, { ...style, trailingZeroDisplay: "stripIfInteger" }).format(amount / 10 ** digits);
};

// An answer of the clinic's API; status 0 when there was none, which is also what a time-out is.
export async function call(method, path, { body, token, key } = {}) {
  const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }),
    ...(token && { Authorization: `Bearer ${token}` }), ...(key && { "Idempotency-Key": key }) };
  const sent = { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(20000) };
  try {
    const answer = await fetch(`/v1/clinics/${clinic}${path}`, sent), text = await answer.text();
    const ahead = Date.parse(answer.headers.get("date")) - Date.now();
    skew = Math.abs(ahead) > 2000 ? ahead : 0; // a Date has whole seconds
    const wait = answer.headers.get("retry-after") ?? 10;
    return { ok: answer.ok, status: answer.status, wait, body: text ? JSON.parse(text) : {} };
  } catch (error) {
    return { ok: false, status: 0, wait: 10, body: {}, error };
  }
}
export const refusal = ({ status, wait }) => t(status === 429 ? "too_many" : status === 0 || status >= 500 ? "unreachable" : "refused", { n: wait });
export const nameOf = (slot) => slot.resources?.find(({ type }) => type === "practitioner")?.name;
export const how = ({ payment, price }) => t(`pay_${payment.mode}`, { amount: money({ ...price, amount: payment.deposit_amount ?? 0 }) });
export const heldUntil = ({ slot, expires_at }) => t("held", { time: clock(slot.start), until: here(expires_at) });

// Fills the countdowns of the hold each second: from its end and the server's clock, never by counting down. `ended` is
// called with the hold's answer when it is over, asked before it is said: another window may have renewed or used it.
export function countDown(ended) {
  let before = Infinity, asking = false;
  const ask = async () => {
    asking = true;
    const { id, manage_token: token } = kept.hold, answer = await call("GET", `/holds/${id}`, { token });
    if (answer.status === 0 || answer.status >= 500) return setTimeout(() => { asking = false; }, 4000); // not known: asked again
    asking = false;
    if (kept.hold?.id !== id) return;
    const { status, expires_at } = answer.body;
    if (status === "held" && Date.parse(expires_at) > now()) return keep({ hold: { ...kept.hold, expires_at } });
    keep({ hold: null });
    ended(answer.body);
  };
  const tick = () => {
    if (!kept.hold) { before = Infinity; return; }
    const left = Math.max(0, Math.ceil((Date.parse(kept.hold.expires_at) - now()) / 1000)), crossed = (mark) => before > mark && left <= mark;
    fill({ countdown: `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` });
    for (const mark of [300, 120, 60]) if (before < Infinity && crossed(mark)) say(t("minutes_left", { n: mark / 60 }));
    if (before < Infinity && crossed(30)) say(t("seconds_left", { time: clock(kept.hold.slot.start) }), "assertive");
    before = left;
    if (!left && !asking) ask();
  };
  setInterval(tick, 1000);
  return tick;
}
