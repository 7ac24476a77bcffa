// A district's figures at a month's end: as they were known when it was last acted on, beside what is known now.
import type { JSX } from "preact";
import type { DistrictMonth } from "../api/office";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { IndicatorProgress, PlanProgress } from "../api/schema";
import { amount, DASH, instant, number, reached, signed } from "../texts/format";
import { localized, t } from "../texts/language";
import { latestPeriod } from "./figures";
import { Loaded } from "./states";
import type { View } from "./view";

interface Row {
  indicator: IndicatorProgress;
  then: number | null;
  now: number | null;
}

export function SubmittedFigures({ view, to, district }: { view: View; to: string; district: DistrictMonth }): JSX.Element {
  const values = { plan: view.plan.id, as_of: to, district: district.district };
  const at = district.recorded_at ?? "";
  const now = useQuery(pathOf("/v1/plans/{plan}/progress", values));
  const then = useQuery(at ? pathOf("/v1/plans/{plan}/progress", { ...values, known_at: at }) : null);
  return (
    <Loaded query={now} lines={6}>
      {(live) => (at ? <Loaded query={then} lines={6}>{(known) => <Differences live={live} known={known} at={at} />}</Loaded> : <Differences live={live} known={null} at="" />)}
    </Loaded>
  );
}

function valueOf(indicator: IndicatorProgress | undefined): number | null {
  return (indicator && latestPeriod(indicator)?.value) ?? null;
}

function Differences({ live, known, at }: { live: PlanProgress; known: PlanProgress | null; at: string }): JSX.Element {
  const rows = live.indicators.map((indicator): Row => ({ indicator, now: valueOf(indicator), then: known && valueOf(known.indicators.find(({ id }) => id === indicator.id)) }));
  const moved = known ? rows.filter(({ then, now }) => then !== now) : rows.filter(({ now }) => now);
  const rest = rows.filter((row) => !moved.includes(row));
  return (
    <>
      {known && <p class="hint">{moved.length ? t("months.moved", { count: number(moved.length), at: instant(at) }) : t("months.moved.none", { at: instant(at) })}</p>}
      {moved.length > 0 && <FigureTable rows={moved} compared={known !== null} />}
      {rest.length > 0 && (
        <details class="table">
          <summary>{t(known ? "closings.unmoved" : "months.zero", { count: number(rest.length) })}</summary>
          <FigureTable rows={rest} compared={known !== null} />
        </details>
      )}
    </>
  );
}

function FigureTable({ rows, compared }: { rows: Row[]; compared: boolean }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("months.figures")}>
      <table class="cards-on-phone">
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            {compared && <th scope="col" class="n">{t("months.then")}</th>}
            <th scope="col" class="n">{t("months.now")}</th>
            {compared && <th scope="col" class="n">{t("months.difference")}</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ indicator, then, now }) => {
            const { id, name, unit } = indicator;
            return (
              <tr key={id}>
                <th scope="row">
                  {id} {localized(name)}
                </th>
                {compared && <td class="n" data-name={t("months.then")}>{reached(then, unit)}</td>}
                <td class="n" data-name={t("months.now")}><b>{reached(now, unit)}</b></td>
                {compared && <td class="n" data-name={t("months.difference")}>{then === null || now === null ? DASH : then === now ? amount(0, unit) : signed(now - then, unit)}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
