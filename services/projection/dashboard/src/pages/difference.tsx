// What a generation that stands beside the numbers would change, until somebody accepts it or lets it go.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { ChangedCell, ChangedFact, Difference } from "../api/schema";
import { linkTo } from "../parts/address";
import { Loaded, Note } from "../parts/states";
import { districtNames, indicatorsById, type View } from "../parts/view";
import { amount, number, signed } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName, serviceName, typeName } from "../texts/names";

export function DifferencePage({ view }: { view: View }): JSX.Element {
  const query = useQuery(pathOf("/v1/difference", {}));
  return (
    <>
      <header class="head">
        <h2>{t("difference.title")}</h2>
        <p class="hint">{t("difference.hint")}</p>
      </header>
      <Loaded query={query} lines={10}>
        {({ difference }) => (difference ? <Beside view={view} difference={difference} /> : <Note>{t("difference.none")}</Note>)}
      </Loaded>
    </>
  );
}

function Beside({ view, difference }: { view: View; difference: Difference }): JSX.Element {
  const { code, cells, facts, read, beside } = difference;
  const own = cells.filter(({ plan }) => plan === view.plan.id);
  return (
    <div class="stack">
      <section class="card">
        <p>{t("difference.about", { cells: number(cells.length), facts: number(facts), read: number(read), beside: number(beside) })}</p>
        <p>
          {t("difference.accept")} <code>make rebuild ACCEPT={code}</code>
        </p>
        <p>
          {t("difference.back")} <code>make rebuild BACK=1</code>
        </p>
        {own.length < cells.length && <p class="hint">{t("difference.others", { count: number(cells.length - own.length) })}</p>}
      </section>
      {own.length > 0 && <Cells view={view} cells={own} />}
    </div>
  );
}

function Cells({ view, cells }: { view: View; cells: ChangedCell[] }): JSX.Element {
  const indicators = indicatorsById(view.plan);
  const districts = districtNames(view.plan.districts);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("difference.title")}>
      <table class="cards-on-phone">
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            <th scope="col">{t("asked.period")}</th>
            <th scope="col">{t("asked.district")}</th>
            <th scope="col">{t("difference.side")}</th>
            <th scope="col" class="n">{t("difference.before")}</th>
            <th scope="col" class="n">{t("difference.after")}</th>
            <th scope="col">{t("difference.because")}</th>
          </tr>
        </thead>
        <tbody>
          {cells.map((cell) => {
            const placed = indicators.get(cell.indicator);
            const unit = placed?.indicator.unit === "fen" ? "fen" : "";
            return (
              <tr key={`${cell.indicator} ${cell.side} ${cell.period} ${cell.district}`}>
                <th scope="row">
                  <a href={linkTo(view.address, "measure", placed?.measure.id ?? "", { indicator: cell.indicator })}>
                    {cell.indicator} {localized(placed?.indicator.name)}
                  </a>
                </th>
                <td data-name={t("asked.period")}>{periodName(cell.period ? String(cell.period) : "plan")}</td>
                <td data-name={t("asked.district")}>{districts[cell.district] ?? cell.district}</td>
                <td data-name={t("difference.side")}>{t(cell.side === "numerator" ? "difference.numerator" : "difference.denominator")}</td>
                <td class="n" data-name={t("difference.before")}>{amount(cell.before, unit)}</td>
                <td class="n" data-name={t("difference.after")}>
                  <b>{amount(cell.after, unit)}</b> <small>({signed(cell.after - cell.before, unit)})</small>
                </td>
                <td data-name={t("difference.because")}>
                  <details>
                    <summary>{t("difference.facts", { count: number(cell.facts) })}</summary>
                    <ul class="reports">
                      {cell.because.map((fact) => (
                        <Because key={`${fact.service} ${fact.position}`} fact={fact} unit={unit} />
                      ))}
                    </ul>
                    {cell.facts > cell.because.length && <p class="hint">{t("difference.more", { count: number(cell.facts - cell.because.length) })}</p>}
                  </details>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Because({ fact, unit }: { fact: ChangedFact; unit: string }): JSX.Element {
  return (
    <li>
      <div class="what">
        <b>
          {amount(fact.before, unit)} → {amount(fact.after, unit)}
        </b>
        <span>{typeName(fact.type)}</span>
        <code>{fact.subject}</code>
        <small>
          {serviceName(fact.service)} {number(fact.position)} · {fact.id}
        </small>
      </div>
    </li>
  );
}
