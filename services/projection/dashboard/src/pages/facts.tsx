// The facts behind a number: what each adds and since when it is known; and what has moved the number since.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { CountedFact, CountedFacts, NumberChange } from "../api/schema";
import { linkTo, pick, withParams } from "../parts/address";
import { Others } from "../parts/others";
import { Loaded, Note } from "../parts/states";
import { districtNames, indicatorsById, isWide, type View } from "../parts/view";
import { amount, day, instant, number, signed } from "../texts/format";
import { localized, t } from "../texts/language";
import { causeName, periodName, typeName } from "../texts/names";

const ROWS_AT_FIRST = { wide: 100, narrow: 16 };
const PAGE_SIZE = 500;

export function FactsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const { params } = address;
  const chosen = indicatorsById(plan).get(address.id);
  const values = { plan: plan.id, indicator: address.id, ...pick(params, "as_of", "known_at", "district", "period") };
  // A number may be made of a million facts; a page of them is read at a time.
  const page = { ...values, ...pick(params, "month", "after"), limit: String(PAGE_SIZE) };
  const facts = useQuery(chosen ? pathOf("/v1/plans/{plan}/indicators/{indicator}/facts", page) : null);
  const changes = useQuery(chosen ? pathOf("/v1/plans/{plan}/indicators/{indicator}/changes", values) : null);
  if (!chosen) return <Note>{t("measure.unknown")}</Note>;
  const { indicator, measure } = chosen;
  const district = plan.districts.find(({ code }) => code === params["district"]);
  return (
    <>
      <header class="head">
        <p>
          <a href={linkTo(address, "measure", measure.id, { indicator: indicator.id, period: params["period"] ?? "" })}>
            {t("facts.back", { name: localized(measure.name) })}
          </a>
        </p>
        <h2>
          <i>{indicator.id}</i> {localized(indicator.name)}
        </h2>
        <p class="hint">
          {[
            facts.data && periodName(facts.data.period),
            params["month"],
            district ? localized(district.name) : t("asked.whole"),
            t("facts.as_of", { day: day(view.asOf) }),
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("facts.title")}</h2>
          <Loaded query={facts}>{(data) => <FactTable view={view} data={data} unit={indicator.unit} />}</Loaded>
        </section>
        <section class="card">
          <h2>{t("facts.changes")}</h2>
          <p class="hint">{t("facts.changes.hint")}</p>
          <Loaded query={changes}>
            {(data) => (
              <>
                {(data.changes.length > 0 || data.others?.length === 0) && (
                  <ChangeTable view={view} changes={data.changes} unit={indicator.unit} more={data.next !== null} />
                )}
                <Others counts={data.others} />
              </>
            )}
          </Loaded>
        </section>
      </div>
    </>
  );
}

function contribution({ numerator, denominator }: CountedFact | NumberChange, ratio: boolean, unit: string): string {
  if (ratio) return [numerator, denominator].map((value) => (value ? signed(value, "") : "0")).join(" / ");
  return signed(numerator, unit);
}

function FactTable({ view, data, unit }: { view: View; data: CountedFacts; unit: string }): JSX.Element {
  const [most, setMost] = useState(() => ROWS_AT_FIRST[isWide() ? "wide" : "narrow"]);
  const names = districtNames(view.plan.districts);
  const ratio = data.denominator !== null;
  const after = view.address.params["after"];
  // A single page shows the latest facts first; several pages go on from the earliest.
  const singlePage = !after && !data.next;
  if (!data.facts.length && data.others?.length === 0) return <p class="hint">{t("facts.none")}</p>;
  return (
    <>
      <p>
        {t("facts.sum", {
          sum: ratio ? t("value.parts", { numerator: number(data.numerator), denominator: number(data.denominator) }) : amount(data.numerator, unit),
        })}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("facts.title")}>
        <table class="cards-on-phone">
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
            {(singlePage ? data.facts.slice(-most).reverse() : data.facts.slice(0, most)).map((fact) => (
              <tr key={`${fact.service} ${fact.position} ${fact.district} ${fact.counted_on}`}>
                <td class="keep" data-name={t("facts.on")}>{day(fact.on)}</td>
                <td class="keep" data-name={t("asked.district")}>{names[fact.district] ?? fact.district}</td>
                <td data-name={t("facts.what")}>
                  <div>
                    <code>{fact.subject}</code>
                    <small> {typeName(fact.type)}</small>
                  </div>
                </td>
                <td class="n" data-name={ratio ? t("facts.adds.ratio") : t("facts.adds")}>{contribution(fact, ratio, unit)}</td>
                <td class="keep" data-name={t("facts.known")}><KnownSince view={view} at={fact.recorded_at} /></td>
                <td data-name={t("facts.report")}>
                  <div>
                    <code>{fact.report_id}</code>
                    <small> {fact.report_source}</small>
                    <ReportedBy id={fact.reportedby} />
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Others counts={data.others} />
      <p class="pages">
        {data.facts.length > most ? (
          <button type="button" onClick={() => setMost(PAGE_SIZE)}>
            {t("facts.more", { count: number(data.facts.length - most) })}
          </button>
        ) : (
          data.next && (
            <a class="button" href={withParams(view.address, { after: data.next })}>
              {t("facts.next")}
            </a>
          )
        )}
        {after && (
          <a class="button" href={withParams(view.address, { after: "" })}>
            {t("facts.first")}
          </a>
        )}
      </p>
    </>
  );
}

/** Who reported it: the id of a key, a user of Kafka, or `open`. */
function ReportedBy({ id }: { id: string | null }): JSX.Element | null {
  return id ? <small> {t("facts.reported_by", { id })}</small> : null;
}

/** An instant, linked to the numbers as they were known then. */
function KnownSince({ view, at }: { view: View; at: string }): JSX.Element {
  return (
    <a href={withParams(view.address, { known_at: at })} title={t("facts.as_known")}>
      {instant(at)}
    </a>
  );
}

function ChangeTable({ view, changes, unit, more }: { view: View; changes: NumberChange[]; unit: string; more: boolean }): JSX.Element {
  const names = districtNames(view.plan.districts);
  const ratio = unit === "%" || unit === "per 10,000";
  const [most, setMost] = useState(() => ROWS_AT_FIRST[isWide() ? "wide" : "narrow"]);
  if (!changes.length) return <p>{t("facts.changes.none")}</p>;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("facts.changes")}>
        <table class="cards-on-phone">
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
            {changes.slice(0, most).map((change, index) => (
              <tr key={index}>
                <td class="keep" data-name={t("facts.known")}><KnownSince view={view} at={change.recorded_at} /></td>
                <td class="keep" data-name={t("facts.cause")}>{causeName(change.cause)}</td>
                <td class="keep" data-name={t("asked.district")}>{names[change.district] ?? change.district}</td>
                <td data-name={t("facts.what")}>
                  <div>
                    <code>{change.subject}</code>
                    <small> {typeName(change.type)}</small>
                    <ReportedBy id={change.reportedby} />
                  </div>
                </td>
                <td class="n" data-name={ratio ? t("facts.adds.ratio") : t("facts.adds")}>{contribution(change, ratio, unit)}</td>
                <td class="keep" data-name={t("facts.effective")}>{day(change.effective_on)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {changes.length > most && (
        <p class="pages">
          <button type="button" onClick={() => setMost(changes.length)}>
            {t("facts.more", { count: number(changes.length - most) })}
          </button>
        </p>
      )}
      {more && <p class="hint">{t("facts.changes.more", { count: number(changes.length) })}</p>}
    </>
  );
}
