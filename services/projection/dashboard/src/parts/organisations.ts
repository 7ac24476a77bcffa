// The organisations that were reported from this browser, by their credit codes: no person is among them.
import type { Content, Value } from "../api/forms";

const STORAGE_KEY = "skillplan-organisations";
const MOST = 500;

type Known = Record<string, string>;

function known(): Known {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Known;
  } catch {
    return {};
  }
}

/** Keep what the organisations of a report that stands are called. */
export function rememberOrganisations(value: Value): void {
  const all: Known = known();
  visit(value, (code, name) => {
    if (!name) return name;
    delete all[code]; // the latest come last
    all[code] = name;
    return name;
  });
  localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(Object.entries(all).slice(-MOST))));
}

/** The content with the names of the organisations whose codes are known and whose names are still empty. */
export function withNames(content: Content): Content {
  const all = known();
  return { ...content, data: visit(content.data, (code, name) => name || all[code]) as NonNullable<Content["data"]> };
}

function visit(value: Value, name: (code: string, current: string | undefined) => string | undefined): Value {
  if (Array.isArray(value)) return value.map((inner) => visit(inner, name));
  if (typeof value !== "object" || value === null) return value;
  const { credit_code: code } = value;
  if (typeof code !== "string") return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner, name)]));
  return { ...value, name: name(code, typeof value["name"] === "string" ? value["name"] : undefined) };
}
