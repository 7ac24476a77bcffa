// The first page: how many targets are behind, which ones, and then every measure by series.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import type { PlanProgress } from "../api/schema";
import { withParams } from "../parts/address";
import { Attention, Headline, isLate, type Row, rowsByIndicator } from "../parts/attention";
import { AchievementMap } from "../parts/achievement";
import { MeasureCard } from "../parts/measures";
import { Mark, type Signal, signalMeaning, signalName, SIGNALS } from "../parts/signals";
import { Standing, useUnsplit } from "../parts/standing";
import { Loaded, Note } from "../parts/states";
import { isWide, matrixPath, progressPath, type View } from "../parts/view";
import { day } from "../texts/format";
import { localized, t } from "../texts/language";

/** The value of the parameter `signal` that selects both red and amber. */
const LATE = "late";
/** What a tile counts: a signal, or in a district the targets of the whole that are not split to it. */
type Tile = Signal | "unsplit";

export function OverviewPage({ view }: { view: View }): JSX.Element {
  const progress = useQuery(progressPath(view));
  return <Loaded query={progress} lines={14}>{(data) => <Board view={view} progress={data} />}</Loaded>;
}

function Board({ view, progress }: { view: View; progress: PlanProgress }): JSX.Element {
  const { plan, address } = view;
  const district = address.params["district"] ?? "";
  const matrix = useQuery(matrixPath(view));
  const unsplit = matrix.data?.districts.find(({ code }) => code === district)?.unsplit ?? 0;
  const byId = rowsByIndicator(progress);
  const latest = [...byId.values()];
  if (view.asOf < plan.period.from || !latest.length) return <Note>{t("state.before", { day: day(plan.period.from) })}</Note>;
  const wide = isWide();
  const unsplitOf = useUnsplit(view);
  const tileOf = (row: Row): Tile => (unsplitOf(row) ? "unsplit" : row.period.signal);
  const tiles: Tile[] = unsplit ? [...SIGNALS, "unsplit"] : [...SIGNALS];
  const only = tiles.find((tile) => tile === address.params["signal"]);
  const late = address.params["signal"] === LATE;
  const matches = (row: Row): boolean => (late ? isLate(row.period) : !only || tileOf(row) === only);
  const counts = new Map<Tile, number>(tiles.map((tile) => [tile, 0]));
  for (const row of latest) counts.set(tileOf(row), (counts.get(tileOf(row)) ?? 0) + 1);
  const empty = Object.values(progress.complete_to).every((log) => log.position === 0);

  return (
    <>
      <section class="hero" aria-label={t("signal.counts")}>
        {district ? matrix.data && <Standing matrix={matrix.data} district={district} /> : <Headline view={view} progress={progress} rows={latest} />}
        {(!unsplit || latest.some(({ period }) => period.target)) && <div class="counts">
          {tiles.map((tile) => (
            <a
              key={tile}
              class={`count ${markOf(tile)}`}
              href={withParams(address, { signal: only === tile ? "" : tile })}
              aria-current={only === tile ? "true" : undefined}
            >
              <b>{counts.get(tile)}</b>
              <span>
                <Mark signal={markOf(tile)} />
                {tileName(tile)}
              </span>
              <small>{tile === "unsplit" ? t("signal.unsplit.long") : signalMeaning(tile)}</small>
            </a>
          ))}
        </div>}
        {view.asOf > plan.period.to && <p class="hint">{t("state.ended", { day: day(plan.period.to) })}</p>}
        {empty && <Note title={t("state.empty.title")}>{t("state.empty.text")}</Note>}
        <div class="first">
          <Attention view={view} rows={latest} all={withParams(address, { signal: LATE })} unsplit={unsplit > 0} />
          <div class="card">
            <h2>{t("map.title", { city: localized(plan.city) })}</h2>
            <Loaded query={matrix} lines={12}>
              {(data) => (
                <AchievementMap
                  view={view}
                  matrix={data}
                  by=""
                  chosen={district}
                  href={(code) => withParams(address, { district: code === district ? "" : code })}
                />
              )}
            </Loaded>
          </div>
        </div>
      </section>
      {(only || late) && (
        <p class="filter" ref={scrollTo} key={address.params["signal"]}>
          {t("overview.only", { signal: only ? tileName(only) : t("overview.late") })} <a href={withParams(address, { signal: "" })}>{t("overview.show_all")}</a>
        </p>
      )}
      {plan.series.map((series) => {
        const measures = series.measures
          .map((measure) => ({
            measure,
            rows: measure.indicators.flatMap(({ id }) => byId.get(id) ?? []).filter(matches),
          }))
          .filter(({ rows }) => rows.length);
        if (!measures.length) return null;
        return (
          <details key={series.id} class="series" open={wide || only !== undefined || late}>
            <summary>
            <h2>
              <i>{series.id}</i> {localized(series.name)}
              <small>{t("overview.measures", { count: measures.length })}</small>
            </h2>
            </summary>
            <div class="cards">
              {measures.map(({ measure, rows }) => (
                <MeasureCard key={measure.id} view={view} measure={measure} rows={rows} unfolded={only === "none"} />
              ))}
            </div>
          </details>
        );
      })}
    </>
  );
}

function markOf(tile: Tile): Signal {
  return tile === "unsplit" ? "none" : tile;
}

function tileName(tile: Tile): string {
  return tile === "unsplit" ? t("signal.unsplit") : signalName(tile);
}

/** Bring what a tile selects into sight. */
function scrollTo(element: HTMLElement | null): void {
  if (element && element.getBoundingClientRect().top > innerHeight / 2) element.scrollIntoView({ block: "start" });
}
