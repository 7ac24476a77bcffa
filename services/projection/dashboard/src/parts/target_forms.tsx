// The forms by which a target is revised, with what that changes, and split into parts, with proposals that add up.
import type { JSX } from "preact";
import { type IndicatorTargets, type PeriodTargets, type Speaker, tell } from "../api/office";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { Receipt } from "../api/tables";
import { number, percent, reached, targetText, today } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName } from "../texts/names";
import { Act, type FieldOf, type Proposal } from "./act";
import { latestPeriod } from "./figures";
import { sharedBy } from "./standing";
import { cityCode, matrixPath, type View } from "./view";

const FEN = 100;
const MONTHS = 12;
const OPS = [">=", ">", "=", "range"] as const;

interface Props {
  view: View;
  indicator: IndicatorTargets;
  onDone: () => void;
}

/** What is typed for a figure, as the contract has it: money in fen; undefined where there is none, or no number yet. */
function figure(filled: string | undefined, unit: string): number | undefined {
  const value = Number(filled?.trim() || Number.NaN);
  return Number.isNaN(value) ? undefined : unit === "fen" ? Math.round(value * FEN) : value;
}

function typed(value: number, unit: string): string {
  return String(unit === "fen" ? value / FEN : value);
}

function known(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined && value !== ""));
}

export function ReviseForm({ view, indicator, onDone }: Props): JSX.Element {
  const { plan } = view;
  const { unit } = indicator;
  const progress = useQuery(pathOf("/v1/plans/{plan}/progress", { plan: plan.id, as_of: view.asOf }));
  const current = indicator.periods.at(-1)?.target;
  const fields: FieldOf[] = [
    { name: "district", label: t("asked.district"), optional: true, choices: [["", t("asked.whole")], ...plan.districts.filter(({ city }) => !city).map(({ code, name }): [string, string] => [code, localized(name)])] },
    { name: "op", label: t("targets.op"), value: current?.op && current.op !== "all" ? current.op : ">=", choices: OPS.map((op) => [op, op === "range" ? t("targets.op.range") : op]) },
    { name: "value", label: t(unit === "fen" ? "targets.value.yuan" : "targets.value"), type: "number" },
    { name: "upper", label: t("targets.upper"), type: "number", optional: true },
    { name: "effective_from", label: t("targets.from"), type: "date", value: today() },
    { name: "clause", label: t("targets.clause"), optional: true },
    { name: "why", label: t("months.why"), long: true, optional: true },
  ];
  const act = (values: Record<string, string>, by: Speaker, id: string): Promise<Receipt> => {
    const data = known({ ...values, plan: plan.id, indicator: indicator.id, value: figure(values["value"], unit), upper: figure(values["upper"], unit) });
    return tell(id, { type: "target-revised", subject: `target/${plan.id}/${indicator.id}`, district: cityCode(plan), data }, by);
  };
  const preview = (values: Record<string, string>): JSX.Element | null => {
    const next = figure(values["value"], unit);
    if (next === undefined || values["district"]) return null;
    const row = progress.data?.indicators.find(({ id }) => id === indicator.id);
    const period = row && latestPeriod(row);
    const before = period?.target;
    const after = { op: values["op"] as (typeof OPS)[number], value: next, upper: null };
    const parts = indicator.periods.find(({ period: name }) => name === period?.period)?.sum_of_districts ?? null;
    return (
      <div class="why preview">
        <p>{t("targets.preview", { before: targetText(before ?? null, unit), after: targetText(after, unit) })}</p>
        {period && period.value !== null && before && (
          <p>{t("targets.preview.progress", { period: periodName(period.period), value: reached(period.value, unit), before: percent(period.progress), after: next ? percent(period.value / next) : t("targets.preview.none") })}</p>
        )}
        {parts !== null && parts !== next && <p>{t("targets.preview.parts", { gap: targetText({ op: "=", value: next - parts, upper: null }, unit).slice(2) })}</p>}
      </div>
    );
  };
  return (
    <Act fields={fields} button={t("targets.revise")} act={act} preview={preview} onDone={onDone}>
      <h3>{t("targets.revise")}</h3>
    </Act>
  );
}

/** Whole numbers in proportion to weights that come to the total: what is left over goes to the largest remainders. */
function shared(total: number, weights: number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!sum) return weights.map(() => 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const floors = exact.map(Math.floor);
  let left = Math.round(total - floors.reduce((a, b) => a + b, 0));
  const order = exact.map((value, at) => [value - floors[at]!, at] as const).toSorted((a, b) => b[0] - a[0]);
  for (const [, at] of order) {
    if (left <= 0) break;
    floors[at]! += 1;
    left -= 1;
  }
  return floors;
}

export function SplitForm({ view, indicator, over, onDone }: Props & { over: "districts" | "months" }): JSX.Element {
  const splittable = indicator.periods.filter(({ target }) => target?.value);
  const period = splittable.find(({ period: name }) => name === view.asOf.slice(0, 4)) ?? splittable.at(-1);
  if (!period?.target?.value) return <p class="hint">{t("targets.split.none")}</p>;
  return <Grid view={view} indicator={indicator} over={over} period={period} goal={period.target.value} onDone={onDone} />;
}

function monthNames({ period }: PeriodTargets, view: View): string[] {
  const year = Number(period);
  return Array.from({ length: MONTHS }, (_, at) => `${year}-${String(at + 1).padStart(2, "0")}`).filter((name) => name >= view.plan.period.from.slice(0, 7) && name <= view.plan.period.to.slice(0, 7));
}

function Grid({ view, indicator, over, period, goal, onDone }: Props & { over: "districts" | "months"; period: PeriodTargets; goal: number }): JSX.Element {
  const { plan } = view;
  const { unit } = indicator;
  const keys = over === "months" ? monthNames(period, view) : plan.districts.filter(({ city }) => !city).map(({ code }) => code);
  const before = String(Number(period.period) - 1);
  const hasBefore = indicator.periods.some(({ period: name }) => name === before);
  const matrix = useQuery(over === "districts" ? matrixPath(view) : null);
  const place = { plan: plan.id, indicator: indicator.id, period: before, as_of: `${before}-12-31` };
  const ranking = useQuery(hasBefore && over === "districts" ? pathOf("/v1/plans/{plan}/indicators/{indicator}/districts", place) : null);
  const months = useQuery(hasBefore && over === "months" ? pathOf("/v1/plans/{plan}/indicators/{indicator}/months", place) : null);
  const present = over === "months" ? (period.target?.months ?? {}) : Object.fromEntries(Object.entries(period.districts).map(([code, { value }]) => [code, value ?? 0]));
  const fields: FieldOf[] = [
    ...keys.map((key): FieldOf => ({ name: key, optional: true, short: true, type: "number", label: over === "months" ? key : localized(plan.districts.find(({ code }) => code === key)?.name), value: present[key] === undefined ? "" : typed(present[key], unit) })),
    { name: "effective_from", label: t("targets.from"), type: "date", value: /^\d{4}$/.test(period.period) ? `${period.period}-01-01` : today() },
    { name: "why", label: t("months.why"), long: true, optional: true },
    { name: "difference", also: "parts", label: t("targets.difference"), type: "number", optional: true },
  ];
  const proposal = (label: string, weights: number[]): Proposal[] =>
    weights.some((weight) => weight > 0) ? [{ label, values: Object.fromEntries(shared(goal, weights).map((part, at) => [keys[at]!, typed(part, unit)])) }] : [];
  const shares = matrix.data?.shared_by;
  const lastYear = over === "months"
    ? keys.map((key) => months.data?.months.find(({ month }) => month === key.replace(period.period, before))?.value ?? 0)
    : keys.map((key) => ranking.data?.districts.find(({ code }) => code === key)?.value ?? 0);
  const proposals = [
    ...proposal(t("targets.equal"), keys.map(() => 1)),
    ...(shares?.by === "population" ? proposal(sharedBy(shares), keys.map((key) => shares.shares[key] ?? 0)) : []),
    ...proposal(t("targets.last_year", { year: before }), lastYear),
  ];
  const partsOf = (values: Record<string, string>): Record<string, number> =>
    Object.fromEntries(keys.flatMap((key): [string, number][] => {
      const part = figure(values[key], unit);
      return part === undefined ? [] : [[key, part]];
    }));
  const act = (values: Record<string, string>, by: Speaker, id: string): Promise<Receipt> => {
    const { by: who, why, effective_from: from } = values;
    const data = known({ plan: plan.id, indicator: indicator.id, period: period.period, over, parts: partsOf(values), difference: figure(values["difference"], unit), effective_from: from, by: who, why });
    return tell(id, { type: "target-split", subject: `split/${plan.id}/${indicator.id}/${period.period}/${over}`, district: cityCode(plan), data }, by);
  };
  const preview = (values: Record<string, string>): JSX.Element => {
    const sum = Object.values(partsOf(values)).reduce((all, part) => all + part, 0);
    const plain = (value: number): string => (unit === "fen" ? number(value / FEN, 2) : number(value, 2));
    return <p class={`sum${sum === goal ? "" : " red"}`} data-gap={goal - sum}>{t("targets.sum", { sum: plain(sum), goal: plain(goal), gap: plain(goal - sum) })}</p>;
  };
  return (
    <Act fields={fields} button={t("targets.split")} act={act} proposals={proposals} preview={preview} onDone={onDone}>
      <h3>{t(over === "months" ? "targets.split.months.of" : "targets.split.districts.of", { period: periodName(period.period) })}</h3>
    </Act>
  );
}
