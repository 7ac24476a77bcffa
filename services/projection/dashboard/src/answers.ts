// What the API answers, as far as the pages read it.
import type { Bilingual } from "./api";

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
  [name: string]: unknown;
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
