// The first page: how many targets are behind, which ones, and then every measure by series.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { Measure, PlanProgress } from "../api/schema";
import { linkTo, pick, withParams } from "../parts/address";
import { Attention, Headline, isLate, type Row } from "../parts/attention";
import { latestPeriod, Meter, Parts, Value } from "../parts/figures";
import { DistrictMap } from "../parts/map";
import { Mark, type Signal, signalMeaning, signalName, SignalPill, SIGNALS } from "../parts/signals";
import { Loaded, Note } from "../parts/states";
import { leadBodies, type View } from "../parts/view";
import { day, progressText, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";

/** The value of the parameter `signal` that selects both red and amber. */
const LATE = "late";

export function OverviewPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const progress = useQuery(pathOf("/v1/plans/{plan}/progress", { plan: plan.id, ...pick(address.params, "as_of", "known_at", "district") }));
  return <Loaded query={progress} lines={14}>{(data) => <Board view={view} progress={data} />}</Loaded>;
}

function Board({ view, progress }: { view: View; progress: PlanProgress }): JSX.Element {
  const { plan, address } = view;
  const latest = progress.indicators.flatMap((indicator): Row[] => {
    const period = latestPeriod(indicator);
    return period ? [{ indicator, period }] : [];
  });
  if (view.asOf < plan.period.from || !latest.length) return <Note>{t("state.before", { day: day(plan.period.from) })}</Note>;
  const only = SIGNALS.find((signal) => signal === address.params["signal"]);
  const late = address.params["signal"] === LATE;
  const matches = ({ period }: Row): boolean => (late ? isLate(period) : !only || period.signal === only);
  const counts = new Map<Signal, number>(SIGNALS.map((signal) => [signal, 0]));
  for (const { period } of latest) counts.set(period.signal, counts.get(period.signal)! + 1);
  const empty = Object.values(progress.complete_to).every((log) => log.position === 0);
  const byId = new Map(latest.map((row) => [row.indicator.id, row]));

  return (
    <>
      <section class="hero" aria-label={t("signal.counts")}>
        <Headline view={view} progress={progress} rows={latest} />
        <div class="counts">
          {SIGNALS.map((signal) => (
            <a
              key={signal}
              class={`count ${signal}`}
              href={withParams(address, { signal: only === signal ? "" : signal })}
              aria-current={only === signal ? "true" : undefined}
            >
              <b>{counts.get(signal)}</b>
              <span>
                <Mark signal={signal} />
                {signalName(signal)}
              </span>
              <small>{signalMeaning(signal)}</small>
            </a>
          ))}
        </div>
        {view.asOf > plan.period.to && <p class="hint">{t("state.ended", { day: day(plan.period.to) })}</p>}
        {empty && <Note title={t("state.empty.title")}>{t("state.empty.text")}</Note>}
        <div class="first">
          <Attention view={view} rows={latest} all={withParams(address, { signal: LATE })} />
          <div class="card">
            <h2>{t("map.title", { city: localized(plan.city) })}</h2>
            <DistrictMap
              districts={plan.districts}
              chosen={address.params["district"] ?? ""}
              href={(code) => withParams(address, { district: code === address.params["district"] ? "" : code })}
            />
          </div>
        </div>
      </section>
      {(only || late) && (
        <p class="filter" ref={scrollTo} key={address.params["signal"]}>
          {t("overview.only", { signal: only ? signalName(only) : t("overview.late") })} <a href={withParams(address, { signal: "" })}>{t("overview.show_all")}</a>
        </p>
      )}
      {plan.series.map((series) => {
        const measures = series.measures
          .map((measure) => ({
            measure,
            rows: measure.indicators.flatMap(({ id }) => byId.get(id) ?? []).filter(matches),
          }))
          .filter(({ rows }) => rows.length);
        if (!measures.length) return null;
        return (
          <section key={series.id} class="series">
            <h2>
              <i>{series.id}</i> {localized(series.name)}
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

/** Bring what a tile selects into sight. */
function scrollTo(element: HTMLElement | null): void {
  if (element && element.getBoundingClientRect().top > innerHeight / 2) element.scrollIntoView({ block: "start" });
}

function MeasureCard({ view, measure, rows }: { view: View; measure: Measure; rows: Row[] }): JSX.Element {
  const judged = rows.filter(({ period }) => period.target);
  const monitored = rows.filter(({ period }) => !period.target);
  return (
    <article class="card measure">
      <header>
        <h3>
          <a href={linkTo(view.address, "measure", measure.id)}>
            <i>{measure.id}</i> {localized(measure.name)}
          </a>
        </h3>
        <p>{leadBodies(view.plan, measure)}</p>
      </header>
      {judged.length > 0 && <Rows view={view} rows={judged} />}
      {monitored.length > 0 && (
        <details class="monitored" open={!judged.length}>
          <summary>{t("overview.monitored", { count: monitored.length })}</summary>
          <Rows view={view} rows={monitored} />
        </details>
      )}
    </article>
  );
}

function Rows({ view, rows }: { view: View; rows: Row[] }): JSX.Element {
  return (
    <ul class="rows">
      {rows.map((row) => (
        <IndicatorRow key={row.indicator.id} view={view} {...row} />
      ))}
    </ul>
  );
}

function IndicatorRow({ view, indicator, period }: Row & { view: View }): JSX.Element {
  const { plan, address } = view;
  return (
    <li>
      <a class="row" href={linkTo(address, "measure", indicator.measure, { indicator: indicator.id })}>
        <span class="name">
          <i>{indicator.id}</i> {localized(indicator.name)}
          {indicator.basis === "annual" && <small class="period">{t("asked.year", { year: period.period })}</small>}
        </span>
        <span class="figures" data-indicator={indicator.id}>
          <Value period={period} unit={indicator.unit} name={unitName(indicator.unit, plan.units)} />
          <Parts period={period} />
        </span>
        <span class="goal">
          {period.target ? `${t("value.target")} ${targetText(period.target, indicator.unit)}` : t("target.none")}
          {period.progress !== null && <small>{progressText(period)}</small>}
          {period.exceeds && <small>{t("value.exceeds")}</small>}
        </span>
        <Meter period={period} unit={indicator.unit} />
        <SignalPill signal={period.signal} />
      </a>
    </li>
  );
}
