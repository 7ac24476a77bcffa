// What an office says to planning: reports under the key of this browser, by whom, and the receipts they get.
import { Problem, sendFile, sendForReceipt } from "./client";
import type { Path } from "./routes";
import type { BilingualText, TargetValue } from "./schema";
import { currentSession, report, type Receipt } from "./tables";

/** Who speaks: the name that a key was given, and the sources it speaks for; no name while no keys are set. */
export interface Speaker {
  name: string;
  sources: string[];
}

export interface Said {
  type: string;
  subject: string;
  district: string;
  data: Record<string, unknown>;
}

export type MonthAction = "submit" | "approve" | "return" | "override" | "close" | "restate" | "request-restatement" | "withdraw";

/** A district's month; what was done last is told of one's own, and to the plan office of all (RULES G6). */
export interface DistrictMonth {
  district: string;
  state: "open" | "submitted" | "returned" | "approved";
  needed: boolean;
  by?: string;
  recorded_at?: string;
  items?: string[] | null;
  message?: string | null;
}

export interface RestatementRequest {
  request_no: string;
  by: string;
  why: string | null;
  recorded_at: string;
}

/** How a month stands, and what the bearer of this key may do now. */
export interface MonthState {
  month: string;
  from: string;
  to: string;
  state: "open" | "closed";
  missing: string[];
  districts: DistrictMonth[];
  published: { request_no: string | null }[];
  requests: RestatementRequest[];
  /** The cosignatures that a close needs where the plan asks for witnesses, and the sentence that says what is missing. */
  witnesses: { enough: boolean; zh: string | null; en: string | null } | null;
  may: MonthAction[];
}

export interface TargetNumbers {
  op: TargetValue["op"] | null;
  value: number | null;
  upper: number | null;
}

/** Who set a target, from when and why. */
export interface TargetDecision {
  type: string;
  position: number;
  by: string;
  why: string | null;
  recorded_at: string;
  effective_from?: string;
}

export interface TargetOnDay extends TargetNumbers {
  clause: string;
  months: Record<string, number> | null;
  set_by: TargetDecision | null;
}

export interface PeriodTargets {
  period: string;
  target: TargetOnDay | null;
  districts: Record<string, TargetOnDay>;
  sum_of_districts: number | null;
  difference: number | null;
  difference_of_months: number | null;
}

export interface TargetChange extends TargetDecision {
  district: string | null;
  period: string | null;
  target: TargetNumbers;
}

export interface IndicatorTargets {
  measure: string;
  id: string;
  name: BilingualText;
  unit: string;
  basis: "annual" | "cumulative" | "level";
  periods: PeriodTargets[];
  history: TargetChange[];
}

/** The targets in force on a day with all that was decided on them, and what the bearer of this key may do. */
export interface PlanTargets {
  on: string;
  indicators: IndicatorTargets[];
  may: string[];
}

export function targetsPath(plan: string, on: string): Path<PlanTargets> {
  return `./v1/plans/${encodeURIComponent(plan)}/targets?on=${encodeURIComponent(on)}`;
}

const SYSTEM = "office"; // of a source whose key covers every system of its district

export async function speaker(): Promise<Speaker> {
  const session = await currentSession().catch(() => null);
  return { name: session?.label ?? "", sources: session?.sources ?? [] };
}

function monthAddress(plan: string, month: string): string {
  return `./v1/plans/${encodeURIComponent(plan)}/months/${encodeURIComponent(month)}`;
}

export function monthPath(plan: string, month: string): Path<MonthState> {
  return monthAddress(plan, month);
}

/** Close or restate a month: planning takes the figures itself. Throws Problem. */
export async function publish(plan: string, month: string, act: "close" | "restate", body: Record<string, string>): Promise<Receipt> {
  return (await sendForReceipt(`${monthAddress(plan, month)}/${act}`, body)) as Receipt;
}

/** Whether somebody speaks for a district; everybody does while no keys are set. */
export function speaksFor(district: string, { sources }: Speaker): boolean {
  return !sources.length || sources.some((prefix) => prefix.split("/")[2] === district);
}

/** The source under which somebody speaks for a district. */
export function sourceOf(district: string, { sources }: Speaker): string {
  const [, , , system] = (sources.find((prefix) => prefix.split("/")[2] === district) ?? "").split("/");
  return `/districts/${district}/${system || SYSTEM}`;
}

/** Report once; the id is the act's own, so that the same act again is the same report. Throws Problem. */
export async function tell(id: string, said: Said, by: Speaker): Promise<Receipt> {
  return (await tellAll(id, [said], by))[0]!;
}

/** Report several things that are one act, each once, and return the receipt of each. Throws Problem. */
export async function tellAll(id: string, said: readonly Said[], by: Speaker): Promise<Receipt[]> {
  const time = new Date().toISOString();
  const reports = said.map(({ type, subject, district, data }, at) => ({
    specversion: "1.0", id: at ? `${id}-${at}` : id, source: sourceOf(district, by), type: `skillplan.planning.${type}.v1`, subject, time, district, data,
  }));
  const receipts = await report(reports);
  return receipts.map((receipt) => {
    if (!receipt) throw new Problem(0);
    return receipt.status === "duplicate" ? (receipt.first ?? receipt) : receipt;
  });
}

/** What an edited workbook of targets would change, what is wrong in it, and what is to be reported for it. */
export interface TargetTable {
  changes: { row: number; indicator: string; name: BilingualText; period: string; district: string | null; before: string | null; after: string }[];
  faults: ({ row: number; column: string } & BilingualText)[];
  reports: { row: number; type: string; subject: string; data: Record<string, unknown> }[];
}

/** What adopting a plan file would change. */
export interface PlanFileDifferences {
  sha256: string;
  against: string | null;
  changes: { indicator: string; what: string; district: string | null; before: string | null; after: string | null }[];
  document: Record<string, unknown>;
}

const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

export function workbookPath(plan: string, on: string): string {
  return `./v1/plans/${encodeURIComponent(plan)}/targets/workbook?on=${encodeURIComponent(on)}`;
}

/** Compare an edited workbook with the targets in force from a day on; nothing is recorded. Throws Problem. */
export async function compareTable(plan: string, file: File, from: string): Promise<TargetTable> {
  return (await sendFile(`./v1/plans/${encodeURIComponent(plan)}/targets/workbook?effective_from=${encodeURIComponent(from)}`, file, XLSX)) as TargetTable;
}

/** Compare a plan file with what was adopted last; nothing is recorded. Throws Problem. */
export async function comparePlan(plan: string, file: File): Promise<PlanFileDifferences> {
  return (await sendFile(`./v1/plans/${encodeURIComponent(plan)}/diff`, file, "application/yaml")) as PlanFileDifferences;
}
