// Why a number moved after it was first counted: by cause, district and month, and what has come since it was published.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { IndicatorProgress, NumberChange, NumberChanges } from "../api/schema";
import { month, movement, number, signed } from "../texts/format";
import { localized, t } from "../texts/language";
import { causeName } from "../texts/names";
import { linkTo, pick } from "./address";
import { Others } from "./others";
import { Loaded } from "./states";
import type { View } from "./view";

const MOST = 500;
const ROWS = 12;
const EAST_HOURS = 8;

interface Props {
  view: View;
  indicator: IndicatorProgress;
  period: string;
}

export function WhyMoved({ view, indicator, period }: Props): JSX.Element {
  const { plan, address } = view;
  const values = { plan: plan.id, indicator: indicator.id, period, limit: String(MOST), ...pick(address.params, "as_of", "known_at", "district") };
  const changes = useQuery(pathOf("/v1/plans/{plan}/indicators/{indicator}/changes", values));
  return (
    <>
      <Loaded query={changes} lines={4}>{(data) => <Changes view={view} unit={indicator.unit} changes={data} />}</Loaded>
      <SincePublished view={view} indicator={indicator} />
      <p>
        <a href={linkTo(address, "facts", indicator.id, { period })}>{t("measure.facts")}</a>
      </p>
    </>
  );
}

/** The month (YYYY-MM) of an instant in the city's time. */
function monthOf(instant: string): string {
  return new Date(Date.parse(instant) + EAST_HOURS * 3_600_000).toISOString().slice(0, 7);
}

interface Group {
  cause: string;
  district: string;
  month: string;
  known: string;
  facts: number;
  numerator: number;
  denominator: number;
}

/** Changes by cause, district, the month they count in and the month they came to be known in; the latest first. */
function grouped(changes: NumberChange[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { cause, district, effective_on, recorded_at, numerator, denominator } of changes) {
    const names = { cause, district, month: effective_on.slice(0, 7), known: monthOf(recorded_at) };
    const key = Object.values(names).join(" ");
    const group = groups.get(key) ?? { ...names, facts: 0, numerator: 0, denominator: 0 };
    groups.set(key, { ...group, facts: group.facts + 1, numerator: group.numerator + numerator, denominator: group.denominator + denominator });
  }
  return [...groups.values()];
}

function Changes({ view, unit, changes }: { view: View; unit: string; changes: NumberChanges }): JSX.Element {
  const { changes: own, others } = changes;
  if (!own.length && !others?.length) return <p class="hint">{t("why.none")}</p>;
  const groups = grouped(own);
  const names = Object.fromEntries(view.plan.districts.map(({ code, name }) => [code, localized(name)]));
  // Sums of a ratio are people or things, not its unit: only money keeps its unit.
  const plain = unit === "fen" ? unit : "";
  const rows = (some: Group[]): JSX.Element => (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("why.title")}>
      <table class="cards-on-phone">
        <thead>
          <tr>
            <th scope="col">{t("why.cause")}</th>
            <th scope="col">{t("asked.district")}</th>
            <th scope="col">{t("why.month")}</th>
            <th scope="col">{t("why.known")}</th>
            <th scope="col" class="n">{t("why.facts")}</th>
            <th scope="col" class="n">{t("why.moved")}</th>
          </tr>
        </thead>
        <tbody>
          {some.map((group) => (
            <tr key={`${group.cause} ${group.district} ${group.month} ${group.known}`}>
              <th scope="row">{causeName(group.cause)}</th>
              <td data-name={t("asked.district")}>{names[group.district] ?? group.district}</td>
              <td class="keep" data-name={t("why.month")}>{month(group.month)}</td>
              <td class="keep" data-name={t("why.known")}>{month(group.known)}</td>
              <td class="n" data-name={t("why.facts")}>{number(group.facts)}</td>
              <td class="n" data-name={t("why.moved")}>
                {signed(group.numerator, plain)}
                {group.denominator !== 0 && <small> / {signed(group.denominator, plain)}</small>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
  return (
    <>
      <p class="hint">{t("why.hint")}</p>
      {groups.length > 0 && rows(groups.slice(0, ROWS))}
      {groups.length > ROWS && (
        <details>
          <summary>{t("overview.attention.all", { count: groups.length })}</summary>
          {rows(groups.slice(ROWS))}
        </details>
      )}
      {changes.next && <p class="hint">{t("why.more", { count: MOST })}</p>}
      <Others counts={others} />
    </>
  );
}

/** What has moved the last published figure, what was reported late among it; requested once it is opened. */
function SincePublished({ view, indicator }: { view: View; indicator: IndicatorProgress }): JSX.Element | null {
  const { plan, address } = view;
  const [open, setOpen] = useState(false);
  const closings = useQuery(pathOf("/v1/plans/{plan}/closings", { plan: plan.id }));
  const last = closings.data?.months.findLast(({ as_of }) => as_of <= view.asOf)?.month;
  const values = { plan: plan.id, month: last ?? "", ...pick(address.params, "district") };
  const closing = useQuery(open && last ? pathOf("/v1/plans/{plan}/closings/{month}", values) : null);
  if (!last) return null;
  const plain = indicator.unit === "fen" ? "fen" : "";
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{t("why.since", { month: month(last) })}</summary>
      {open && (
        <Loaded query={closing} lines={2}>
          {(data) => {
            const causes = Object.entries(data.figures.find((figure) => figure.indicator === indicator.id)?.after_close.by_cause ?? {});
            if (!causes.length) return <p class="hint">{t("why.since.none")}</p>;
            return (
              <dl class="lines">
                {causes.map(([cause, moved]) => (
                  <div key={cause}>
                    <dt>{cause === "original" ? t("why.late") : causeName(cause)}</dt>
                    <dd>
                      {movement(moved, plain)}
                    </dd>
                  </div>
                ))}
              </dl>
            );
          }}
        </Loaded>
      )}
      <p>
        <a href={linkTo(address, "closings", last)}>{t("nav.closings")} →</a>
      </p>
    </details>
  );
}
