// Decides what is seen first: how many targets are behind, which, and then every measure by series.
import type { JSX } from "preact";
import { asking, query, to } from "./address";
import type { Indicator, Measure, Period, Plan, Progress, Signal } from "./answers";
import { useAnswer } from "./api";
import { amount, day, goal, percent, unitName } from "./format";
import { said, t } from "./language";
import { DistrictMap } from "./map";
import type { View } from "./main";
import { Mark, Meter, Note, Parts, Shown, SIGNAL_TEXT, SignalPill, SIGNALS, signalLong, Value } from "./parts";

const MOST_SHOWN = 6;
/** Both signals that call for somebody. */
const LATE = "late";

function isLate(period: Period): boolean {
  return period.signal === "red" || period.signal === "amber";
}

/** The period that an overview speaks of: the latest that has begun. */
export function latest(indicator: Indicator): Period | undefined {
  return indicator.periods.at(-1);
}

function shortfall(period: Period): number {
  return period.expected && period.value !== null ? period.value / period.expected : 1;
}

export function Overview({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const progress = useAnswer<Progress>(`./v1/plans/${plan.id}/progress${query(address, "as_of", "known_at", "district")}`);
  return <Shown of={progress} lines={14}>{(data) => <Board view={view} progress={data} />}</Shown>;
}

function Board({ view, progress }: { view: View; progress: Progress }): JSX.Element {
  const { plan, address } = view;
  const shown = progress.indicators.flatMap((indicator) => {
    const period = latest(indicator);
    return period ? [{ indicator, period }] : [];
  });
  if (view.asOf < plan.period.from || !shown.length) return <Note>{t("state.before", { day: day(plan.period.from) })}</Note>;
  const only = SIGNALS.find((signal) => signal === address.asked["signal"]);
  const late = address.asked["signal"] === LATE;
  const fits = (period: Period): boolean => (late ? isLate(period) : !only || period.signal === only);
  const counts = new Map<Signal, number>(SIGNALS.map((signal) => [signal, 0]));
  for (const { period } of shown) counts.set(period.signal, counts.get(period.signal)! + 1);
  const worst = shown
    .filter(({ period }) => isLate(period))
    .sort((a, b) => shortfall(a.period) - shortfall(b.period));
  const empty = Object.values(progress.complete_to).every((log) => log.position === 0);
  const of = new Map(shown.map((one) => [one.indicator.id, one]));

  return (
    <>
      <section class="hero" aria-label={t("signal.counts")}>
        <div class="counts">
          {SIGNALS.map((signal) => (
            <a
              key={signal}
              class={`count ${signal}`}
              href={asking(address, { signal: only === signal ? "" : signal })}
              aria-current={only === signal ? "true" : undefined}
            >
              <b>{counts.get(signal)}</b>
              <span>
                <Mark signal={signal} />
                {t(SIGNAL_TEXT[signal])}
              </span>
              <small>{signalLong(signal)}</small>
            </a>
          ))}
        </div>
        {view.asOf > plan.period.to && <p class="hint">{t("state.ended", { day: day(plan.period.to) })}</p>}
        {empty && <Note title={t("state.empty.title")}>{t("state.empty.text")}</Note>}
        <div class="first">
          <div class="card attention">
            <h2>{t("overview.attention")}</h2>
            {worst.length === 0 && <p class="hint">{t("overview.attention.none")}</p>}
            <ol>
              {worst.slice(0, MOST_SHOWN).map(({ indicator, period }) => (
                <li key={indicator.id}>
                  <a href={to(address, "measure", indicator.measure, { indicator: indicator.id })}>
                    <Mark signal={period.signal} />
                    <span class="name">
                      <i>{indicator.id}</i> {said(indicator.name)}
                    </span>
                    <span class="figures">
                      <b>{amount(period.value, indicator.unit)}</b>
                      <small>{t("overview.of_expected", { expected: amount(period.expected, indicator.unit) })}</small>
                    </span>
                  </a>
                </li>
              ))}
            </ol>
            {worst.length > MOST_SHOWN && (
              <a class="more" href={asking(address, { signal: LATE })}>
                {t("overview.attention.all", { count: worst.length })}
              </a>
            )}
          </div>
          <div class="card">
            <h2>{t("map.title", { city: said(plan.city) })}</h2>
            <DistrictMap
              districts={plan.districts}
              chosen={address.asked["district"] ?? ""}
              href={(code) => asking(address, { district: code === address.asked["district"] ? "" : code })}
            />
          </div>
        </div>
      </section>
      {(only || late) && (
        <p class="filter">
          {t("overview.only", { signal: only ? t(SIGNAL_TEXT[only]) : t("overview.late") })} <a href={asking(address, { signal: "" })}>{t("overview.show_all")}</a>
        </p>
      )}
      {plan.series.map((series) => {
        const measures = series.measures
          .map((measure) => ({
            measure,
            rows: measure.indicators.flatMap((one) => of.get(one.id) ?? []).filter((one) => fits(one.period)),
          }))
          .filter(({ rows }) => rows.length);
        if (!measures.length) return null;
        return (
          <section key={series.id} class="series">
            <h2>
              <i>{series.id}</i> {said(series.name)}
              <small>{t("overview.measures", { count: measures.length })}</small>
            </h2>
            <div class="cards">
              {measures.map(({ measure, rows }) => (
                <MeasureCard key={measure.id} view={view} measure={measure} rows={rows} />
              ))}
            </div>
          </section>
        );
      })}
    </>
  );
}

interface Row {
  indicator: Indicator;
  period: Period;
}

function MeasureCard({ view, measure, rows }: { view: View; measure: Measure; rows: Row[] }): JSX.Element {
  return (
    <article class="card measure">
      <header>
        <h3>
          <a href={to(view.address, "measure", measure.id)}>
            <i>{measure.id}</i> {said(measure.name)}
          </a>
        </h3>
        <p>{lead(view.plan, measure)}</p>
      </header>
      <ul class="rows">
        {rows.map((row) => (
          <IndicatorRow key={row.indicator.id} view={view} {...row} />
        ))}
      </ul>
    </article>
  );
}

export function lead(plan: Plan, measure: Measure): string {
  return measure.lead.map((body) => said(plan.bodies[body])).join(t("list.comma"));
}

export function IndicatorRow({ view, indicator, period }: Row & { view: View }): JSX.Element {
  const { plan, address } = view;
  return (
    <li>
      <a class="row" href={to(address, "measure", indicator.measure, { indicator: indicator.id })}>
        <span class="name">
          <i>{indicator.id}</i> {said(indicator.name)}
          {indicator.basis === "annual" && <small class="period">{t("asked.year", { year: period.period })}</small>}
        </span>
        <span class="figures" data-indicator={indicator.id}>
          <Value period={period} unit={indicator.unit} name={unitName(indicator.unit, plan.units)} />
          <Parts period={period} />
        </span>
        <span class="goal">
          {period.target ? `${t("value.target")} ${goal(period.target, indicator.unit)}` : t("target.none")}
          {period.progress !== null && <small>{percent(period.progress)}</small>}
          {period.exceeds && <small>{t("value.exceeds")}</small>}
        </span>
        <Meter period={period} unit={indicator.unit} />
        <SignalPill signal={period.signal} />
      </a>
    </li>
  );
}
