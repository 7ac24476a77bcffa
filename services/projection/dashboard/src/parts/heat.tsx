// The districts by measures: how many indicators are on course of those that can be compared, in the worst one's colour.
import type { JSX } from "preact";
import type { DistrictMatrix, Measure, MatrixRow } from "../api/schema";
import { DASH, number } from "../texts/format";
import { localized, t } from "../texts/language";
import { linkTo } from "./address";
import { together } from "./standing";
import type { View } from "./view";

export function HeatTable({ view, matrix, rows }: { view: View; matrix: DistrictMatrix; rows: MatrixRow[] }): JSX.Element {
  const measures = view.plan.series
    .flatMap((series) => series.measures)
    .map((measure) => ({ measure, own: rows.filter((row) => row.measure === measure.id) }))
    .filter(({ own }) => own.length);
  const districts = matrix.districts.filter(({ city }) => !city);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("heat.title")}>
      <table class="heat">
        <thead>
          <tr>
            <th scope="col">{t("facts.measure")}</th>
            {districts.map(({ code, name }) => (
              <th key={code} scope="col">
                {localized(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {measures.map(({ measure, own }) => (
            <tr key={measure.id}>
              <th scope="row">
                <a href={linkTo(view.address, "measure", measure.id)}>
                  {measure.id} {localized(measure.name)}
                </a>
              </th>
              {districts.map(({ code, name }) => (
                <HeatCell key={code} view={view} matrix={matrix} measure={measure} own={own} district={code} name={localized(name)} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  view: View;
  matrix: DistrictMatrix;
  measure: Measure;
  own: MatrixRow[];
  district: string;
  name: string;
}

function HeatCell({ view, matrix, measure, own, district, name }: CellProps): JSX.Element {
  const { all, on, tone, indicative } = together(own, district, matrix);
  if (!all) return <td>{DASH}</td>;
  return (
    <td class={`${tone}${indicative ? " indicative" : ""}`}>
      <a
        href={linkTo(view.address, "measure", measure.id, { district })}
        aria-label={t("heat.cell", { district: name, measure: localized(measure.name), all: number(all), on: number(on) })}
      >
        {number(on)}/{number(all)}
      </a>
    </td>
  );
}
