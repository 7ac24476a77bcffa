// What the numbers are asked for: the plan, the district, the day.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { PlanList } from "../api/schema";
import { day, instant, today } from "../texts/format";
import { localized, t } from "../texts/language";
import { formatHash, type Params, withParams } from "./address";
import { setRunningHead } from "./running_head";
import { Share } from "./share";
import { receiptsOf, type View } from "./view";

/** Receipts, tables, forms, closings and the health of the system have no day to choose. */
function isDated({ address: { page } }: View): boolean {
  return !["receipts", "tables", "forms", "closings", "health", "difference"].includes(page);
}

/** For which district and day the numbers are, and as known when, as paper says it; `at`: when they last came. */
function asked(view: View, at: Date | null): string {
  const { plan, address, asOf } = view;
  const code = { district: address.id, receipts: receiptsOf(view) }[address.page as string] ?? address.params["district"];
  const district = plan.districts.find((candidate) => candidate.code === code);
  const known = address.params["known_at"] ?? at?.toISOString();
  const parts = [
    localized(district?.name) || t("asked.whole"),
    isDated(view) ? t("facts.as_of", { day: day(asOf) }) : "",
    known ? t("picture.known", { at: instant(known) }) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** What the controls say, for paper: below the title, and with the plan at the head of every sheet. */
export function Asked({ view, at }: { view: View; at: Date | null }): JSX.Element {
  const text = asked(view, at);
  const head = `${localized(view.plan.title)} · ${text}`;
  useEffect(() => setRunningHead(head), [head]);
  return <p class="on-paper">{text}</p>;
}

export function Controls({ view, plans }: { view: View; plans: PlanList }): JSX.Element {
  const { plan, address, asOf } = view;
  const go = (params: Params): void => {
    location.hash = withParams(address, params);
  };
  const years: string[] = [];
  for (let year = Number(plan.period.from.slice(0, 4)); year <= Number(plan.period.to.slice(0, 4)); year += 1) years.push(String(year));
  const now = today();
  const dated = isDated(view);
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      {plans.plans.length > 1 && (
        <label>
          <span>{t("nav.plan")}</span>
          <select value={plan.id} onChange={(event) => { location.hash = formatHash({ plan: event.currentTarget.value, page: "overview", id: "", params: { as_of: asOf } }); }}>
            {plans.plans.map(({ id, title }) => (
              <option key={id} value={id}>
                {localized(title)}
              </option>
            ))}
          </select>
        </label>
      )}
      {(dated || address.page === "closings") && <label>
        <span>{t("asked.district")}</span>
        <select value={address.params["district"] ?? ""} onChange={(event) => go({ district: event.currentTarget.value })}>
          <option value="">{t("asked.whole")}</option>
          {plan.districts.map(({ code, name }) => (
            <option key={code} value={code}>
              {localized(name)}
            </option>
          ))}
        </select>
      </label>}
      {dated && <label>
        <span>{t("asked.as_of")}</span>
        <input type="date" value={asOf} onChange={(event) => event.currentTarget.value && go({ as_of: event.currentTarget.value })} />
      </label>}
      {dated && <span class="days">
        {years
          .filter((year) => `${year}-12-31` < now)
          .map((year) => (
            <a key={year} href={withParams(address, { as_of: `${year}-12-31` })} aria-current={asOf === `${year}-12-31` ? "true" : undefined}>
              {t("asked.year_end", { year })}
            </a>
          ))}
        <a href={withParams(address, { as_of: now })} aria-current={asOf === now ? "true" : undefined}>
          {t(plans.example_day ? "asked.example" : "asked.today")}
        </a>
      </span>}
      {dated && address.params["known_at"] && (
        <p class="filter">
          {t("asked.known_at", { at: instant(address.params["known_at"]) })} <a href={withParams(address, { known_at: "" })}>{t("asked.known_now")}</a>
        </p>
      )}
      <Share view={view} />
    </form>
  );
}
