// Lists the operations of /openapi.json. Everything is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function table(heads, rows) {
  const node = element("table");
  const head = node.createTHead().insertRow();
  for (const text of heads) head.append(element("th", text));
  const body = node.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.insertCell().textContent = text;
  }
  return node;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  const type = Array.isArray(schema.type) ? schema.type.filter((t) => t !== "null").join(" | ") : schema.type || "";
  return type === "array" ? `list of ${typeOf(schema.items)}` : type;
}

function curl(path, method, operation) {
  const lines = [`curl -X ${method.toUpperCase()} ${location.origin}${path}`];
  const content = operation.requestBody && operation.requestBody.content;
  const json = content && (content["application/json"] || content["application/merge-patch+json"]);
  if (json) {
    const type = content["application/json"] ? "application/json" : "application/merge-patch+json";
    const example = json.example || (json.examples && Object.values(json.examples)[0].value);
    lines.push(`  -H 'Content-Type: ${type}'`);
    if (example) lines.push(`  -d '${JSON.stringify(example)}'`);
  }
  return method === "get" ? lines[0].replace("-X GET ", "") : lines.join(" \\\n");
}

function describe(path, method, operation) {
  const details = element("details");
  details.id = operation.operationId;
  const summary = element("summary");
  summary.append(element("span", method.toUpperCase(), "method"), element("code", path));
  summary.append(element("span", operation.summary || "", "text"));
  details.append(summary);
  if (operation.description) details.append(element("p", operation.description));
  const parameters = operation.parameters || [];
  if (parameters.length) {
    details.append(table(["parameter", "in", "type", ""], parameters.map((p) =>
      [p.name + (p.required ? " *" : ""), p.in, typeOf(p.schema), p.description || ""])));
  }
  details.append(element("pre", curl(path, method, operation)));
  details.append(table(["status", ""], Object.entries(operation.responses || {}).map(([status, response]) =>
    [status, response.description || ""])));
  return details;
}

function show(api) {
  document.getElementById("version").textContent = api.info.version;
  const main = document.getElementById("operations");
  main.replaceChildren();
  const sections = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const tag = (operation.tags || ["other"])[0];
      if (!sections.has(tag)) {
        const section = element("section");
        section.append(element("h2", tag));
        sections.set(tag, section);
        main.append(section);
      }
      sections.get(tag).append(describe(path, method, operation));
    }
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const details of main.querySelectorAll("details")) {
      details.hidden = !details.firstChild.textContent.toLowerCase().includes(wanted);
    }
  });
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch(() => { document.getElementById("operations").textContent = "/openapi.json cannot be read."; });
