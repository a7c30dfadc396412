// A plain rendering of the daemon's OpenAPI document (/api/openapi.json); nothing is loaded from elsewhere.

import { request } from "./api.js";
import { $, make } from "./ui.js";

const example = (api, schema) => {
  const name = schema?.$ref?.split("/").pop();
  return name ? api.components.schemas[name].examples?.[0] : undefined;
};

/** Make a paragraph of the description: `code` and **strong** are all the markup it uses. */
function paragraph(text) {
  const found = make("p");
  for (const part of text.replaceAll("\n", " ").split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
    if (part.startsWith("`")) found.append(make("code", "", part.slice(1, -1)));
    else if (part.startsWith("**")) found.append(make("strong", "", part.slice(2, -2).replaceAll("`", "")));
    else found.append(part);
  }
  return found;
}

function operation(api, path, method, found) {
  const card = make("section", "card");
  const title = make("h2");
  title.append(make("span", "verb", method.toUpperCase()), make("code", "", path));
  card.append(title, paragraph(found.description ?? found.summary));
  const body = example(api, found.requestBody?.content["application/json"].schema);
  if (body !== undefined) {
    const lines = [`curl -X POST ${location.origin}${path} \\`, "  -H 'Content-Type: application/json' \\", `  -d '${JSON.stringify(body)}'`];
    card.append(make("pre", "", lines.join("\n")));
  }
  const answers = Object.entries(found.responses).map(([code, { description }]) => `${code}  ${description}`);
  card.append(make("pre", "", answers.join("\n")));
  return card;
}

try {
  const api = await request("/api/openapi.json");
  const intro = make("section", "card intro");
  intro.append(...api.info.description.trim().split("\n\n").map(paragraph));
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]) => operation(api, path, method, found)),
  );
  $("docs").replaceChildren(intro, ...operations);
} catch (error) {
  $("wait").textContent = `${error.message}. ${error.remedy}`;
}
