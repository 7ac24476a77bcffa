// The first page: how many targets are behind, which ones, and then every measure by series.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { IndicatorProgress, Measure, PeriodProgress, PlanProgress } from "../api/schema";
import { linkTo, pick, withParams } from "../parts/address";
import { latestPeriod, Meter, Parts, Value } from "../parts/figures";
import { DistrictMap } from "../parts/map";
import { Mark, type Signal, signalMeaning, signalName, SignalPill, SIGNALS } from "../parts/signals";
import { Loaded, Note } from "../parts/states";
import { leadBodies, type View } from "../parts/view";
import { achieved, amount, day, progressText, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";

const ATTENTION_ROWS = 6;
/** The value of the parameter `signal` that selects both red and amber. */
const LATE = "late";

function isLate(period: PeriodProgress): boolean {
  return period.signal === "red" || period.signal === "amber";
}

/** The value as a share of the expected one; 1 where nothing is expected. */
function expectedShare(period: PeriodProgress): number {
  return period.expected && period.value !== null ? period.value / period.expected : 1;
}

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
  const worst = latest
    .filter(({ period }) => isLate(period))
    .sort((a, b) => expectedShare(a.period) - expectedShare(b.period));
  const empty = Object.values(progress.complete_to).every((log) => log.position === 0);
  const byId = new Map(latest.map((row) => [row.indicator.id, row]));

  return (
    <>
      <section class="hero" aria-label={t("signal.counts")}>
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
          <div class="card attention">
            <h2>{t("overview.attention")}</h2>
            {worst.length === 0 && <p class="hint">{t("overview.attention.none")}</p>}
            <ol>
              {worst.slice(0, ATTENTION_ROWS).map(({ indicator, period }) => (
                <li key={indicator.id}>
                  <a href={linkTo(address, "measure", indicator.measure, { indicator: indicator.id })}>
                    <Mark signal={period.signal} />
                    <span class="name">
                      <i>{indicator.id}</i> {localized(indicator.name)}
                    </span>
                    <span class="figures">
                      <b>{achieved(period, indicator.unit)}</b>
                      <small>{t("overview.of_expected", { expected: amount(period.expected, indicator.unit) })}</small>
                    </span>
                  </a>
                </li>
              ))}
            </ol>
            {worst.length > ATTENTION_ROWS && (
              <a class="more" href={withParams(address, { signal: LATE })}>
                {t("overview.attention.all", { count: worst.length })}
              </a>
            )}
          </div>
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
        <p class="filter">
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

interface Row {
  indicator: IndicatorProgress;
  period: PeriodProgress;
}

function MeasureCard({ view, measure, rows }: { view: View; measure: Measure; rows: Row[] }): JSX.Element {
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
      <ul class="rows">
        {rows.map((row) => (
          <IndicatorRow key={row.indicator.id} view={view} {...row} />
        ))}
      </ul>
    </article>
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
