// Beside a number: why it stands as it does and what is done next; asked for where it has turned red.
import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { MissingNote, CellNote, NoteText } from "../api/schema";
import { instant, month, number } from "../texts/format";
import { t } from "../texts/language";
import { framed, linkTo, pick } from "./address";
import type { NoteForm } from "./note_form";
import { Loaded } from "./states";
import { cityCode, districtNames, indicatorsById, type View } from "./view";

function Written({ note }: { note: NoteText }): JSX.Element {
  return (
    <>
      <dl class="lines note">
        <div>
          <dt>{t("notes.cause")}</dt>
          <dd translate={false}>{note.cause}</dd>
        </div>
        <div>
          <dt>{t("notes.next")}</dt>
          <dd translate={false}>{note.next_step}</dd>
        </div>
      </dl>
      <p class="hint">
        {t("notes.by", { by: note.by, at: instant(note.recorded_at) })}
        {note.reportedby && note.reportedby !== "open" && (
          <>
            {" "}
            · {t("notes.key")} <code>{note.reportedby}</code>
          </>
        )}
      </p>
    </>
  );
}

function NoteOf({ note }: { note: CellNote }): JSX.Element {
  return (
    <>
      <Written note={note} />
      {note.earlier.length > 0 && (
        <details>
          <summary>{t("notes.earlier", { count: number(note.earlier.length) })}</summary>
          {note.earlier.map((each) => (
            <Written key={each.recorded_at} note={each} />
          ))}
        </details>
      )}
    </>
  );
}

interface Props {
  view: View;
  indicator: string;
  period: string;
}

/** The note on one cell, those of the districts under it where it is the whole's, and the form of who may write. */
export function Notes({ view, indicator, period }: Props): JSX.Element {
  const { plan, address } = view;
  const district = address.params["district"] || null;
  const query = useQuery(pathOf("/v1/plans/{plan}/notes", { plan: plan.id, indicator, period, ...pick(address.params, "as_of", "known_at") }));
  const [Form, setForm] = useState<{ form: typeof NoteForm } | null>(null);
  const names = districtNames(plan.districts);
  return (
    <Loaded query={query} lines={2}>
      {({ notes, missing, may }) => {
        const wanted = noteOn(missing, indicator, period, district);
        const own = noteOn(notes, indicator, period, district);
        const others = district ? [] : notes.filter((note) => note.district !== null);
        const of = district ?? cityCode(plan);
        const writes = may.includes(of) && !address.params["known_at"] && !framed;
        return (
          <>
            {own && <NoteOf note={own} />}
            {wanted ? <p class="asked">{t(own ? "notes.asked.anew" : "notes.asked", { month: month(wanted.since.slice(0, 7)) })}</p> : !own && <p class="hint">{t("notes.none")}</p>}
            {others.length > 0 && (
              <details class="table" open>
                <summary>{t("notes.others", { count: number(others.length) })}</summary>
                {others.map((note) => (
                  <section key={note.district}>
                    <h3>{names[note.district ?? ""]}</h3>
                    <NoteOf note={note} />
                  </section>
                ))}
              </details>
            )}
            {writes && !Form && (
              <p>
                <button type="button" class="write" onClick={() => void import("./note_form").then(({ NoteForm: form }) => setForm({ form }))}>
                  {t(own ? "notes.rewrite" : "notes.write")}
                </button>
              </p>
            )}
            {writes && Form && <Form.form plan={plan} cell={{ indicator, period, of }} may={may} note={own} onDone={() => setForm(null)} />}
          </>
        );
      }}
    </Loaded>
  );
}

interface OfCell {
  indicator: string;
  period: string;
  district: string | null;
}

/** The note that holds on a cell, or that is asked for; `district` null: the whole. */
export function noteOn<Told extends OfCell>(notes: readonly Told[], indicator: string, period: string, district: string | null): Told | undefined {
  return notes.find((note) => note.indicator === indicator && note.period === period && note.district === district);
}

/** On one row of a district: what was written, or that it is asked for. */
export function NoteLine({ note, asked, href }: { note: CellNote | undefined; asked: MissingNote | undefined; href: string }): JSX.Element {
  return (
    <>
      {note && <small class="noted" translate={false}>{t("notes.line", { cause: note.cause, next: note.next_step })}</small>}
      {asked && (
        <small class="asked">
          <a href={href}>{t(note ? "notes.asked.anew" : "notes.asked", { month: month(asked.since.slice(0, 7)) })}</a>
        </small>
      )}
    </>
  );
}

/** How many numbers are red without a note, in one sentence that leads to each. */
export function Asked({ view, missing }: { view: View; missing: readonly MissingNote[] }): JSX.Element | null {
  if (!missing.length) return null;
  const measures = indicatorsById(view.plan);
  return (
    <p class="asked">
      {t("notes.asked.count", { count: number(missing.length) })}{" "}
      {missing.map(({ indicator, period, district }) => (
        <Fragment key={`${indicator} ${period}`}>
          <a href={linkTo(view.address, "measure", measures.get(indicator)?.measure.id, { indicator, period, district: district ?? "" })}>{indicator}</a>{" "}
        </Fragment>
      ))}
    </p>
  );
}
