// Decides how the facts behind a number are shown: each with what it adds and when it was known, and what moved it since.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asking, query, to } from "./address";
import { type Changes, type Fact, type Facts, type Move, TYPE_NAMES, type TypeNames } from "./answers";
import { peek, useAnswer } from "./api";
import { amount, day, instant, number, signed } from "./format";
import { type Key, said, t } from "./language";
import type { View } from "./main";
import { Note, Shown } from "./parts";

const AT_ONCE = 100;
const A_PAGE = 500;
const CAUSES: Record<string, Key> = {
  original: "cause.original",
  correction: "cause.correction",
  retraction: "cause.retraction",
  supersede: "cause.supersede",
  end: "cause.end",
};

export function FactsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const found = plan.series.flatMap((s) => s.measures).flatMap((m) => m.indicators.map((one) => ({ measure: m, indicator: one })));
  const chosen = found.find((one) => one.indicator.id === address.id);
  const base = `./v1/plans/${plan.id}/indicators/${encodeURIComponent(address.id)}`;
  // A cell may be made of a million facts; a page of them is read at a time.
  const paged = { ...address, asked: { ...address.asked, limit: String(A_PAGE) } };
  const facts = useAnswer<Facts>(chosen ? `${base}/facts${query(paged, "as_of", "known_at", "district", "period", "month", "after", "limit")}` : null);
  const changes = useAnswer<Changes>(chosen ? `${base}/changes${query(address, "as_of", "known_at", "district", "period")}` : null);
  if (!chosen) return <Note>{t("measure.unknown")}</Note>;
  const { indicator, measure } = chosen;
  const district = plan.districts.find((one) => one.code === address.asked["district"]);
  return (
    <>
      <header class="head">
        <p>
          <a href={to(address, "measure", measure.id, { indicator: indicator.id, period: address.asked["period"] ?? "" })}>
            {t("facts.back", { name: said(measure.name) })}
          </a>
        </p>
        <h2>
          <i>{indicator.id}</i> {said(indicator.name)}
        </h2>
        <p class="hint">
          {[
            address.asked["period"] && address.asked["period"] !== "plan" ? t("asked.year", { year: address.asked["period"] }) : t("asked.whole_plan"),
            address.asked["month"],
            district ? said(district.name) : t("asked.whole"),
            t("facts.as_of", { day: day(view.asOf) }),
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("facts.title")}</h2>
          <Shown of={facts}>{(data) => <FactTable view={view} data={data} unit={indicator.unit} />}</Shown>
        </section>
        <section class="card">
          <h2>{t("facts.changes")}</h2>
          <p class="hint">{t("facts.changes.hint")}</p>
          <Shown of={changes}>{(data) => <ChangeTable view={view} changes={data.changes} unit={indicator.unit} more={data.next !== null} />}</Shown>
        </section>
      </div>
    </>
  );
}

function adds(one: Fact | Move, ratio: boolean, unit: string): string {
  if (ratio) return [one.numerator, one.denominator].map((value) => (value ? signed(value, "") : "0")).join(" / ");
  return signed(one.numerator, unit);
}

function FactTable({ view, data, unit }: { view: View; data: Facts; unit: string }): JSX.Element {
  const [most, setMost] = useState(AT_ONCE);
  const names = Object.fromEntries(view.plan.districts.map((one) => [one.code, said(one.name)]));
  const ratio = data.denominator !== null;
  const after = view.address.asked["after"];
  // What is all there is shown from its latest; pages go on from the earliest.
  const one = !after && !data.next;
  if (!data.facts.length) return <p class="hint">{t("facts.none")}</p>;
  return (
    <>
      <p>
        {t("facts.sum", {
          sum: ratio ? t("value.parts", { numerator: number(data.numerator), denominator: number(data.denominator) }) : amount(data.numerator, unit),
        })}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("facts.title")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("facts.on")}</th>
              <th scope="col">{t("asked.district")}</th>
              <th scope="col">{t("facts.what")}</th>
              <th scope="col" class="n">{ratio ? t("facts.adds.ratio") : t("facts.adds")}</th>
              <th scope="col">{t("facts.known")}</th>
              <th scope="col">{t("facts.report")}</th>
            </tr>
          </thead>
          <tbody>
            {(one ? data.facts.slice(-most).reverse() : data.facts.slice(0, most)).map((fact) => (
              <tr key={`${fact.service} ${fact.position} ${fact.district} ${fact.counted_on}`}>
                <td class="keep">{day(fact.on)}</td>
                <td class="keep">{names[fact.district] ?? fact.district}</td>
                <td>
                  <code>{fact.subject}</code>
                  <small> {typeName(fact.type)}</small>
                </td>
                <td class="n">{adds(fact, ratio, unit)}</td>
                <td class="keep">{known(view, fact.recorded_at)}</td>
                <td>
                  <code>{fact.report_id}</code>
                  <small> {fact.report_source}</small>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="pages">
        {data.facts.length > most ? (
          <button type="button" onClick={() => setMost(A_PAGE)}>
            {t("facts.more", { count: number(data.facts.length - most) })}
          </button>
        ) : (
          data.next && (
            <a class="button" href={asking(view.address, { after: data.next })}>
              {t("facts.next")}
            </a>
          )
        )}
        {after && (
          <a class="button" href={asking(view.address, { after: "" })}>
            {t("facts.first")}
          </a>
        )}
      </p>
    </>
  );
}

/** The instant, and a way to see the number as it was known then. */
function known(view: View, at: string): JSX.Element {
  return (
    <a href={asking(view.address, { known_at: at })} title={t("facts.as_known")}>
      {instant(at)}
    </a>
  );
}

/** Why a row of the ledger is there. */
export function causeText(cause: string): string {
  return CAUSES[cause] ? t(CAUSES[cause]!) : cause;
}

/** What a type is called, once the names are there; else its own name. */
export function typeName(type: string | null | undefined): string {
  const short = (type ?? "").replace(/^skillplan\./, "").replace(/\.v\d+$/, "");
  return said(peek<TypeNames>(TYPE_NAMES)?.types[type ?? ""]) || short;
}

function ChangeTable({ view, changes, unit, more }: { view: View; changes: Move[]; unit: string; more: boolean }): JSX.Element {
  const names = Object.fromEntries(view.plan.districts.map((one) => [one.code, said(one.name)]));
  const ratio = unit === "%" || unit === "per 10,000";
  if (!changes.length) return <p>{t("facts.changes.none")}</p>;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("facts.changes")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("facts.known")}</th>
              <th scope="col">{t("facts.cause")}</th>
              <th scope="col">{t("asked.district")}</th>
              <th scope="col">{t("facts.what")}</th>
              <th scope="col" class="n">{ratio ? t("facts.adds.ratio") : t("facts.adds")}</th>
              <th scope="col">{t("facts.effective")}</th>
            </tr>
          </thead>
          <tbody>
            {changes.map((change, index) => (
              <tr key={index}>
                <td class="keep">{known(view, change.recorded_at)}</td>
                <td class="keep">{causeText(change.cause)}</td>
                <td class="keep">{names[change.district] ?? change.district}</td>
                <td>
                  <code>{change.subject}</code>
                  <small> {typeName(change.type)}</small>
                </td>
                <td class="n">{adds(change, ratio, unit)}</td>
                <td class="keep">{day(change.effective_on)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more && <p class="hint">{t("facts.changes.more", { count: number(changes.length) })}</p>}
    </>
  );
}
