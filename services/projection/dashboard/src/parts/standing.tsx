// How a district stands: by its own targets, and where the city's are not split, by shares that only indicate.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import type { DistrictMatrix, MatrixCell, MatrixRow, SharedBy } from "../api/schema";
import { expectedText, number } from "../texts/format";
import { localized, t } from "../texts/language";
import type { Row } from "./attention";
import type { Signal } from "./signals";
import { indicatorsById, matrixPath, type View } from "./view";

/** What a cell is compared with: its own target, or an indicative share; none where neither can be compared. */
export interface Compared {
  tone: Signal;
  on: boolean;
  indicative: boolean;
}

const WORST_FIRST: readonly Signal[] = ["red", "amber", "green", "met"];

export function compared(cell: MatrixCell, { thresholds }: DistrictMatrix): Compared | null {
  if (cell.target) {
    if (cell.signal === "none") return null;
    return { tone: cell.signal, on: cell.signal === "met" || cell.signal === "green", indicative: false };
  }
  const ratio = cell.indicative?.ratio ?? null;
  if (ratio === null) return null;
  const percent = ratio * 100;
  const tone = percent >= thresholds.green_percent ? "green" : percent >= thresholds.amber_percent ? "amber" : "red";
  return { tone, on: tone === "green", indicative: true };
}

/** Several cells of a district together: how many can be compared, how many are on course, and the worst. */
export interface Together {
  all: number;
  on: number;
  tone: Signal;
  indicative: boolean;
}

export function together(rows: readonly MatrixRow[], district: string, matrix: DistrictMatrix): Together {
  const cells = rows.flatMap((row) => {
    const cell = row.districts.find(({ district: code }) => code === district);
    return (cell && compared(cell, matrix)) ?? [];
  });
  return {
    all: cells.length,
    on: cells.filter(({ on }) => on).length,
    tone: WORST_FIRST.find((signal) => cells.some(({ tone }) => tone === signal)) ?? "none",
    indicative: cells.some(({ indicative }) => indicative),
  };
}

/** By what indicative shares are made. */
export function sharedBy({ by, indicator }: SharedBy): string {
  return by === "population" ? t("share.population", { indicator: indicator ?? "" }) : t("share.equal");
}

/** The share of a district where it has no target of its own; empty where there is nothing to share. */
export function shareText(cell: MatrixCell, whole: MatrixCell, unit: string): string {
  if (cell.target || !whole.target) return "";
  if (!cell.indicative) return t("share.no");
  const { denominator } = cell;
  const text = (expected: number | null): string => expectedText({ expected, denominator }, unit);
  return t("share.cell", { target: text(cell.indicative.target), expected: text(cell.indicative.expected) });
}

/** A target of the whole that is not split to a district: what is said in place of a target, and how its share stands. */
export interface Unsplit {
  text: string;
  tone: Signal;
}

/** Tells of each row of a view's district whether the whole's target is not split to it. City bodies have no share. */
export function useUnsplit(view: View): (row: Row) => Unsplit | undefined {
  const { plan, address } = view;
  const district = plan.districts.find(({ code, city }) => code === address.params["district"] && !city)?.code;
  const matrix = useQuery(district ? matrixPath(view) : null).data;
  const planned = indicatorsById(plan);
  return ({ indicator: { id, unit }, period }) => {
    if (!district || period.target) return undefined;
    const row = matrix?.indicators.find((each) => each.id === id && each.period === period.period);
    const cell = row?.districts.find(({ district: code }) => code === district);
    // Of another period than the running one the plan alone says whether there is a target.
    if (!matrix || !row || !cell) return planned.get(id)?.indicator.target ? { text: t("share.no"), tone: "none" } : undefined;
    const text = shareText(cell, row.whole, unit);
    return text ? { text, tone: compared(cell, matrix)?.tone ?? "none" } : undefined;
  };
}

/** In one sentence or two how a district stands; a district without targets of its own is never said to be well.
 * `brief`: without what the shares are made by. */
export function Standing({ matrix, district, brief = false }: { matrix: DistrictMatrix; district: string; brief?: boolean }): JSX.Element | null {
  const standing = matrix.districts.find(({ code }) => code === district);
  if (!standing) return null;
  const { signals, unsplit, indicative, below } = standing;
  const name = localized(standing.name);
  const judged = Object.values(signals).reduce((sum, count) => sum + count, 0);
  const values = { name, all: number(judged), met: number(signals.met), green: number(signals.green), late: number(signals.red + signals.amber) };
  return (
    <p class="headline">
      {standing.city ? t("standing.city") : judged > 0 ? t("standing.own", values) : unsplit > 0 ? t("standing.none", { name }) : ""}{" "}
      {judged > 0 && unsplit > 0 && `${t("standing.unsplit", { count: number(unsplit) })} `}
      {indicative > 0 &&
        t("standing.indicative", { by: brief ? "" : ` (${sharedBy(matrix.shared_by)})`, all: number(indicative), below: number(below) })}
    </p>
  );
}
