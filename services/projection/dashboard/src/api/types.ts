// What the API answers, as far as the pages read it.

export interface Bilingual {
  zh: string;
  en: string;
}

export type Signal = "met" | "green" | "amber" | "red" | "none";

export interface Target {
  op: string;
  value: number | null;
  upper: number | null;
}

export interface Period {
  period: string;
  from: string;
  to: string;
  value: number | null;
  numerator: number;
  denominator: number | null;
  target: Target | null;
  met: boolean | null;
  progress: number | null;
  exceeds: boolean;
  expected: number | null;
  signal: Signal;
  computable: boolean;
  pace?: Pace | null;
}

export interface Pace {
  rule: { id: string; zh: string; en: string };
  clause: string | null;
  revision: { effective_from: string; why: string | null } | null;
  elapsed: number;
  baseline: number | null;
  expected: number | null;
  ratio: number | null;
  gap: number | null;
  thresholds: { green_percent: number; amber_percent: number };
  months_left: number;
  needed_per_month: number | null;
  forecast: {
    state: string;
    value: number | null;
    low: number | null;
    high: number | null;
    per_month: number | null;
    months: number;
    reached_on: string | null;
  } | null;
}

export interface MonthRow {
  month: string;
  complete: boolean;
  value: number | null;
  numerator: number;
  denominator: number | null;
  cumulative: number | null;
  expected: number | null;
  signal: Signal;
  signal_then: Signal;
}

export interface Months extends Period {
  indicator: { id: string; unit: string; basis: string; name: Bilingual };
  months: MonthRow[];
}

export interface DistrictRow extends Period {
  rank: number | null;
  code: string;
  name: Bilingual;
  city: boolean;
  share_of_whole: number | null;
  change: { value: number | null; rank: number | null };
}

export interface Ranking {
  ranked_by: "progress" | "value";
  districts: DistrictRow[];
}

export interface Fact {
  service: string;
  position: number;
  id: string;
  type: string;
  subject: string;
  on: string;
  district: string;
  counted_on: string | null;
  recorded_at: string;
  report_source: string;
  report_id: string;
  numerator: number;
  denominator: number;
}

export interface Facts {
  indicator: string;
  period: string;
  month: string | null;
  numerator: number;
  denominator: number | null;
  facts: Fact[];
  next: string | null;
}

export interface Change {
  service: string;
  position: number;
  subject: string;
  type: string;
  district: string;
  effective_on: string;
  recorded_at: string;
  cause: string;
  numerator: number;
  denominator: number;
  report_source: string;
  report_id: string;
}

export interface Changes {
  changes: Change[];
  next: string | null;
}

export interface Publication {
  known_at: string;
  recorded_at: string;
  by: string;
  sha256: string;
  request_no: string | null;
  why: string | null;
}

interface ClosedMonth {
  month: string;
  as_of: string;
  published: Publication[];
  overrides: { districts: string[]; by: string; why: string }[];
}

export interface Closings {
  months: ClosedMonth[];
}

export interface ClosingFigure {
  indicator: string;
  period: string;
  value?: number | null;
  numerator: number;
  live: { numerator: number; denominator: number | null; value: number | null } | null;
  after_close: {
    more: number;
    less: number;
    by_cause: Record<string, { more: number; less: number }>;
    facts: {
      cause: string;
      part: string;
      delta: number;
      district: string;
      type: string;
      subject: string;
      report_id: string;
      counted_on: string;
      recorded_at: string;
    }[];
  };
}

export interface Closing extends ClosedMonth {
  verified: boolean;
  figures: ClosingFigure[];
}

/** The path of the names of the types of reports. */
export const TYPE_NAMES = "./v1/types";

export interface TypeNames {
  types: Record<string, Bilingual>;
}

export interface Fix {
  zh: string;
  en: string;
}

export interface Receipt {
  source?: string;
  id?: string;
  type?: string;
  subject?: string;
  service: string;
  status: string;
  reasons: { code: string; zh: string; en: string; pointer?: string; fix: Fix | null }[];
  waits_for?: string;
  flags: string[];
  received_at: string;
  decided_at: string;
}

export interface Receipts {
  district: string;
  counts: {
    statuses: Record<string, number>;
    days: { day: string; statuses: Record<string, number> }[];
    types: { type: string | null; statuses: Record<string, number> }[];
    reasons: { code: string; reports: number; fix: Fix | null }[];
  };
  receipts: Receipt[];
  next: string | null;
}

export interface Indicator {
  id: string;
  measure: string;
  name: Bilingual;
  unit: string;
  kind: string;
  basis: "annual" | "cumulative" | "level";
  periods: Period[];
}

export interface Behind {
  position: number;
  recorded_at: string | null;
  behind_events: number | null;
  behind_seconds: number | null;
}

export interface Progress {
  plan: string;
  as_of: string;
  known_at: string;
  district: string | null;
  indicators: Indicator[];
  complete_to: Record<string, Behind>;
}

export interface District {
  code: string;
  name: Bilingual;
  city: boolean;
}

export interface PlanIndicator {
  id: string;
  name: Bilingual;
  unit: string;
  basis: string;
  note: Bilingual | null;
  target: unknown;
}

export interface Measure {
  id: string;
  name: Bilingual;
  text: string;
  lead: string[];
  indicators: PlanIndicator[];
}

export interface Plan {
  id: string;
  title: Bilingual;
  document_no: string;
  city: Bilingual;
  period: { from: string; to: string };
  districts: District[];
  bodies: Record<string, Bilingual>;
  units: Record<string, Bilingual>;
  series: { id: string; name: Bilingual; measures: Measure[] }[];
}

export interface Plans {
  plans: { id: string; title: Bilingual; from: string; to: string; districts: District[] }[];
}
