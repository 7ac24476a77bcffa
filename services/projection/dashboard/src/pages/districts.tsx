// Who is behind: the districts on the map by an indicator, a series or all, in a sentence each, and by every measure.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { DistrictMatrix } from "../api/schema";
import { AchievementMap, rowsOf } from "../parts/achievement";
import { linkTo, withParams } from "../parts/address";
import { HeatTable } from "../parts/heat";
import { ReportSummary } from "../parts/reports";
import { Standing } from "../parts/standing";
import { Loaded } from "../parts/states";
import { matrixPath, type View } from "../parts/view";
import { localized, t } from "../texts/language";

export function DistrictsPage({ view }: { view: View }): JSX.Element {
  const matrix = useQuery(matrixPath(view));
  return (
    <>
      <header class="head">
        <h2>{t("map.title", { city: localized(view.plan.city) })}</h2>
      </header>
      <Loaded query={matrix} lines={14}>{(data) => <Districts view={view} matrix={data} />}</Loaded>
    </>
  );
}

function Districts({ view, matrix }: { view: View; matrix: DistrictMatrix }): JSX.Element {
  const { plan, address } = view;
  const by = address.params["by"] ?? "";
  return (
    <div class="stack">
      <div class="two even">
        <div class="card">
          <label class="choice">
            <span>{t("map.by")}</span>
            <select value={by} onChange={({ currentTarget }) => { location.hash = withParams(address, { by: currentTarget.value }); }}>
              <option value="">{t("map.by.all")}</option>
              <optgroup label={t("map.by.series")}>
                {plan.series.map(({ id, name }) => (
                  <option key={id} value={`s${id}`}>
                    {id} {localized(name)}
                  </option>
                ))}
              </optgroup>
              <optgroup label={t("map.by.indicators")}>
                {matrix.indicators.map(({ id, name }) => (
                  <option key={id} value={id}>
                    {id} {localized(name)}
                  </option>
                ))}
              </optgroup>
            </select>
          </label>
          <AchievementMap view={view} matrix={matrix} by={by} chosen="" href={(code) => linkTo(address, "district", code)} />
        </div>
        <ul class="card standings">
          {matrix.districts.map(({ code, name }) => (
            <li key={code}>
              <h3>
                <a href={linkTo(address, "district", code)}>{localized(name)}</a>
              </h3>
              <Standing matrix={matrix} district={code} brief />
            </li>
          ))}
        </ul>
      </div>
      <section class="card">
        <h2>{t("heat.title")}</h2>
        <p class="hint">{t("heat.hint")}</p>
        <HeatTable view={view} matrix={matrix} rows={rowsOf(view, matrix, by)} />
      </section>
      <section>
        <h2>{t("district.reports")}</h2>
        <div class="tiles">
          {plan.districts.map(({ code, name }) => (
            <Tile key={code} view={view} code={code} name={localized(name)} />
          ))}
        </div>
      </section>
    </div>
  );
}

function Tile({ view, code, name }: { view: View; code: string; name: string }): JSX.Element {
  const receipts = useQuery(pathOf("/v1/districts/{district}/receipts", { district: code, limit: "1" }));
  return (
    <a class="card" href={linkTo(view.address, "receipts", code)}>
      <h3>{name}</h3>
      <Loaded query={receipts} lines={2}>{(data) => <ReportSummary receipts={data} />}</Loaded>
    </a>
  );
}
