// One measure: its clause, who leads it, and of each indicator the months, the rule behind its signal, the districts.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { CellPace, IndicatorProgress, Measure, PeriodProgress, PlanProgress, TargetDecision } from "../api/schema";
import { linkTo, pick, withParams } from "../parts/address";
import { LeadBodies } from "../parts/bodies";
import { Clause } from "../parts/clause";
import { latestPeriod, Meter, Parts, Value } from "../parts/figures";
import { Notes } from "../parts/notes";
import { RankingTable } from "../parts/ranking";
import { SignalRule } from "../parts/rule";
import { Mark, SignalPill, UnsplitPill } from "../parts/signals";
import { useUnsplit } from "../parts/standing";
import { Loaded, Note } from "../parts/states";
import { Trend } from "../parts/trend";
import { districtNames, findMeasure, indicatorsById, isWide, progressPath, type View } from "../parts/view";
import { WhyMoved } from "../parts/why";
import { day, expectedText, instant, progressText, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";

export function MeasurePage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const measure = findMeasure(plan, address.id);
  const progress = useQuery(progressPath(view));
  if (!measure) return <Note>{t("measure.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <h2>
          <i>{measure.id}</i> {localized(measure.name)}
        </h2>
        <p class="hint">
          {t("measure.lead")} <LeadBodies view={view} measure={measure} />
        </p>
        {/* On a phone the numbers come first. */}
        <details open={isWide()}>
          <summary>{t("measure.clause")}</summary>
          <Clause text={measure.text} />
        </details>
      </header>
      <Loaded query={progress}>{(data) => <Indicators view={view} measure={measure} progress={data} />}</Loaded>
    </>
  );
}

function Indicators({ view, measure, progress }: { view: View; measure: Measure; progress: PlanProgress }): JSX.Element {
  const { address, plan } = view;
  const indicators = progress.indicators.filter((indicator) => indicator.measure === measure.id);
  const chosen = indicators.find(({ id }) => id === address.params["indicator"]) ?? indicators[0];
  if (!chosen) return <Note>{t("measure.unknown")}</Note>;
  const period = chosen.periods.find(({ period: name }) => name === address.params["period"]) ?? latestPeriod(chosen);
  return (
    <>
      {indicators.length > 1 && (
        <nav class="tabs big" aria-label={t("value.indicator")}>
          {indicators.map((indicator) => (
            <a key={indicator.id} href={withParams(address, { indicator: indicator.id, period: "" })} aria-current={indicator === chosen ? "true" : undefined}>
              <Mark signal={latestPeriod(indicator)?.signal ?? "none"} />
              {indicator.id} {localized(indicator.name)}
            </a>
          ))}
        </nav>
      )}
      {period ? <IndicatorPanel key={chosen.id} view={view} indicator={chosen} period={period} /> : <Note>{t("state.before", { day: day(plan.period.from) })}</Note>}
    </>
  );
}

/** Since when a target is what it is, by which document, and why the plan office set it so. */
function TargetSince({ pace, decided }: { pace: CellPace; decided: TargetDecision }): JSX.Element {
  return (
    <dd class="since">
      <details>
        <summary>{t("target.since", { day: day(decided.effective_from) })}</summary>
        <dl class="lines">
          <div>
            <dt>{t("target.document")}</dt>
            <dd>{pace.clause}</dd>
          </div>
          <div>
            <dt>{t("target.why")}</dt>
            <dd>{decided.why ?? t("target.why.none")}</dd>
          </div>
          <div>
            <dt>{t("target.by")}</dt>
            <dd>
              {decided.by} · {instant(decided.recorded_at)}
            </dd>
          </div>
          <div>
            <dt>{t("target.report")}</dt>
            <dd>{pace.revision}</dd>
          </div>
        </dl>
      </details>
    </dd>
  );
}

function IndicatorPanel({ view, indicator, period }: { view: View; indicator: IndicatorProgress; period: PeriodProgress }): JSX.Element {
  const { plan, address } = view;
  const note = indicatorsById(plan).get(indicator.id)?.indicator.note;
  const values = { plan: plan.id, indicator: indicator.id, period: period.period, ...pick(address.params, "as_of", "known_at") };
  const months = useQuery(pathOf("/v1/plans/{plan}/indicators/{indicator}/months", { ...values, ...pick(address.params, "district") }));
  const ranking = useQuery(pathOf("/v1/plans/{plan}/indicators/{indicator}/districts", values));
  const unit = unitName(indicator.unit, plan.units);
  const unsplit = useUnsplit(view)({ indicator, period });
  const notSplit = unsplit && t("standing.none", { name: districtNames(plan.districts)[address.params["district"] ?? ""] ?? "" });
  return (
    <>
      <section class="card summary" aria-label={localized(indicator.name)}>
        <div class="first-line">
          <h2>
            <i>{indicator.id}</i> {localized(indicator.name)}
          </h2>
          {unsplit ? <UnsplitPill /> : <SignalPill signal={period.signal} />}
        </div>
        {indicator.periods.length > 1 && (
          <nav class="tabs" aria-label={t("asked.period")}>
            {indicator.periods.map(({ period: name }) => (
              <a key={name} href={withParams(address, { period: name })} aria-current={name === period.period ? "true" : undefined}>
                {t("asked.year", { year: name })}
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
            <dd>{unsplit ? <small class={`indicative ${unsplit.tone}`}>{unsplit.text}</small> : targetText(period.target, indicator.unit)}</dd>
            {period.pace?.decided && <TargetSince pace={period.pace} decided={period.pace.decided} />}
          </div>
          {period.target && (
            <>
              <div>
                <dt>{t("value.expected")}</dt>
                <dd>{expectedText(period, indicator.unit)}</dd>
              </div>
              <div>
                <dt>{t("value.progress")}</dt>
                <dd>{progressText(period)}</dd>
              </div>
            </>
          )}
        </dl>
        <Meter period={period} unit={indicator.unit} />
        {note && <p class="hint">{localized(note)}</p>}
        <p>
          <a href={linkTo(address, "facts", indicator.id, { period: period.period })}>{t("measure.facts")}</a>
        </p>
      </section>
      <section class="card notes">
        <h2>{t("notes.title")}</h2>
        <Notes key={`${period.period}-${address.params["district"] ?? ""}`} view={view} indicator={indicator.id} period={period.period} />
      </section>
      <div class="two">
        <section class="card wide">
          <h2>{t("trend.title")}</h2>
          <Loaded query={months} lines={8}>{(data) => (data.months.length ? <Trend view={view} data={data} /> : <p class="hint">{t("value.no_data")}</p>)}</Loaded>
        </section>
        <section class="card">
          <h2>{t("rule.title")}</h2>
          <SignalRule period={period} unit={indicator.unit} unsplit={notSplit} />
        </section>
      </div>
      <section class="card">
        <h2>{t("ranking.title")}</h2>
        <Loaded query={ranking} lines={7}>{(data) => <RankingTable view={view} ranking={data} unit={indicator.unit} />}</Loaded>
      </section>
      <section class="card why-moved">
        <h2>{t("why.title")}</h2>
        <WhyMoved view={view} indicator={indicator} period={period.period} />
      </section>
    </>
  );
}
