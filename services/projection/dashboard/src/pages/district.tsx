// One district: what became of its reports, and its numbers beside the city's.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { District, IndicatorProgress, PeriodProgress, PlanProgress } from "../api/schema";
import { linkTo, pick } from "../parts/address";
import { latestPeriod } from "../parts/figures";
import { ReportSummary } from "../parts/reports";
import { SignalPill } from "../parts/signals";
import { Loaded, Note } from "../parts/states";
import type { View } from "../parts/view";
import { achieved, DASH, percent, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName } from "../texts/names";

export function DistrictPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const district = plan.districts.find(({ code }) => code === address.id);
  const values = { plan: plan.id, ...pick(address.params, "as_of", "known_at") };
  const own = useQuery(district ? pathOf("/v1/plans/{plan}/progress", { ...values, district: district.code }) : null);
  const city = useQuery(pathOf("/v1/plans/{plan}/progress", values));
  const receipts = useQuery(district ? pathOf("/v1/districts/{district}/receipts", { district: district.code, limit: "1" }) : null);
  if (!district) return <Note>{t("district.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <p>
          <a href={linkTo(address, "districts")}>{t("district.all")}</a>
        </p>
        <h2>{localized(district.name)}</h2>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("district.reports")}</h2>
          <Loaded query={receipts} lines={2}>{(data) => <ReportSummary receipts={data} />}</Loaded>
          <p>
            <a href={linkTo(address, "receipts", district.code)}>{t("district.to_receipts")}</a>
          </p>
        </section>
        <section class="card">
          <h2>{t("district.numbers")}</h2>
          <Loaded query={own} lines={12}>{(data) => <Numbers view={view} district={district} own={data} city={city.data} />}</Loaded>
        </section>
      </div>
    </>
  );
}

interface NumbersProps {
  view: View;
  district: District;
  own: PlanProgress;
  city: PlanProgress | undefined;
}

function Numbers({ view, district, own, city }: NumbersProps): JSX.Element {
  const cityPeriods = new Map(city?.indicators.map((indicator) => [indicator.id, latestPeriod(indicator)]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("district.numbers")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            <th scope="col">{t("asked.period")}</th>
            <th scope="col" class="n">{localized(district.name)}</th>
            <th scope="col" class="n">{t("asked.whole")}</th>
            <th scope="col" class="n">{t("ranking.share")}</th>
            <th scope="col">{t("value.target")}</th>
            <th scope="col">{t("district.city_signal")}</th>
          </tr>
        </thead>
        <tbody>
          {own.indicators.map((indicator) => {
            const period = latestPeriod(indicator);
            if (!period) return null;
            return <NumberRow key={indicator.id} view={view} district={district} indicator={indicator} period={period} city={cityPeriods.get(indicator.id)} />;
          })}
        </tbody>
      </table>
    </div>
  );
}

interface NumberRowProps {
  view: View;
  district: District;
  indicator: IndicatorProgress;
  period: PeriodProgress;
  city: PeriodProgress | undefined;
}

function NumberRow({ view, district, indicator, period, city }: NumberRowProps): JSX.Element {
  const { id, unit } = indicator;
  const share = period.denominator === null && city?.value && period.value !== null ? period.value / city.value : null;
  return (
    <tr>
      <th scope="row">
        <a href={linkTo(view.address, "measure", indicator.measure, { indicator: id, district: district.code })}>
          {id} {localized(indicator.name)}
        </a>
      </th>
      <td>{periodName(period.period)}</td>
      <td class="n">
        <b>{period.value === null ? t("value.no_data") : achieved(period, unit)}</b>{" "}
        <small>{period.value === null ? "" : unitName(unit, view.plan.units)}</small>
      </td>
      <td class="n">{city ? achieved(city, unit) : DASH}</td>
      <td class="n">{percent(share)}</td>
      <td>
        {period.target ? targetText(period.target, unit) : DASH}
        {period.signal !== "none" && <SignalPill signal={period.signal} />}
      </td>
      <td>{city && city.signal !== "none" ? <SignalPill signal={city.signal} /> : DASH}</td>
    </tr>
  );
}
