// What every page is given: the plan, the address and the day; and what the plan says about its measures.
import type { District, Indicator, Measure, Plan } from "../api/schema";
import { localized, t } from "../texts/language";
import type { Address } from "./address";

export interface View {
  plan: Plan;
  address: Address;
  asOf: string;
}

export interface PlacedIndicator {
  measure: Measure;
  indicator: Indicator;
}

export function findMeasure(plan: Plan, id: string): Measure | undefined {
  return plan.series.flatMap((series) => series.measures).find((measure) => measure.id === id);
}

/** The plan's indicators by id, each with the measure it belongs to. */
export function indicatorsById(plan: Plan): Map<string, PlacedIndicator> {
  const measures = plan.series.flatMap((series) => series.measures);
  return new Map(measures.flatMap((measure) => measure.indicators.map((indicator) => [indicator.id, { measure, indicator }])));
}

/** The names of the bodies that lead a measure. */
export function leadBodies(plan: Plan, measure: Measure): string {
  return measure.lead.map((body) => localized(plan.bodies[body])).join(t("list.comma"));
}

/** The body that leads a measure, and how many work with it. */
export function leadBody(plan: Plan, { lead }: Measure): string {
  const name = localized(plan.bodies[lead[0] ?? ""]);
  return lead.length > 1 ? t("overview.lead", { name, count: lead.length - 1 }) : name;
}

export function districtNames(districts: readonly District[]): Record<string, string> {
  return Object.fromEntries(districts.map((district) => [district.code, localized(district.name)]));
}
