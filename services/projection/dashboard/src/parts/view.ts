// What every page is given: the plan, the address and the day; and what the plan says about its measures.
import { type Path, pathOf } from "../api/routes";
import type { CellNotes, District, DistrictMatrix, Indicator, Measure, Plan, PlanProgress } from "../api/schema";
import { localized, t } from "../texts/language";
import { type Address, pick } from "./address";

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

/** The body that leads a measure, and how many work with it. */
export function leadBody(plan: Plan, { lead }: Measure): string {
  const name = localized(plan.bodies[lead[0] ?? ""]);
  return lead.length > 1 ? t("overview.lead", { name, count: lead.length - 1 }) : name;
}

export function districtNames(districts: readonly District[]): Record<string, string> {
  return Object.fromEntries(districts.map((district) => [district.code, localized(district.name)]));
}

/** The code of the city itself, which stands for the whole. */
export function cityCode(plan: Plan): string {
  return plan.districts.find(({ city }) => city)?.code ?? "";
}

/** The code of the district whose receipts a page shows, whether there is such a district or not. */
export function receiptsOf({ plan, address }: Pick<View, "plan" | "address">): string {
  return address.id || address.params["district"] || plan.districts.find(({ city }) => !city)?.code || "";
}

/** What names an answer: it may be asked for before the plan itself is there. */
interface Named {
  plan: Pick<Plan, "id">;
  address: Pick<Address, "params">;
}

/** Where the progress of every indicator is answered, for the day, the instant and the district of a view. */
export function progressPath({ plan, address }: Named): Path<PlanProgress> {
  return pathOf("/v1/plans/{plan}/progress", { plan: plan.id, ...pick(address.params, "as_of", "known_at", "district") });
}

/** Where every indicator in every district is answered, for the day and instant of a view. */
export function matrixPath({ plan, address }: Named): Path<DistrictMatrix> {
  return pathOf("/v1/plans/{plan}/districts", { plan: plan.id, ...pick(address.params, "as_of", "known_at") });
}

/** Where the notes on all cells are answered, for the day and instant of a view. */
export function notesPath({ plan, address }: Named): Path<CellNotes> {
  return pathOf("/v1/plans/{plan}/notes", { plan: plan.id, ...pick(address.params, "as_of", "known_at") });
}

/** Whether there is room for two columns; where there is not, what comes later is folded and lists are shorter. */
export function isWide(): boolean {
  return matchMedia("(min-width: 961px)").matches;
}
