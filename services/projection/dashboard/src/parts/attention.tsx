// The first screen in words: how the targets stand, what this month changed, and which of them need attention.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { CellNote, DistrictMatrix, IndicatorProgress, MatrixCell, PeriodProgress, Plan, PlanProgress } from "../api/schema";
import { achieved, expectedText, month, number, unitName } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName } from "../texts/names";
import { linkTo, pick } from "./address";
import { latestPeriod } from "./figures";
import { noteOn } from "./notes";
import { Mark } from "./signals";
import { Spark } from "./spark";
import { districtNames, findMeasure, isWide, leadBody, matrixPath, notesPath, type View } from "./view";

const ATTENTION_ROWS = { wide: 8, narrow: 6 };

/** An indicator with its latest period. */
export interface Row {
  indicator: IndicatorProgress;
  period: PeriodProgress;
}

/** Every indicator that has begun, in its latest period, by its id. */
export function rowsByIndicator(progress: PlanProgress): Map<string, Row> {
  return new Map(
    progress.indicators.flatMap((indicator): [string, Row][] => {
      const period = latestPeriod(indicator);
      return period ? [[indicator.id, { indicator, period }]] : [];
    }),
  );
}

export function isLate({ signal }: PeriodProgress): boolean {
  return signal === "red" || signal === "amber";
}

/** The value as a share of the expected one; 1 where nothing is expected. */
function expectedShare(period: PeriodProgress): number {
  return period.expected && period.value !== null ? period.value / period.expected : 1;
}

/** The last day (YYYY-MM-DD) before the month of a day. */
function endOfMonthBefore(day: string): string {
  const [year, ordinal] = day.split("-").map(Number) as [number, number];
  return new Date(Date.UTC(year, ordinal - 1, 0)).toISOString().slice(0, 10);
}

/** One sentence on how the targets stand, and one on what the running month changed. */
export function Headline({ view, progress, rows }: { view: View; progress: PlanProgress; rows: Row[] }): JSX.Element {
  const { plan, address } = view;
  const before = endOfMonthBefore(progress.as_of);
  const path = pathOf("/v1/plans/{plan}/progress", { plan: plan.id, ...pick(address.params, "known_at", "district"), as_of: before });
  const last = useQuery(before >= plan.period.from && progress.as_of <= plan.period.to ? path : null);
  return (
    <p class="headline">
      <Sentence rows={rows} /> {last.data && changesText(rows, last.data, progress.as_of.slice(0, 7))}
    </p>
  );
}

/** How the targets among some indicators stand. */
export function Sentence({ rows }: { rows: Row[] }): JSX.Element {
  const judged = rows.filter(({ period }) => period.target);
  const count = (...signals: PeriodProgress["signal"][]): string => number(judged.filter(({ period }) => signals.includes(period.signal)).length);
  const unjudged = judged.some(({ period }) => period.signal === "none");
  return (
    <>
      {t("overview.standing", { all: number(judged.length), met: count("met"), green: count("green"), late: count("red", "amber") })}{" "}
      {unjudged && t("overview.unjudged", { count: count("none") })}
    </>
  );
}

/** What moved since the end of the month before, of periods that had begun by then. */
function changesText(rows: Row[], last: PlanProgress, running: string): string {
  const earlier = new Map(last.indicators.map((indicator) => [indicator.id, latestPeriod(indicator)]));
  const pairs = rows.flatMap(({ indicator, period }) => {
    const old = earlier.get(indicator.id);
    return old && old.period === period.period ? [{ old, period }] : [];
  });
  const moved = pairs.filter(({ old, period }) => old.value !== period.value);
  const name = month(running);
  if (!moved.length) return t("overview.unmoved", { month: name });
  const met = pairs.filter(({ old, period }) => period.signal === "met" && old.signal !== "met");
  const late = pairs.filter(({ old, period }) => isLate(period) && !isLate(old));
  return t("overview.moved", { month: name, moved: number(moved.length), met: number(met.length), late: number(late.length) });
}

/** The indicators farthest behind what was expected by now; `all` leads to the others.
 * `unsplit`: targets of the whole are not split to the district, so that nothing behind does not mean all well. */
export function Attention({ view, rows, all, unsplit }: { view: View; rows: Row[]; all: string; unsplit: boolean }): JSX.Element {
  const { address } = view;
  const notes = useQuery(notesPath(view));
  // One answer for every row; the map on the page asks for it anyway.
  const matrix = useQuery(address.params["district"] ? null : matrixPath(view));
  const most = ATTENTION_ROWS[isWide() ? "wide" : "narrow"];
  const worst = rows.filter(({ period }) => isLate(period)).sort((a, b) => expectedShare(a.period) - expectedShare(b.period));
  return (
    <div class="card attention">
      <h2>{t("overview.attention")}</h2>
      {worst.length === 0 && !unsplit && <p class="hint">{t("overview.attention.none")}</p>}
      {unsplit && (
        <p class="hint">
          {t("overview.attention.unsplit")} <a href={linkTo(view.address, "district", view.address.params["district"] ?? "")}>{t("standing.see")}</a>
        </p>
      )}
      <ol>
        {worst.slice(0, most).map((row) => (
          <AttentionRow key={row.indicator.id} view={view} matrix={matrix.data} note={noteOn(notes.data?.notes ?? [], row.indicator.id, row.period.period, address.params["district"] || null)} {...row} />
        ))}
      </ol>
      {worst.length > most && (
        <a class="more" href={all}>
          {t("overview.attention.all", { count: worst.length })}
        </a>
      )}
    </div>
  );
}

function AttentionRow({ view, indicator, period, note, matrix }: Row & { view: View; note: CellNote | undefined; matrix: DistrictMatrix | undefined }): JSX.Element {
  const { plan, address } = view;
  const values = { plan: plan.id, indicator: indicator.id, ...pick(address.params, "as_of", "known_at") };
  const months = useQuery(pathOf("/v1/plans/{plan}/indicators/{indicator}/months", { ...values, ...pick(address.params, "district") }));
  const measure = findMeasure(plan, indicator.measure);
  const gap = largestGap(plan, matrix?.indicators.find(({ id }) => id === indicator.id)?.districts ?? []);
  return (
    <li>
      <a href={linkTo(address, "measure", indicator.measure, { indicator: indicator.id })}>
        <Mark signal={period.signal} />
        <span class="name">
          <i>{indicator.id}</i> {localized(indicator.name)}
          <small>
            {[periodName(period.period), measure && leadBody(plan, measure)].filter(Boolean).join(" · ")}
            {gap && ` · ${t(gap.own ? "overview.heaviest" : "overview.heaviest.share", { district: gap.district })}`}
          </small>
          {note && <small class="noted" translate={false}>{t("notes.because", { cause: note.cause })}</small>}
        </span>
        {months.data && <Spark values={months.data.months.map((row) => row.cumulative)} />}
        <span class="figures">
          <b>{achieved(period, indicator.unit)}</b> <small class="unit">{unitName(indicator.unit, plan.units)}</small>
          <small>{t("overview.of_expected", { expected: expectedText(period, indicator.unit) })}</small>
        </span>
      </a>
    </li>
  );
}

/** The district that lacks most of what was expected of it by now: by its own target, else (not `own`) by its indicative
 * share; null where none lacks anything. */
function largestGap({ districts }: Plan, cells: MatrixCell[]): { district: string; own: boolean } | null {
  const own = cells.some(({ target }) => target);
  const names = districtNames(districts.filter(({ city }) => !city));
  const gaps = cells.flatMap(({ district, value, expected, indicative }) => {
    const name = names[district ?? ""];
    const due = own ? expected : indicative?.expected;
    return name && due && value !== null ? [{ district: name, own, lacks: due - value }] : [];
  });
  const [largest] = gaps.toSorted((a, b) => b.lacks - a.lacks);
  return largest && largest.lacks > 0 ? largest : null;
}
