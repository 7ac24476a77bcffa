// Decides how a district is shown: its numbers beside the city's, and what became of its reports.
import type { JSX } from "preact";
import { query, to } from "./address";
import type { District, Progress, Receipts } from "./answers";
import { useAnswer } from "./api";
import { amount, goal, instant, number, percent, unitName } from "./format";
import { said, t } from "./language";
import type { View } from "./main";
import { DistrictMap } from "./map";
import { latest } from "./overview";
import { Note, Shown, SignalPill } from "./parts";
import { Strip } from "./receipts";

export function DistrictsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  return (
    <>
      <header class="head">
        <h2>{t("map.title", { city: said(plan.city) })}</h2>
      </header>
      <div class="two">
        <div class="tiles">
          {plan.districts.map((district) => (
            <Tile key={district.code} view={view} district={district} />
          ))}
        </div>
        <div class="card">
          <DistrictMap districts={plan.districts} chosen="" href={(code) => to(address, "district", code)} />
        </div>
      </div>
    </>
  );
}

function Tile({ view, district }: { view: View; district: District }): JSX.Element {
  const receipts = useAnswer<Receipts>(`./v1/districts/${district.code}/receipts?limit=1`);
  return (
    <a class="card" href={to(view.address, "district", district.code)}>
      <h3>{said(district.name)}</h3>
      <Shown of={receipts} lines={2}>{(data) => <Reported data={data} />}</Shown>
    </a>
  );
}

function Reported({ data }: { data: Receipts }): JSX.Element {
  const { statuses } = data.counts;
  const sent = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  const last = data.receipts[0];
  if (!sent) return <p class="hint">{t("receipts.none.title")}</p>;
  return (
    <>
      <p>{t("district.reported", { sent: number(sent), not: number(sent - (statuses["accepted"] ?? 0)) })}</p>
      <Strip statuses={statuses} />
      {last && <small>{t("district.last", { at: instant(last.received_at) })}</small>}
    </>
  );
}

export function DistrictPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const district = plan.districts.find((one) => one.code === address.id);
  const asked = query(address, "as_of", "known_at");
  const own = useAnswer<Progress>(
    district ? `./v1/plans/${plan.id}/progress${query({ ...address, asked: { ...address.asked, district: district.code } }, "as_of", "known_at", "district")}` : null,
  );
  const whole = useAnswer<Progress>(`./v1/plans/${plan.id}/progress${asked}`);
  const receipts = useAnswer<Receipts>(district ? `./v1/districts/${district.code}/receipts?limit=1` : null);
  if (!district) return <Note>{t("district.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <p>
          <a href={to(address, "districts")}>{t("district.all")}</a>
        </p>
        <h2>{said(district.name)}</h2>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("district.reports")}</h2>
          <Shown of={receipts} lines={2}>{(data) => <Reported data={data} />}</Shown>
          <p>
            <a href={to(address, "receipts", district.code)}>{t("district.to_receipts")}</a>
          </p>
        </section>
        <section class="card">
          <h2>{t("district.numbers")}</h2>
          <Shown of={own} lines={12}>{(data) => <Numbers view={view} district={district} own={data} whole={whole.data} />}</Shown>
        </section>
      </div>
    </>
  );
}

function Numbers({ view, district, own, whole }: { view: View; district: District; own: Progress; whole: Progress | undefined }): JSX.Element {
  const { plan, address } = view;
  const cityOf = new Map(whole?.indicators.map((one) => [one.id, latest(one)]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("district.numbers")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            <th scope="col">{t("asked.period")}</th>
            <th scope="col" class="n">{said(district.name)}</th>
            <th scope="col" class="n">{t("asked.whole")}</th>
            <th scope="col" class="n">{t("ranking.share")}</th>
            <th scope="col">{t("value.target")}</th>
            <th scope="col">{t("district.city_signal")}</th>
          </tr>
        </thead>
        <tbody>
          {own.indicators.map((indicator) => {
            const period = latest(indicator);
            const city = cityOf.get(indicator.id);
            if (!period) return null;
            const share = period.denominator === null && city?.value && period.value !== null ? period.value / city.value : null;
            return (
              <tr key={indicator.id}>
                <th scope="row">
                  <a href={to(address, "measure", indicator.measure, { indicator: indicator.id, district: district.code })}>
                    {indicator.id} {said(indicator.name)}
                  </a>
                </th>
                <td>{period.period === "plan" ? t("asked.whole_plan") : t("asked.year", { year: period.period })}</td>
                <td class="n">
                  <b>{period.value === null ? t("value.no_data") : amount(period.value, indicator.unit)}</b>{" "}
                  <small>{period.value === null ? "" : unitName(indicator.unit, plan.units)}</small>
                </td>
                <td class="n">{city ? amount(city.value, indicator.unit) : "–"}</td>
                <td class="n">{percent(share)}</td>
                <td>
                  {period.target ? goal(period.target, indicator.unit) : "–"}
                  {period.signal !== "none" && <SignalPill signal={period.signal} />}
                </td>
                <td>{city && city.signal !== "none" ? <SignalPill signal={city.signal} /> : "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
