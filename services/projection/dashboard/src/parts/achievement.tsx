// The map coloured by how far each district is: by all indicators, a series, or one; with legend and words.
import type { JSX } from "preact";
import type { DistrictMatrix, MatrixRow } from "../api/schema";
import { achieved, DASH, expectedText, number, unitName } from "../texts/format";
import { localized, t } from "../texts/language";
import { type Area, DistrictMap } from "./map";
import { Picture } from "./picture";
import { Mark, type Signal, signalName } from "./signals";
import { compared, sharedBy, together } from "./standing";
import type { View } from "./view";

const STEPS = 4; // a share of indicators in quarters
const TONES: readonly Signal[] = ["met", "green", "amber", "red"];

/** The rows that a choice selects: an indicator's id, the id of a series, or nothing for all. */
export function rowsOf(view: View, matrix: DistrictMatrix, by: string): MatrixRow[] {
  const series = view.plan.series.find(({ id }) => `s${id}` === by);
  if (series) {
    const ids = new Set(series.measures.map(({ id }) => id));
    return matrix.indicators.filter(({ measure }) => ids.has(measure));
  }
  const row = matrix.indicators.find(({ id }) => id === by);
  return row ? [row] : matrix.indicators;
}

/** What each district's area shows for one indicator. */
export function areasOfRow(view: View, matrix: DistrictMatrix, row: MatrixRow): Record<string, Area> {
  return Object.fromEntries(
    row.districts.flatMap((cell): [string, Area][] => {
      const name = localized(view.plan.districts.find(({ code }) => code === cell.district)?.name);
      const standing = compared(cell, matrix);
      const value = `${achieved(cell, row.unit)} ${unitName(row.unit, view.plan.units)}`.trim();
      const { denominator } = cell;
      const expected = expectedText({ expected: cell.target ? cell.expected : (cell.indicative?.expected ?? null), denominator }, row.unit);
      const about = !standing ? `${name} ${value}` : t(standing.indicative ? "map.about.indicative" : "map.about.value", { name, value, expected });
      const area: Area = { tone: standing?.tone ?? "none", indicative: standing?.indicative ?? false, label: achieved(cell, row.unit), about };
      return [[cell.district ?? "", area]];
    }),
  );
}

function areasOf(view: View, matrix: DistrictMatrix, rows: MatrixRow[]): Record<string, Area> {
  return Object.fromEntries(
    view.plan.districts.map(({ code, name }): [string, Area] => {
      const { all, on, indicative } = together(rows, code, matrix);
      const step = all ? Math.min(STEPS - 1, Math.floor((on / all) * STEPS)) : undefined;
      const about = t("map.about.share", { name: localized(name), all: number(all), on: number(on) });
      return [code, { step, indicative, label: all ? `${number(on)}/${number(all)}` : DASH, about }];
    }),
  );
}

function titleOf(view: View, row: MatrixRow | undefined, by: string): string {
  const series = view.plan.series.find(({ id }) => `s${id}` === by);
  const of = row ? `${row.id} ${localized(row.name)}` : series ? `${series.id} ${localized(series.name)}` : t("map.by.all");
  return `${t("map.title", { city: localized(view.plan.city) })} · ${of}`;
}

interface Props {
  view: View;
  matrix: DistrictMatrix;
  by: string;
  chosen: string;
  href: (code: string) => string;
}

export function AchievementMap({ view, matrix, by, chosen, href }: Props): JSX.Element {
  const rows = rowsOf(view, matrix, by);
  const row = rows.length === 1 ? rows[0] : undefined;
  const areas = row ? areasOfRow(view, matrix, row) : areasOf(view, matrix, rows);
  return (
    <>
      <Picture view={view} name={["map", by].filter(Boolean).join("-")} title={titleOf(view, row, by)}>
        <DistrictMap districts={view.plan.districts} chosen={chosen} href={href} areas={areas} />
      </Picture>
      <Legend steps={!row} indicative={Object.values(areas).some(({ indicative }) => indicative)} />
      {Object.values(areas).some(({ indicative }) => indicative) && <p class="hint">{t("share.note", { by: sharedBy(matrix.shared_by) })}</p>}
    </>
  );
}

function Legend({ steps, indicative }: { steps: boolean; indicative: boolean }): JSX.Element {
  return (
    <ul class="legend" aria-label={t("map.legend")}>
      {steps && <li>{t("map.legend.share")}</li>}
      {steps
        ? Array.from({ length: STEPS }, (_, step) => (
            <li key={step}>
              <i class={`step s${step}`} /> {(step * 100) / STEPS}–{((step + 1) * 100) / STEPS}%
            </li>
          ))
        : TONES.map((signal) => (
            <li key={signal}>
              <Mark signal={signal} /> {signalName(signal)}
            </li>
          ))}
      <li>
        <i class="step" /> {t("map.legend.none")}
      </li>
      {indicative && (
        <li>
          <i class="step dashed" /> {t("map.legend.indicative")}
        </li>
      )}
    </ul>
  );
}
