// Closed months: what was published, by whom, and what has moved since and why.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { ComparedFigure, MonthClosing, Plan, Publication } from "../api/schema";
import { linkTo, pick } from "../parts/address";
import { MonthDesk } from "../parts/month_desk";
import { Others } from "../parts/others";
import { Loaded, Note } from "../parts/states";
import { indicatorsById, type View } from "../parts/view";
import { amount, day, instant, month, movement, number, reached, today } from "../texts/format";
import { localized, t } from "../texts/language";
import { causeName, periodName, typeName } from "../texts/names";

export function ClosingsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const months = useQuery(pathOf("/v1/plans/{plan}/closings", { plan: plan.id }));
  return (
    <>
      <header class="head">
        <h2>{t("closings.title")}</h2>
        <p class="hint">{t("closings.hint")}</p>
      </header>
      <Loaded query={months}>
        {(data) => {
          const all = monthsOf(plan, today());
          const closed = data.months.map(({ month: name }) => name);
          const chosen = address.id || closed.at(-1) || all.at(-1) || "";
          if (!chosen) return <Note title={t("closings.none.title")}>{t("closings.none.text")}</Note>;
          return (
            <div class="stack">
              <label class="choice month">
                <span>{t("months.choose")}</span>
                <select name="month" value={chosen} onChange={({ currentTarget }) => { location.hash = linkTo(address, "closings", currentTarget.value); }}>
                  {all.map((name) => (
                    <option key={name} value={name}>
                      {month(name)}
                      {closed.includes(name) && ` · ${t("months.closed")}`}
                    </option>
                  ))}
                </select>
              </label>
              <nav class="tabs" aria-label={t("nav.closings")}>
                {data.months.map(({ month: name, published }) => (
                  <a key={name} href={linkTo(address, "closings", name)} aria-current={name === chosen ? "true" : undefined}>
                    {month(name)}
                    {published.length > 1 && ` · ${t("closings.restated", { count: published.length - 1 })}`}
                  </a>
                ))}
              </nav>
              <MonthDesk view={view} month={chosen} />
              {closed.includes(chosen) && <ClosingOf view={view} month={chosen} />}
              {!closed.length && <Note title={t("closings.none.title")}>{t("closings.none.text")}</Note>}
            </div>
          );
        }}
      </Loaded>
    </>
  );
}

/** The months of a plan that have begun, the first one first. */
function monthsOf({ period }: Plan, until: string): string[] {
  const last = (until < period.to ? until : period.to).slice(0, 7);
  const names: string[] = [];
  for (let [year, of] = period.from.split("-").map(Number) as [number, number]; ; of += 1) {
    if (of > 12) [year, of] = [year + 1, 1];
    const name = `${year}-${String(of).padStart(2, "0")}`;
    if (name > last) return names;
    names.push(name);
  }
}

function ClosingOf({ view, month: name }: { view: View; month: string }): JSX.Element {
  const closing = useQuery(pathOf("/v1/plans/{plan}/closings/{month}", { plan: view.plan.id, month: name, ...pick(view.address.params, "district") }));
  return <Loaded query={closing} lines={10}>{(data) => <ClosedMonth view={view} closing={data} />}</Loaded>;
}

function ClosedMonth({ view, closing }: { view: View; closing: MonthClosing }): JSX.Element {
  const moved = closing.figures.filter(hasMoved);
  const unmoved = closing.figures.filter((figure) => !hasMoved(figure));
  return (
    <>
      <section class="card">
        <h2>{t("closings.published")}</h2>
        <ul class="reports">
          {closing.published.map((publication, index) => (
            <PublicationRow key={publication.sha256 + index} publication={publication} first={index === 0} />
          ))}
        </ul>
        <p class={`status ${closing.verified ? "green" : "red"}`}>{closing.verified ? t("closings.verified") : t("closings.not_verified")}</p>
        <figure class="code">
          {/* Drawn by the projection; no text of a report is in it. */}
          <div role="img" aria-label={t("closings.code.alt", { text: closing.code.text })} dangerouslySetInnerHTML={{ __html: closing.code.svg }} />
          <figcaption class="hint">{t("closings.code")}</figcaption>
        </figure>
        {closing.overrides.map(({ by, why, districts }, index) => (
          <p key={index} class="why">
            {t("closings.override", { by, why, districts: namesOf(view, districts) })}
          </p>
        ))}
      </section>
      <section class="card">
        <h2>{t("closings.moved", { count: number(moved.length) })}</h2>
        {moved.length ? <Figures view={view} figures={moved} /> : <p class="hint">{t("closings.moved.none")}</p>}
      </section>
      {unmoved.length > 0 && (
        <details class="card table">
          <summary>{t("closings.unmoved", { count: number(unmoved.length) })}</summary>
          <Figures view={view} figures={unmoved} />
        </details>
      )}
    </>
  );
}

function namesOf(view: View, codes: string[]): string {
  return view.plan.districts
    .filter((district) => codes.includes(district.code))
    .map((district) => localized(district.name))
    .join(t("list.comma"));
}

function hasMoved({ after_close: { more, less, facts, others }, live, value }: ComparedFigure): boolean {
  return more !== 0 || less !== 0 || facts.length > 0 || !!others?.length || (live?.value ?? null) !== (value ?? null);
}

function PublicationRow({ publication, first }: { publication: Publication; first: boolean }): JSX.Element {
  return (
    <li>
      <div class="what">
        <b>{first ? t("closings.first") : t("closings.again")}</b>
        <span>{t("closings.as_known", { at: instant(publication.known_at) })}</span>
        <span>{t("closings.by", { by: publication.by })}</span>
      </div>
      {publication.why && <p class="why">{publication.why}</p>}
      <small>
        SHA-256 <code>{publication.sha256.slice(0, 16)}…</code>
      </small>
    </li>
  );
}

function Figures({ view, figures }: { view: View; figures: ComparedFigure[] }): JSX.Element {
  const indicators = indicatorsById(view.plan);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("closings.title")}>
      <table class="cards-on-phone">
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
          {figures.map((figure) => {
            const placed = indicators.get(figure.indicator);
            const unit = placed?.indicator.unit ?? "";
            return (
              <tr key={figure.indicator}>
                <th scope="row">
                  <a href={linkTo(view.address, "measure", placed?.measure.id ?? "", { indicator: figure.indicator })}>
                    {figure.indicator} {localized(placed?.indicator.name)}
                  </a>
                </th>
                <td data-name={t("asked.period")}>{periodName(figure.period)}</td>
                <td class="n" data-name={t("closings.value")}>
                  <b>{reached(figure.value, unit)}</b>
                </td>
                <td class="n" data-name={t("closings.live")}>{reached(figure.live?.value, unit)}</td>
                <td data-name={t("closings.after")}>
                  <AfterClose figure={figure} unit={unit} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function AfterClose({ figure, unit }: { figure: ComparedFigure; unit: string }): JSX.Element | null {
  const { more, less, by_cause, facts, others } = figure.after_close;
  if (!facts.length && !others?.length && !more && !less) return null;
  // Sums are in the indicator's unit, and of a ratio they are its numerator: only money keeps its unit.
  const plain = unit === "fen" ? unit : "";
  return (
    <details>
      <summary>
        {movement({ more, less }, plain)}
        {Object.entries(by_cause).map(([cause, sums]) => (
          <small key={cause}>
            {" "}
            {causeName(cause)} {movement(sums, plain)}
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
              <span>{causeName(fact.cause)}</span>
              <span>{typeName(fact.type)}</span>
              <code>{fact.subject}</code>
              <small>
                {t("closings.fact", { on: day(fact.counted_on), at: instant(fact.recorded_at) })} · {fact.report_id}
              </small>
            </div>
          </li>
        ))}
      </ul>
      <Others counts={others} />
    </details>
  );
}
