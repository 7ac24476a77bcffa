// Decides how one measure is shown: the clause, who leads it, and of each indicator the course, the districts, the rule.
import type { JSX } from "preact";
import { asking, query, to } from "./address";
import type { DistrictRow, Indicator, Measure, Months, Period, Progress, Ranking } from "./answers";
import { useAnswer } from "./api";
import { amount, day, goal, number, percent, signed, unitName } from "./format";
import { type Key, said, t } from "./language";
import type { View } from "./main";
import { DistrictMap } from "./map";
import { lead } from "./overview";
import { Clause, Mark, Meter, Note, Parts, Shown, SignalPill, Value } from "./parts";
import { Trend } from "./trend";

export function MeasurePage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const measure = plan.series.flatMap((series) => series.measures).find((one) => one.id === address.id);
  const progress = useAnswer<Progress>(`./v1/plans/${plan.id}/progress${query(address, "as_of", "known_at", "district")}`);
  if (!measure) return <Note>{t("measure.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <h2>
          <i>{measure.id}</i> {said(measure.name)}
        </h2>
        <p class="hint">
          {t("measure.lead")} {lead(plan, measure)}
        </p>
        {/* On a phone the numbers come first. */}
        <details open={matchMedia("(min-width: 641px)").matches}>
          <summary>{t("measure.clause")}</summary>
          <Clause text={measure.text} />
        </details>
      </header>
      <Shown of={progress}>{(data) => <OfMeasure view={view} measure={measure} progress={data} />}</Shown>
    </>
  );
}

function OfMeasure({ view, measure, progress }: { view: View; measure: Measure; progress: Progress }): JSX.Element {
  const { address, plan } = view;
  const indicators = progress.indicators.filter((one) => one.measure === measure.id);
  const chosen = indicators.find((one) => one.id === address.asked["indicator"]) ?? indicators[0];
  if (!chosen) return <Note>{t("measure.unknown")}</Note>;
  const period = chosen.periods.find((one) => one.period === address.asked["period"]) ?? chosen.periods.at(-1);
  return (
    <>
      {indicators.length > 1 && (
        <nav class="tabs big" aria-label={t("value.indicator")}>
          {indicators.map((one) => (
            <a key={one.id} href={asking(address, { indicator: one.id, period: "" })} aria-current={one === chosen ? "true" : undefined}>
              <Mark signal={one.periods.at(-1)?.signal ?? "none"} />
              {one.id} {said(one.name)}
            </a>
          ))}
        </nav>
      )}
      {period ? <OfIndicator key={chosen.id} view={view} indicator={chosen} period={period} /> : <Note>{t("state.before", { day: day(plan.period.from) })}</Note>}
    </>
  );
}

function OfIndicator({ view, indicator, period }: { view: View; indicator: Indicator; period: Period }): JSX.Element {
  const { plan, address } = view;
  const note = plan.series.flatMap((s) => s.measures).flatMap((m) => m.indicators).find((one) => one.id === indicator.id)?.note;
  const base = `./v1/plans/${plan.id}/indicators/${indicator.id}`;
  const asked = { ...address, asked: { ...address.asked, period: period.period } };
  const months = useAnswer<Months>(`${base}/months${query(asked, "as_of", "known_at", "district", "period")}`);
  const ranking = useAnswer<Ranking>(`${base}/districts${query(asked, "as_of", "known_at", "period")}`);
  const unit = unitName(indicator.unit, plan.units);
  return (
    <>
      <section class="card summary" aria-label={said(indicator.name)}>
        <div class="first-line">
          <h2>
            <i>{indicator.id}</i> {said(indicator.name)}
          </h2>
          <SignalPill signal={period.signal} />
        </div>
        {indicator.periods.length > 1 && (
          <nav class="tabs" aria-label={t("asked.period")}>
            {indicator.periods.map((one) => (
              <a key={one.period} href={asking(address, { period: one.period })} aria-current={one === period ? "true" : undefined}>
                {t("asked.year", { year: one.period })}
              </a>
            ))}
          </nav>
        )}
        <dl class="facts">
          <div data-indicator={indicator.id}>
            <dt>{t("value.now")}</dt>
            <dd>
              <Value period={period} unit={indicator.unit} name={unit} />
              <Parts period={period} />
            </dd>
          </div>
          <div>
            <dt>{t("value.target")}</dt>
            <dd>{goal(period.target, indicator.unit)}</dd>
          </div>
          {period.target && (
            <>
              <div>
                <dt>{t("value.expected")}</dt>
                <dd>{amount(period.expected, indicator.unit)}</dd>
              </div>
              <div>
                <dt>{t("value.progress")}</dt>
                <dd>{percent(period.progress)}</dd>
              </div>
            </>
          )}
        </dl>
        <Meter period={period} unit={indicator.unit} />
        {note && <p class="hint">{said(note)}</p>}
        <p>
          <a href={to(address, "facts", indicator.id, { period: period.period })}>{t("measure.facts")}</a>
        </p>
      </section>
      <div class="two">
        <section class="card wide">
          <h2>{t("trend.title")}</h2>
          <Shown of={months} lines={8}>{(data) => (data.months.length ? <Trend data={data} /> : <p class="hint">{t("value.no_data")}</p>)}</Shown>
        </section>
        <section class="card">
          <h2>{t("rule.title")}</h2>
          <RuleOf period={period} unit={indicator.unit} />
        </section>
      </div>
      <section class="card">
        <h2>{t("ranking.title")}</h2>
        <Shown of={ranking} lines={7}>{(data) => <RankingOf view={view} ranking={data} unit={indicator.unit} />}</Shown>
      </section>
    </>
  );
}

const STATES: Record<string, Key> = {
  reached: "forecast.reached",
  "on-course": "forecast.on_course",
  short: "forecast.short",
  "not-enough-data": "forecast.not_enough",
};

/** The rule that gave the signal, with every number in it, so that nobody has to believe a colour. */
function RuleOf({ period, unit }: { period: Period; unit: string }): JSX.Element {
  const { pace, target } = period;
  if (!target) return <p class="hint">{t("rule.no_target")}</p>;
  if (!pace) return <p class="hint">{t("value.no_data")}</p>;
  const { forecast, rule, thresholds, revision } = pace;
  return (
    <>
      <p>
        <SignalPill signal={period.signal} /> {said(rule)}
      </p>
      <dl class="lines">
        <div>
          <dt>{t("rule.elapsed")}</dt>
          <dd>{percent(pace.elapsed)}</dd>
        </div>
        {pace.baseline !== null && (
          <div>
            <dt>{t("rule.baseline")}</dt>
            <dd>{amount(pace.baseline, unit)}</dd>
          </div>
        )}
        <div>
          <dt>{t("value.expected")}</dt>
          <dd>{amount(pace.expected, unit)}</dd>
        </div>
        <div>
          <dt>{t("rule.ratio")}</dt>
          <dd>{percent(pace.ratio)}</dd>
        </div>
        <div>
          <dt>{t("rule.gap")}</dt>
          <dd>{pace.gap === null ? "–" : signed(pace.gap, unit)}</dd>
        </div>
        <div>
          <dt>{t("rule.thresholds")}</dt>
          <dd>{t("rule.thresholds.are", { green: thresholds.green_percent, amber: thresholds.amber_percent })}</dd>
        </div>
        {pace.needed_per_month !== null && (
          <div>
            <dt>{t("rule.needed")}</dt>
            <dd>{t("rule.needed.is", { amount: amount(pace.needed_per_month, unit), months: number(pace.months_left) })}</dd>
          </div>
        )}
      </dl>
      {forecast && (
        <>
          <h3>{t("forecast.title")}</h3>
          <p>{t(STATES[forecast.state] ?? "forecast.not_enough", { day: day(forecast.reached_on) })}</p>
          {forecast.value !== null && (
            <p class="hint">
              {t("forecast.range", {
                value: amount(forecast.value, unit),
                low: amount(forecast.low, unit),
                high: amount(forecast.high, unit),
                months: forecast.months,
              })}
            </p>
          )}
        </>
      )}
      {revision && <p class="hint">{t("rule.revised", { day: day(revision.effective_from), why: revision.why ?? "" })}</p>}
    </>
  );
}

function RankingOf({ view, ranking, unit }: { view: View; ranking: Ranking; unit: string }): JSX.Element {
  const { plan, address } = view;
  const rows = ranking.districts;
  const largest = Math.max(...rows.map((row) => row.value ?? 0), 0) || 1;
  const shades = Object.fromEntries(rows.filter((row) => !row.city).map((row) => [row.code, (row.value ?? 0) / largest]));
  const labels = Object.fromEntries(rows.map((row) => [row.code, amount(row.value, unit)]));
  const withTargets = rows.some((row) => row.target);
  return (
    <div class="two ranking">
      <div class="scroll wide" tabIndex={0} role="region" aria-label={t("ranking.title")}>
        <table>
          <thead>
            <tr>
              <th scope="col" class="n">{t("ranking.rank")}</th>
              <th scope="col">{t("asked.district")}</th>
              <th scope="col" class="n">{t("value.now")}</th>
              <th scope="col" class="bar">
                <span class="unseen">{t("ranking.bar")}</span>
              </th>
              <th scope="col" class="n">{t("ranking.share")}</th>
              <th scope="col" class="n">{t("ranking.change")}</th>
              {withTargets && <th scope="col">{t("value.target")}</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.code} aria-current={row.code === address.asked["district"] ? "true" : undefined}>
                <td class="n">{row.rank ?? "–"}</td>
                <th scope="row">
                  <a href={to(address, "district", row.code)}>{said(row.name)}</a>
                </th>
                <td class="n">
                  <b>{amount(row.value, unit)}</b>
                  {row.denominator !== null && row.value !== null && <Parts period={row} />}
                </td>
                <td class="bar" aria-hidden="true">
                  <i style={{ width: `${(Math.max(row.value ?? 0, 0) / largest) * 100}%` }} />
                </td>
                <td class="n">{percent(row.share_of_whole)}</td>
                <td class="n">
                  <Change row={row} unit={unit} />
                </td>
                {withTargets && (
                  <td>
                    {row.target && goal(row.target, unit)} {row.signal !== "none" && <SignalPill signal={row.signal} />}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <DistrictMap
        districts={plan.districts}
        chosen={address.asked["district"] ?? ""}
        href={(code) => asking(address, { district: code === address.asked["district"] ? "" : code })}
        shades={shades}
        labels={labels}
      />
    </div>
  );
}

function Change({ row, unit }: { row: DistrictRow; unit: string }): JSX.Element {
  const { value, rank } = row.change;
  return (
    <>
      {value === null ? "–" : signed(value, unit)}
      {rank ? <small> {rank > 0 ? t("ranking.up", { count: rank }) : t("ranking.down", { count: -rank })}</small> : null}
    </>
  );
}

