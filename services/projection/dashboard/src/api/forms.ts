// The forms that the gateway makes of the types of reports, and the reports that are made of them.
import { getJson } from "./client";
import type { Path } from "./routes";
import type { BilingualText } from "./schema";
import type { Report } from "./tables";

export interface FormName {
  type: string;
  service: string;
  name: BilingualText;
  follows: string[];
  whole_only: boolean;
}

export type Fields = { [name: string]: Value };
export type Value = string | number | boolean | null | undefined | Fields | Value[];

/** What a person has filled in: the parts of the subject that stand in no data, the day where no field has it, the data. */
export interface Content {
  subject?: Fields;
  on?: string;
  data?: Fields;
}

export interface ReportForm {
  type: string;
  name: BilingualText;
  subject: string;
  dated: string | null;
  personal: string[];
  form: Fields;
  texts: { zh: Fields; en: Fields };
}

/** Where a report comes from, and which one it corrects. */
export interface Heading {
  id: string;
  district: string;
  system: string;
  corrects: string | null;
}

// With a date of birth in its place: a credit code of digits alone hardly ever reads like that.
const NUMBER = /\d{6}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]/;
const OLD_NUMBER = /\d{8}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}/;
const CREDIT_CODE = /^[0-9A-HJ-NPQRTUWXY]{18}$/;

export const FORM_NAMES = "./v1/forms" as Path<{ forms: FormName[] }>;

const loadedForms = new Map<string, ReportForm>(); // so that the next one of a type needs no network

export async function formOf(type: string): Promise<ReportForm> {
  const form = loadedForms.get(type) ?? ((await getJson(`./v1/forms/${encodeURIComponent(type)}`)) as ReportForm);
  loadedForms.set(type, form);
  return form;
}

function isFields(value: Value): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Fields with those of others in their place, each object field by field: a subject says of a school its code alone. */
export function merged(fields: Fields, others: Fields): Fields {
  const result = { ...fields };
  for (const [name, value] of Object.entries(others)) {
    const before = result[name];
    result[name] = isFields(before) && isFields(value) ? merged(before, value) : value;
  }
  return result;
}

function valueAt(value: Value, path: string): string {
  const inner = path.split(".").reduce<Value>((outer, step) => (isFields(outer) ? outer[step] : undefined), value);
  return typeof inner === "string" || typeof inner === "number" ? String(inner) : "";
}

/** What was left empty is not reported as empty, but not at all. */
function filled(value: Value): Value {
  if (Array.isArray(value)) return value.map(filled);
  if (!isFields(value)) return typeof value === "string" ? value.trim() || undefined : value;
  const entries = Object.entries(value).map(([name, inner]): [string, Value] => [name, filled(inner)]);
  return Object.fromEntries(entries.filter(([, inner]) => inner !== undefined && inner !== null && !(isFields(inner) && !Object.keys(inner).length)));
}

/** The report that a form's content makes. */
export function reportOf(form: ReportForm, content: Content, { id, district, system, corrects }: Heading, today: string): Report {
  const data = (filled(content.data) ?? {}) as Fields;
  const all: Fields = { subject: (filled(content.subject) ?? {}) as Fields, data, district };
  const day = (form.dated ? valueAt(data, form.dated) : content.on) || today;
  return {
    specversion: "1.0",
    id,
    source: `/districts/${district}/${system}`,
    type: form.type,
    subject: form.subject.replace(/<([\w.-]+)>/g, (_, path: string) => valueAt(all, path)),
    time: `${day}T00:00:00+08:00`,
    district,
    ...(corrects ? { corrects } : {}),
    data,
  };
}

/** The content of a form whose report would have this subject, as far as the subject says it. */
export function contentOf(form: ReportForm, subject: string): Content {
  if (form.subject === "<subject.whole>") return { subject: { whole: subject } };
  const names = [...form.subject.matchAll(/<([\w.-]+)>/g)].map(([, path]) => path!);
  const pattern = form.subject.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/<[\w.\\-]+>/g, "([^/]+)");
  const parts = new RegExp(`^${pattern}$`).exec(subject)?.slice(1) ?? [];
  const content: Fields = {};
  names.forEach((path, at) => {
    const steps = path.split(".");
    let inner = content;
    for (const step of steps.slice(0, -1)) inner = (inner[step] ??= {}) as Fields;
    if (path !== "district") inner[steps.at(-1)!] = parts[at];
  });
  return content;
}

/** The content without what a browser must not keep: persons, and whatever reads like an identity number. */
export function impersonal(form: ReportForm, content: Content): Content {
  const data = Object.fromEntries(Object.entries(content.data ?? {}).filter(([name]) => !form.personal.includes(name)));
  return withoutNumbers({ ...content, data }) as Content;
}

function withoutNumbers(value: Value): Value {
  if (Array.isArray(value)) return value.map(withoutNumbers);
  if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutNumbers(inner)]));
  return typeof value === "string" && readsPersonal(value.normalize("NFKC").replace(/[^\dA-Za-z]/g, "")) ? undefined : value;
}

function readsPersonal(text: string): boolean {
  return NUMBER.test(text) || (!CREDIT_CODE.test(text) && OLD_NUMBER.test(text));
}
