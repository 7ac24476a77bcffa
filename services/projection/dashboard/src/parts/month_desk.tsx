// A month on the desk: how each district stands, what this key may do now, and the form of what it does.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type DistrictMonth, type MonthAction, monthPath, type MonthState, publish, type RestatementRequest, sourceOf, type Speaker, speaker, speaksFor, tell } from "../api/office";
import { useQuery } from "../api/queries";
import { instant, month as monthText } from "../texts/format";
import { type Key, localized, t } from "../texts/language";
import { Act, type FieldOf } from "./act";
import { SubmittedFigures } from "./month_figures";
import { Loaded } from "./states";
import { cityCode, districtNames, type View } from "./view";

const STATES: Record<DistrictMonth["state"], Key> = { open: "months.open", submitted: "months.submitted", returned: "months.returned", approved: "months.approved" };
const COLOURS: Record<DistrictMonth["state"], string> = { open: "none", submitted: "amber", returned: "red", approved: "green" };
const ACTIONS: Record<Exclude<MonthAction, "withdraw">, Key> = {
  submit: "months.submit",
  approve: "months.approve",
  return: "months.return",
  override: "months.override",
  close: "months.close",
  restate: "months.restate",
  "request-restatement": "months.request",
};

/** What is being done: to a district's month, to the month, or to a request. */
interface Doing {
  action: Exclude<MonthAction, "withdraw"> | "figures";
  on: string;
}

export function MonthDesk({ view, month }: { view: View; month: string }): JSX.Element | null {
  const state = useQuery(monthPath(view.plan.id, month));
  const [by, setBy] = useState<Speaker | null>(null);
  useEffect(() => void speaker().then(setBy), []);
  // Where no gateway answers there is no office, and the published figures are all there is.
  if (state.problem?.status === 404 || !by) return null;
  return <Loaded query={state} lines={6}>{(data) => <Desk key={month} view={view} state={data} by={by} />}</Loaded>;
}

function Desk({ view, state, by }: { view: View; state: MonthState; by: Speaker }): JSX.Element {
  const [doing, setDoing] = useState<Doing | null>(null);
  const names = districtNames(view.plan.districts);
  const open = state.requests.filter(({ request_no: no }) => !state.published.some(({ request_no: made }) => made === no));
  const whole = (["override", "close", "request-restatement"] as const).filter((action) => state.may.includes(action));
  const begin = (action: Doing["action"], on = ""): void => setDoing({ action, on });
  return (
    <section class="card desk">
      <h2>{t("months.title", { month: monthText(state.month) })}</h2>
      <p>
        <span class={`status ${state.state === "closed" ? "met" : "none"}`}>{t(state.state === "closed" ? "months.closed" : "months.not_closed")}</span>{" "}
        {state.state === "open" && state.missing.length > 0 && <span>{t("months.missing", { districts: state.missing.map((code) => names[code] ?? code).join(t("list.comma")) })}</span>}
      </p>
      {state.state === "open" && state.witnesses && !state.witnesses.enough && <p class="why">{localized({ zh: state.witnesses.zh ?? "", en: state.witnesses.en ?? "" })}</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label={t("months.districts")}>
        <table class="cards-on-phone">
          <thead>
            <tr>
              <th scope="col">{t("asked.district")}</th>
              <th scope="col">{t("months.state")}</th>
              <th scope="col">{t("months.last")}</th>
              <th scope="col">{t("months.acts")}</th>
            </tr>
          </thead>
          <tbody>
            {state.districts.map((district) => (
              <DistrictRow key={district.district} district={district} name={names[district.district] ?? district.district} acts={actsOn(district, state, by)} onAct={begin} />
            ))}
          </tbody>
        </table>
      </div>
      {open.length > 0 && <Requests requests={open} may={state.may.includes("restate")} onAct={begin} />}
      {whole.length > 0 && (
        <p class="acts">
          {whole.map((action) => (
            <button key={action} type="button" data-act={action} onClick={() => begin(action)}>
              {t(ACTIONS[action])}
            </button>
          ))}
        </p>
      )}
      {doing && <Doing key={`${doing.action} ${doing.on}`} view={view} state={state} doing={doing} by={by} onDone={() => setDoing(null)} />}
    </section>
  );
}

/** What may be done to a district's month: what the API allows, where the month's state has a use for it. */
function actsOn({ district, state }: DistrictMonth, { may, state: month }: MonthState, by: Speaker): Doing["action"][] {
  const acts: Doing["action"][] = [];
  if (may.includes("submit") && speaksFor(district, by) && (state === "open" || state === "returned")) acts.push("submit");
  if (may.includes("approve") && state === "submitted") acts.push("approve");
  if (may.includes("return") && (state === "submitted" || state === "approved")) acts.push("return");
  return month === "open" ? [...acts, "figures"] : acts;
}

interface RowProps {
  district: DistrictMonth;
  name: string;
  acts: Doing["action"][];
  onAct: (action: Doing["action"], on: string) => void;
}

function DistrictRow({ district: { district, state, needed, by, recorded_at: at, message, items }, name, acts, onAct }: RowProps): JSX.Element {
  return (
    <tr data-district={district} data-state={state}>
      <th scope="row">
        {name} {!needed && <small>{t("months.not_needed")}</small>}
      </th>
      <td data-name={t("months.state")}>
        <span class={`status ${COLOURS[state]}`}>{t(STATES[state])}</span>
      </td>
      <td data-name={t("months.last")}>
        {by && (
          <>
            {by} <small>{instant(at)}</small>
          </>
        )}
        {state === "returned" && message && (
          <p class="why">
            {t("months.returned.why", { message, items: (items ?? []).join(t("list.comma")) })}
          </p>
        )}
      </td>
      <td data-name={t("months.acts")}>
        {acts.length > 0 && (
          <span class="acts">
            {acts.map((action) => (
              <button key={action} type="button" data-act={action} onClick={() => onAct(action, district)}>
                {t(action === "figures" ? "months.figures" : ACTIONS[action])}
              </button>
            ))}
          </span>
        )}
      </td>
    </tr>
  );
}

function Requests({ requests, may, onAct }: { requests: RestatementRequest[]; may: boolean; onAct: (action: Doing["action"], on: string) => void }): JSX.Element {
  return (
    <>
      <h3>{t("months.requests")}</h3>
      <ul class="reports">
        {requests.map(({ request_no: no, by, why, recorded_at: at }) => (
          <li key={no}>
            <div class="what">
              <b>{no}</b>
              <span>{t("closings.by", { by })}</span>
              <small>{instant(at)}</small>
              {may && (
                <button type="button" data-act="restate" onClick={() => onAct("restate", no)}>
                  {t("months.restate")}
                </button>
              )}
            </div>
            {why && <p class="why">{why}</p>}
          </li>
        ))}
      </ul>
    </>
  );
}

interface DoingProps {
  view: View;
  state: MonthState;
  doing: Doing;
  by: Speaker;
  onDone: () => void;
}

/** The form of an act, with the figures that it is about. */
function Doing({ view, state, doing: { action, on }, by, onDone }: DoingProps): JSX.Element {
  const { plan } = view;
  const { month } = state;
  const city = cityCode(plan);
  const name = districtNames(plan.districts)[on] ?? on;
  const district = state.districts.find((each) => each.district === on);
  const figures = district && <SubmittedFigures view={view} to={state.to} district={district} />;
  if (action === "figures") {
    return (
      <>
        <h3>{t("months.figures.of", { district: name })}</h3>
        {figures}
      </>
    );
  }
  const common = { plan: plan.id, month };
  const ofMonth = `month/${plan.id}/${month}`;
  const own = speaksFor(city, by) ? city : (by.sources[0]?.split("/")[2] ?? city);
  const say = (type: string, subject: string, from: string, more: (values: Record<string, string>) => Record<string, unknown> = (values) => values) =>
    (values: Record<string, string>, who: Speaker, id: string) => tell(id, { type, subject, district: from, data: { ...common, ...filled(more(values)) } }, who);
  const take = (act: "close" | "restate", more: Record<string, string> = {}) =>
    (values: Record<string, string>, who: Speaker, id: string) => publish(plan.id, month, act, { ...more, id, source: sourceOf(city, who), by: values["by"] ?? "" });
  const why: FieldOf = { name: "why", label: t("months.why"), long: true };
  const noted: FieldOf = { name: "note", label: t("months.note"), long: true, optional: true };
  const shared = { button: t(ACTIONS[action]), onDone };
  switch (action) {
    case "submit":
      return <Act {...shared} fields={[noted]} act={say("period-submitted", `${ofMonth}/${on}`, on)}><h3>{t("months.submit.of", { district: name })}</h3>{figures}</Act>;
    case "approve":
      return <Act {...shared} fields={[noted]} act={say("period-approved", `${ofMonth}/${on}`, city, (values) => ({ ...values, submitted_by: on }))}><h3>{t("months.approve.of", { district: name })}</h3>{figures}</Act>;
    case "return": {
      const fields: FieldOf[] = [{ name: "items", label: t("months.items") }, { name: "message", label: t("months.message"), long: true }];
      const returned = say("period-returned", `${ofMonth}/${on}`, city, (values) => ({ ...values, submitted_by: on, items: (values["items"] ?? "").split(/[;\uFF1B]/).map((item) => item.trim()).filter(Boolean) }));
      return <Act {...shared} fields={fields} act={returned}><h3>{t("months.return.of", { district: name })}</h3>{figures}</Act>;
    }
    case "override":
      return <Act {...shared} fields={[why]} act={say("close-overridden", ofMonth, city, (values) => ({ ...values, districts: state.missing }))}><p>{t("months.override.is", { districts: state.missing.map((code) => districtNames(plan.districts)[code]).join(t("list.comma")) })}</p></Act>;
    case "close":
      return <Act {...shared} fields={[]} act={take("close")}><p>{t("months.close.is")}</p></Act>;
    case "request-restatement":
      return <Act {...shared} fields={[why]} act={(values, who, id) => say("restatement-requested", `restatement/${plan.id}/${month}/R-${id.slice(-8)}`, own)(values, who, id)}><p>{t("months.request.is")}</p></Act>;
    default:
      return <Act {...shared} fields={[]} act={take("restate", { request_no: on })}><p>{t("months.restate.is", { no: on })}</p></Act>;
  }
}

/** What was left empty is not reported. */
function filled(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}
