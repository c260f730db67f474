// The OpenAPI document for people: operations by group, with parameters, bodies, answers and a curl line each.
const $ = (selector) => document.querySelector(selector);
const el = (tag, props = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...inside);
  return made;
};
const answer = await fetch("/openapi.json").catch(() => null);
if (!answer?.ok) {
  $("#problem").textContent = "A part of the system is not up yet, so its routes are not known. Load this page again in a moment.";
  $("#problem").hidden = false;
  throw new Error("no document");
}
const api = await answer.json(), schemas = api.components.schemas;
const nameOf = (ref) => ref.split("/").at(-1);
const resolved = (schema) => (schema?.$ref ? schemas[nameOf(schema.$ref)] : schema) ?? {};

function kind(schema) { // a schema in a few words
  if (!schema) return "any";
  if (schema.$ref) return nameOf(schema.$ref);
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return options.map(kind).join(" | ");
  if (schema.enum || "const" in schema) return (schema.enum ?? [schema.const]).map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `[${kind(schema.items)}]`;
  return [schema.type ?? "any", schema.format].filter(Boolean).join(", ");
}
function example(schema, depth = 0) { // something that could be sent
  const found = resolved(schema), option = found.anyOf?.[0] ?? found.oneOf?.[0];
  if (found.examples?.length) return found.examples[0];
  if ("default" in found) return found.default;
  if ("const" in found) return found.const;
  if (found.enum) return found.enum[0];
  if (option) return example(option, depth);
  if (found.type === "array") return depth > 3 ? [] : [example(found.items, depth + 1)];
  if (found.type === "object" || found.properties) {
    const needed = Object.entries(found.properties ?? {}).filter(([name]) => found.required?.includes(name));
    return depth > 3 ? {} : Object.fromEntries(needed.map(([name, inner]) => [name, example(inner, depth + 1)]));
  }
  return { integer: 1, number: 1, boolean: true, null: null }[found.type] ?? (found.format === "uuid" ? "01990000-0000-7000-8000-000000000000" : "…");
}
function fields(entries) {
  return el("ul", { className: "fields" }, ...entries.map(([name, about, required, description]) =>
    el("li", {}, el("code", {}, name), el("span", { className: "quiet" }, ` ${about}${required ? ", required" : ""} `), description ?? "")));
}
const inside = (schema) => Object.entries(resolved(schema).properties ?? {})
  .map(([name, inner]) => [name, kind(inner), resolved(schema).required?.includes(name), inner.description]);
const shapeOf = (content) => Object.values(content ?? {})[0]?.schema;

function section(title, schema) {
  const own = inside(schema.type === "array" ? schema.items : schema);
  return [el("h4", {}, `${title}: ${kind(schema)}`), ...(own.length ? [fields(own)] : [])];
}
function curl(method, path, operation, body) {
  const query = (operation.parameters ?? []).filter((one) => one.in === "query" && one.required)
    .map(({ name, schema }) => `${name}=${encodeURIComponent(example(schema))}`).join("&");
  const key = (operation.parameters ?? []).some(({ name }) => name === "Idempotency-Key");
  return [`curl -X ${method.toUpperCase()} '${location.origin}${path.replace("{clinic}", "alfa")}${query && `?${query}`}'`,
    !operation.security?.some((one) => !Object.keys(one).length) && operation.security?.length && "-H \"Authorization: Bearer $TOKEN\"",
    key && "-H \"Idempotency-Key: $(uuidgen)\"",
    body && `-H 'Content-Type: application/json' -d '${JSON.stringify(example(body))}'`].filter(Boolean).join(" \\\n  ");
}
function card(path, method, operation) {
  const body = shapeOf(operation.requestBody?.content), given = operation.parameters ?? [];
  const answers = Object.entries(operation.responses).flatMap(([status, { description, content }]) => {
    const shape = shapeOf(content);
    return shape ? section(status, shape) : [el("h4", {}, `${status}: ${description}`)];
  });
  return el("details", { className: "card operation", id: operation.operationId },
    el("summary", {}, el("b", { className: "method" }, method.toUpperCase()), " ", el("code", {}, path), " ", el("span", { className: "muted" }, operation.summary ?? "")),
    ...(operation.description?.replace(/\.$/, "") !== operation.summary ? [el("p", { className: "pre" }, operation.description ?? "")] : []),
    ...(given.length ? [el("h4", {}, "Parameters"), fields(given.map((one) => [one.name, `${one.in}, ${kind(one.schema)}`, one.required, one.description]))] : []),
    ...(body ? section("Body", body) : []), ...answers,
    el("h4", {}, "Example"), el("pre", { tabIndex: 0 }, curl(method, path, operation, body)));
}

$("#about").textContent = api.info.description;
for (const { name } of api.tags) {
  $("#groups").append(el("a", { href: `#group-${name}`, className: "btn" }, name));
  const found = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item)
    .filter(([, operation]) => operation.tags[0] === name).map(([method, operation]) => card(path, method, operation)));
  $("#operations").append(el("section", { className: "stack", id: `group-${name}` }, el("h2", {}, name), ...found));
}
$("#operations").append(el("section", { className: "stack" }, el("h2", {}, "Schemas"), ...Object.entries(schemas).map(([name, schema]) =>
  el("details", { className: "card operation" }, el("summary", {}, el("code", {}, name)), el("p", {}, schema.description ?? ""), fields(inside(schema))))));
