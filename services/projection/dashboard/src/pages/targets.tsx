// The targets of an indicator: in force by period and district, how they came to be; revised and split by who may.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type IndicatorTargets, type PeriodTargets, type TargetChange, targetsPath, type TargetNumbers } from "../api/office";
import { useQuery } from "../api/queries";
import type { TargetValue } from "../api/schema";
import { linkTo } from "../parts/address";
import { ReviseForm, SplitForm } from "../parts/target_forms";
import { TargetFiles } from "../parts/target_files";
import { Loaded, Note } from "../parts/states";
import { districtNames, indicatorsById, type View } from "../parts/view";
import { DASH, day, instant, targetText } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName } from "../texts/names";

export function TargetsPage({ view }: { view: View }): JSX.Element {
  const { plan, address, asOf } = view;
  const query = useQuery(targetsPath(plan.id, asOf));
  const indicators = [...indicatorsById(plan)].map(([id, { indicator }]) => ({ id, name: indicator.name }));
  const chosen = address.id || indicators[0]?.id || "";
  return (
    <>
      <header class="head">
        <h2>{t("targets.title")}</h2>
        <p class="hint">{t("targets.hint")}</p>
      </header>
      <div class="stack">
        <label class="choice month">
          <span>{t("value.indicator")}</span>
          <select name="indicator" value={chosen} onChange={({ currentTarget }) => { location.hash = linkTo(address, "targets", currentTarget.value); }}>
            {indicators.map(({ id, name }) => (
              <option key={id} value={id}>
                {id} {localized(name)}
              </option>
            ))}
          </select>
        </label>
        {query.problem?.status === 404 ? (
          <Note>{t("targets.elsewhere")}</Note>
        ) : (
          <Loaded query={query} lines={10}>
            {({ indicators: all, may }) => {
              const indicator = all.find(({ id }) => id === chosen);
              return (
                <>
                  {indicator ? <Targets key={chosen} view={view} indicator={indicator} may={may} /> : <Note>{t("measure.unknown")}</Note>}
                  <TargetFiles view={view} may={may} />
                </>
              );
            }}
          </Loaded>
        )}
      </div>
    </>
  );
}

function textOf(target: TargetNumbers | null | undefined, unit: string): string {
  return target?.op ? targetText({ op: target.op, value: target.value ?? 0, upper: target.upper } satisfies TargetValue, unit) : DASH;
}

type Doing = "revise" | "districts" | "months" | null;

function Targets({ view, indicator, may }: { view: View; indicator: IndicatorTargets; may: string[] }): JSX.Element {
  const [doing, setDoing] = useState<Doing>(null);
  const done = (): void => setDoing(null);
  const acts = ([["revise", "targets.revise", "revise"], ["districts", "targets.split.districts", "split"], ["months", "targets.split.months", "split"]] as const)
    .filter(([act, , needed]) => may.includes(needed) && !(act === "months" && indicator.basis === "level"));
  return (
    <>
      <section class="card desk">
        <h2>
          {indicator.id} {localized(indicator.name)}
        </h2>
        {indicator.periods.map((period) => (
          <Period key={period.period} view={view} period={period} unit={indicator.unit} measure={indicator.measure} />
        ))}
        {acts.length > 0 && (
          <p class="acts">
            {acts.map(([act, text]) => (
              <button key={act} type="button" data-act={act} onClick={() => setDoing(act)}>
                {t(text)}
              </button>
            ))}
          </p>
        )}
        {doing === "revise" && <ReviseForm view={view} indicator={indicator} onDone={done} />}
        {doing && doing !== "revise" && <SplitForm key={doing} view={view} indicator={indicator} over={doing} onDone={done} />}
      </section>
      <section class="card">
        <h2>{t("targets.history")}</h2>
        <History view={view} indicator={indicator} />
      </section>
    </>
  );
}

function Period({ view, period, unit, measure }: { view: View; period: PeriodTargets; unit: string; measure: string }): JSX.Element {
  const names = districtNames(view.plan.districts);
  const { target, districts, difference, difference_of_months: ofMonths } = period;
  const parts = Object.entries(districts);
  return (
    <>
      <h3>{periodName(period.period)}</h3>
      <dl class="facts" data-period={period.period}>
        <div>
          <dt>{t("asked.whole")}</dt>
          <dd>{textOf(target, unit)}</dd>
        </div>
        {parts.map(([code, part]) => (
          <div key={code}>
            <dt>{names[code]}</dt>
            <dd>{textOf(part, unit)}</dd>
          </div>
        ))}
      </dl>
      {target && <p class="hint">{t(target.clause === measure ? "targets.rests.plan" : "targets.rests", { clause: target.clause })}</p>}
      {Boolean(difference) && <p class="hint">{t("targets.gap", { gap: targetText({ op: "=", value: difference ?? 0, upper: null }, unit).slice(2) })}</p>}
      {Boolean(ofMonths) && <p class="hint">{t("targets.gap.months", { gap: targetText({ op: "=", value: ofMonths ?? 0, upper: null }, unit).slice(2) })}</p>}
    </>
  );
}

function History({ view, indicator }: { view: View; indicator: IndicatorTargets }): JSX.Element {
  const names = districtNames(view.plan.districts);
  // What one decision changed in several districts stands together.
  const decisions = new Map<number, TargetChange & { parts: TargetChange[] }>();
  for (const change of indicator.history) {
    const decision = decisions.get(change.position);
    if (decision) decision.parts.push(change);
    else decisions.set(change.position, { ...change, parts: [change] });
  }
  const changes = [...decisions.values()].toSorted((a, b) => b.position - a.position);
  if (!changes.length) return <p class="hint">{t("targets.history.none")}</p>;
  return (
    <ul class="reports">
      {changes.map(({ parts, ...change }) => (
        <li key={change.position}>
          <div class="what">
            {parts.map(({ district, target }) => (
              <span key={district}>
                {district ? names[district] : t("asked.whole")} <b>{textOf(target, indicator.unit)}</b>
              </span>
            ))}
            {change.period && <span>{periodName(change.period)}</span>}
            {change.effective_from && <span>{t("target.since", { day: day(change.effective_from) })}</span>}
            <span>{t("closings.by", { by: change.by })}</span>
            <small>{instant(change.recorded_at)}</small>
          </div>
          {change.why && <p class="why">{change.why}</p>}
        </li>
      ))}
    </ul>
  );
}
