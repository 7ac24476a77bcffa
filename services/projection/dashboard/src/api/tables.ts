// What the gateway makes of a dropped table, and what became of the reports of its rows.
import { getJson, hasSession, Problem, send, sendFor } from "./client";
import type { BilingualText } from "./schema";

/** What fills a field: a column by its header, or one value for every row; `meanings` says which value a word means. */
export interface ColumnUse {
  header: string | null;
  constant: string | null;
  unit: string | null;
  meanings: Record<string, string>;
}

export interface FieldColumn {
  column: string;
  name: BilingualText;
  needed: boolean;
  hint: string;
  choices: { value: string; zh: string }[];
  is_money: boolean;
  use: ColumnUse;
  unknown: string[];
}

export interface MarkedFault extends BilingualText {
  cell: string | null;
  code: string;
  fix: BilingualText | null;
}

export interface Report {
  id: string;
  source: string;
  type: string;
  subject: string;
  district: string;
  [attribute: string]: unknown;
}

export interface TableRow {
  row: number;
  cells: string[];
  faults: MarkedFault[];
  report: Report | null;
}

export interface CheckedTable {
  type: string | null;
  types: { type: string; name: BilingualText; matched: number; needed: number }[];
  sheet: string | null;
  sheets: string[];
  header_row: number;
  headers: string[];
  columns: FieldColumn[];
  question: BilingualText | null;
  rows: TableRow[];
  notices: ({ code: string; count: number } & BilingualText)[];
  right: number;
  wrong: number;
}

/** A file in base64, and what a person has said about it. */
export interface DroppedTable {
  name: string;
  content: string;
  district: string;
  system: string;
  type: string | null;
  sheet: string | null;
  header: number | null;
  hidden: "include" | "leave";
  columns: Record<string, ColumnUse> | null;
  edits: Record<string, string>;
}

export interface Receipt {
  status: string;
  id?: string;
  reasons?: ({ code: string; pointer?: string } & BilingualText)[];
  waits_for?: string;
  flags?: string[];
  first?: Receipt;
  counts_in?: { indicator: string; period: string; name: BilingualText }[] | null;
}

export interface RecordedReport {
  time: string;
  data: Record<string, unknown>;
  decided: { data: Record<string, unknown> }[];
}

export interface Session {
  key: string | null;
  role: string | null;
  label: string;
  sources: string[];
}

const BATCH = "application/cloudevents-batch+json";
export async function checkTable(table: DroppedTable): Promise<CheckedTable> {
  return (await send("POST", "./v1/tables/check", table)) as CheckedTable;
}

/** The table with a note at every faulty cell, and what was mended in it. */
export async function markedTable(table: DroppedTable): Promise<Blob> {
  return sendFor("./v1/tables/marked", table);
}

/** Whose session this browser has; null where it has none. */
export async function currentSession(): Promise<Session | null> {
  return hasSession() ? ((await getJson("./v1/session")) as Session) : null;
}

/** The receipts of reports as they stand now, by id; those never received are missing. At most 1,000 ids. */
export async function receiptsOf(source: string, ids: string[]): Promise<Map<string, Receipt>> {
  const body = { pairs: ids.map((id) => ({ source, id })) };
  const { results } = (await send("POST", "./v1/receipts/query", body)) as { results: { id: string; receipts: Receipt[] }[] };
  return new Map(results.flatMap(({ id, receipts }) => (receipts[0] ? [[id, receipts[0]]] : [])));
}

/** What is recorded of a report, without persons; null where nothing is, or where none here answers. */
export async function recordedReport(source: string, id: string): Promise<RecordedReport | null> {
  try {
    return (await getJson(`./v1/receipts/report?${new URLSearchParams({ source, id }).toString()}`)) as RecordedReport;
  } catch (error) {
    if (error instanceof Problem && !error.temporary) return null;
    throw error;
  }
}

/** Report a batch; the receipts in the order sent, null for what its service could not decide now. */
export async function report(reports: Report[]): Promise<(Receipt | null)[]> {
  return receiptsIn(await send("POST", "./v1/events", reports, BATCH));
}

/** What reports would be answered, without reporting them. Throws Problem, also where the gateway does not offer it:
 * whoever only asks must never report instead. */
export async function validate(reports: Report[]): Promise<(Receipt | null)[]> {
  return receiptsIn(await send("POST", "./v1/validate", reports, BATCH));
}

function receiptsIn(answer: unknown): (Receipt | null)[] {
  const { results } = answer as { results: (Receipt | { status: number })[] };
  return results.map((result) => (typeof result.status === "string" ? (result as Receipt) : null));
}

/** What a report would be answered now, and what it would count in; nothing is recorded. */
export async function judged(candidate: Report): Promise<Receipt | null> {
  return receiptsIn(await send("POST", "./v1/validate", [candidate], BATCH))[0] ?? null;
}
