// One lead unit: how its targets stand, and each of its measures with the clause and the indicators.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import type { Measure, PlanProgress } from "../api/schema";
import { linkTo } from "../parts/address";
import { isLate, type Row, rowsByIndicator, Sentence } from "../parts/attention";
import { Clause } from "../parts/clause";
import { Asked, noteOn } from "../parts/notes";
import { MeasureCard } from "../parts/measures";
import { Loaded, Note } from "../parts/states";
import { isWide, notesPath, progressPath, type View } from "../parts/view";
import { localized, t } from "../texts/language";

export function BodyPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const name = plan.bodies[address.id];
  const progress = useQuery(name ? progressPath(view) : null);
  if (!name) return <Note>{t("body.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <p>
          <a href={linkTo(address, "bodies")}>{t("body.all")}</a>
        </p>
        <h2>{localized(name)}</h2>
      </header>
      <Loaded query={progress} lines={12}>{(data) => <Measures view={view} progress={data} />}</Loaded>
    </>
  );
}

interface Own {
  measure: Measure;
  rows: Row[];
}

/** Its measures, those with something behind first; the others fold away on a phone. */
function Measures({ view, progress }: { view: View; progress: PlanProgress }): JSX.Element {
  const { plan, address } = view;
  const notes = useQuery(notesPath(view)).data;
  const byId = rowsByIndicator(progress);
  const measures = plan.series
    .flatMap((series) => series.measures)
    .filter(({ lead }) => lead.includes(address.id))
    .map((measure): Own => ({ measure, rows: measure.indicators.flatMap(({ id }) => byId.get(id) ?? []) }));
  const rows = measures.flatMap((each) => each.rows);
  const late = (each: Own): number => each.rows.filter(({ period }) => isLate(period)).length;
  if (!rows.length) return <Note>{t("body.none")}</Note>;
  return (
    <>
      <p class="headline">
        {t("body.standing", { name: localized(plan.bodies[address.id]), measures: measures.length })} <Sentence rows={rows} />
      </p>
      {notes && <Asked view={view} missing={rows.flatMap(({ indicator, period }) => noteOn(notes.missing, indicator.id, period.period, address.params["district"] || null) ?? [])} />}
      <Cards view={view} measures={measures.filter((each) => late(each)).toSorted((a, b) => late(b) - late(a))} />
      <details class="series" open={isWide() || !measures.some(late)}>
        <summary>
          <h2>{t("body.others")}</h2>
        </summary>
        <Cards view={view} measures={measures.filter((each) => !late(each))} />
      </details>
    </>
  );
}

function Cards({ view, measures }: { view: View; measures: Own[] }): JSX.Element {
  return (
    <div class="cards">
      {measures.map(({ measure, rows }) => (
        <MeasureCard key={measure.id} view={view} measure={measure} rows={rows}>
          <details>
            <summary>{t("measure.clause")}</summary>
            <Clause text={measure.text} />
          </details>
        </MeasureCard>
      ))}
    </div>
  );
}
