// A measure as a card: who leads it, and its indicators; those without a target fold away.
import type { ComponentChildren, JSX } from "preact";
import type { Measure } from "../api/schema";
import { progressText, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";
import { linkTo } from "./address";
import type { Row } from "./attention";
import { Meter, Parts, Value } from "./figures";
import { SignalPill, UnsplitPill } from "./signals";
import { LeadBodies } from "./bodies";
import { type Unsplit, useUnsplit } from "./standing";
import type { View } from "./view";

interface CardProps {
  view: View;
  measure: Measure;
  rows: Row[];
  /** Whether what is only monitored is shown at once: where it was asked for. */
  unfolded?: boolean;
  children?: ComponentChildren;
}

export function MeasureCard({ view, measure, rows, unfolded = false, children }: CardProps): JSX.Element {
  const unsplit = useUnsplit(view);
  const told = rows.map((row): ToldRow => ({ ...row, unsplit: unsplit(row) }));
  const aimed = ({ period, unsplit: share }: ToldRow): boolean => Boolean(period.target ?? share);
  const judged = told.filter(aimed);
  const monitored = told.filter((row) => !aimed(row));
  return (
    <article class="card measure">
      <header>
        <h3>
          <a href={linkTo(view.address, "measure", measure.id)}>
            <i>{measure.id}</i> {localized(measure.name)}
          </a>
        </h3>
        <p>
          <LeadBodies view={view} measure={measure} />
        </p>
      </header>
      {children}
      {judged.length > 0 && <Rows view={view} rows={judged} />}
      {monitored.length > 0 && (
        <details class="monitored" open={unfolded}>
          <summary>{t("overview.monitored", { count: monitored.length })}</summary>
          <Rows view={view} rows={monitored} />
        </details>
      )}
    </article>
  );
}

interface ToldRow extends Row {
  unsplit: Unsplit | undefined;
}

function Rows({ view, rows }: { view: View; rows: ToldRow[] }): JSX.Element {
  return (
    <ul class="rows">
      {rows.map((row) => (
        <IndicatorRow key={row.indicator.id} view={view} {...row} />
      ))}
    </ul>
  );
}

function IndicatorRow({ view, indicator, period, unsplit }: ToldRow & { view: View }): JSX.Element {
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
          {period.target ? `${t("value.target")} ${targetText(period.target, indicator.unit)}` : unsplit ? <small class={`indicative ${unsplit.tone}`}>{unsplit.text}</small> : t("target.none")}
          {period.progress !== null && <small>{progressText(period)}</small>}
          {period.exceeds && <small>{t("value.exceeds")}</small>}
        </span>
        <Meter period={period} unit={indicator.unit} />
        {unsplit ? <UnsplitPill /> : <SignalPill signal={period.signal} />}
      </a>
    </li>
  );
}
