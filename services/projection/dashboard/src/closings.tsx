// Decides how closed months are shown: what was published, by whom, and what has moved since and why.
import type { JSX } from "preact";
import { query, to } from "./address";
import type { Closing, Closings, ClosingFigure, Publication } from "./answers";
import { useAnswer } from "./api";
import { causeText, typeName } from "./facts";
import { amount, day, instant, month, number } from "./format";
import { said, t } from "./language";
import type { View } from "./main";
import { Note, Shown } from "./parts";

export function ClosingsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const months = useAnswer<Closings>(`./v1/plans/${plan.id}/closings`);
  return (
    <>
      <header class="head">
        <h2>{t("closings.title")}</h2>
        <p class="hint">{t("closings.hint")}</p>
      </header>
      <Shown of={months}>
        {(data) => {
          const chosen = address.id || data.months.at(-1)?.month || "";
          if (!chosen) return <Note title={t("closings.none.title")}>{t("closings.none.text")}</Note>;
          return (
            <div class="stack">
              <nav class="tabs" aria-label={t("nav.closings")}>
                {data.months.map((one) => (
                  <a key={one.month} href={to(address, "closings", one.month)} aria-current={one.month === chosen ? "true" : undefined}>
                    {month(one.month)}
                    {one.published.length > 1 && ` · ${t("closings.restated", { count: one.published.length - 1 })}`}
                  </a>
                ))}
              </nav>
              <OfMonth view={view} name={chosen} />
            </div>
          );
        }}
      </Shown>
    </>
  );
}

function OfMonth({ view, name }: { view: View; name: string }): JSX.Element {
  const closing = useAnswer<Closing>(`./v1/plans/${view.plan.id}/closings/${encodeURIComponent(name)}${query(view.address, "district")}`);
  return <Shown of={closing} lines={10}>{(data) => <Closed view={view} closing={data} />}</Shown>;
}

function Closed({ view, closing }: { view: View; closing: Closing }): JSX.Element {
  const moved = closing.figures.filter(hasMoved);
  const rest = closing.figures.filter((one) => !hasMoved(one));
  return (
    <>
      <section class="card">
        <h2>{t("closings.published")}</h2>
        <ul class="reports">
          {closing.published.map((one, index) => (
            <Published key={one.sha256 + index} one={one} first={index === 0} />
          ))}
        </ul>
        <p class={`status ${closing.verified ? "green" : "red"}`}>{closing.verified ? t("closings.verified") : t("closings.not_verified")}</p>
        {closing.overrides.map((one, index) => (
          <p key={index} class="why">
            {t("closings.override", { by: one.by, why: one.why, districts: districtNames(view, one.districts) })}
          </p>
        ))}
      </section>
      <section class="card">
        <h2>{t("closings.moved", { count: number(moved.length) })}</h2>
        {moved.length ? <Figures view={view} figures={moved} /> : <p class="hint">{t("closings.moved.none")}</p>}
      </section>
      {rest.length > 0 && (
        <details class="card table">
          <summary>{t("closings.unmoved", { count: number(rest.length) })}</summary>
          <Figures view={view} figures={rest} />
        </details>
      )}
    </>
  );
}

function districtNames(view: View, codes: string[]): string {
  return view.plan.districts
    .filter((one) => codes.includes(one.code))
    .map((one) => said(one.name))
    .join(t("list.comma"));
}

function hasMoved(one: ClosingFigure): boolean {
  return one.after_close.more !== 0 || one.after_close.less !== 0 || one.after_close.facts.length > 0 || (one.live?.value ?? null) !== (one.value ?? null);
}

function Published({ one, first }: { one: Publication; first: boolean }): JSX.Element {
  return (
    <li>
      <div class="what">
        <b>{first ? t("closings.first") : t("closings.again")}</b>
        <span>{t("closings.as_known", { at: instant(one.known_at) })}</span>
        <span>{t("closings.by", { by: one.by })}</span>
      </div>
      {one.why && <p class="why">{one.why}</p>}
      <small>
        SHA-256 <code>{one.sha256.slice(0, 16)}…</code>
      </small>
    </li>
  );
}

function Figures({ view, figures }: { view: View; figures: ClosingFigure[] }): JSX.Element {
  const indicators = new Map(view.plan.series.flatMap((s) => s.measures).flatMap((m) => m.indicators.map((one) => [one.id, { ...one, measure: m.id }])));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("closings.title")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            <th scope="col">{t("asked.period")}</th>
            <th scope="col" class="n">{t("closings.value")}</th>
            <th scope="col" class="n">{t("closings.live")}</th>
            <th scope="col">{t("closings.after")}</th>
          </tr>
        </thead>
        <tbody>
          {figures.map((one) => {
            const indicator = indicators.get(one.indicator);
            const unit = indicator?.unit ?? "";
            return (
              <tr key={one.indicator}>
                <th scope="row">
                  <a href={to(view.address, "measure", indicator?.measure ?? "", { indicator: one.indicator })}>
                    {one.indicator} {said(indicator?.name)}
                  </a>
                </th>
                <td>{one.period === "plan" ? t("asked.whole_plan") : t("asked.year", { year: one.period })}</td>
                <td class="n">
                  <b>{amount(one.value, unit)}</b>
                </td>
                <td class="n">{amount(one.live?.value, unit)}</td>
                <td>
                  <After one={one} unit={unit} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function After({ one, unit }: { one: ClosingFigure; unit: string }): JSX.Element | null {
  const { more, less, by_cause, facts } = one.after_close;
  if (!facts.length && !more && !less) return null;
  // What an indicator counts is counted in its unit; of a ratio, in its numerator.
  const plain = unit === "fen" ? unit : "";
  return (
    <details>
      <summary>
        +{amount(more, plain)} −{amount(less, plain)}
        {Object.entries(by_cause).map(([cause, sums]) => (
          <small key={cause}>
            {" "}
            {causeText(cause)} +{amount(sums.more, plain)} −{amount(sums.less, plain)}
          </small>
        ))}
      </summary>
      <ul class="reports">
        {facts.map((fact, index) => (
          <li key={index}>
            <div class="what">
              <b>
                {fact.delta > 0 ? "+" : "−"}
                {amount(Math.abs(fact.delta), plain)}
              </b>
              <span>{causeText(fact.cause)}</span>
              <span>{typeName(fact.type)}</span>
              <code>{fact.subject}</code>
              <small>
                {t("closings.fact", { on: day(fact.counted_on), at: instant(fact.recorded_at) })} · {fact.report_id}
              </small>
            </div>
          </li>
        ))}
      </ul>
    </details>
  );
}
