// One district: first in words how it stands, then its numbers beside the city's, and what became of its reports.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { MissingNote, CellNote, CellNotes, DistrictMatrix, MatrixCell, MatrixRow } from "../api/schema";
import { linkTo, pick } from "../parts/address";
import { Asked, NoteLine, noteOn } from "../parts/notes";
import { ReportSummary } from "../parts/reports";
import { SignalPill } from "../parts/signals";
import { compared, sharedBy, shareText, Standing } from "../parts/standing";
import { Loaded, Note } from "../parts/states";
import { isWide, matrixPath, type View } from "../parts/view";
import { achieved, DASH, percent, targetText, unitName } from "../texts/format";
import { localized, t } from "../texts/language";
import { periodName } from "../texts/names";

export function DistrictPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const district = plan.districts.find(({ code }) => code === address.id);
  const matrix = useQuery(district ? matrixPath(view) : null);
  const notes = useQuery(district ? pathOf("/v1/plans/{plan}/notes", { plan: plan.id, district: district.code, ...pick(address.params, "as_of", "known_at") }) : null);
  const receipts = useQuery(district ? pathOf("/v1/districts/{district}/receipts", { district: district.code, limit: "1" }) : null);
  if (!district) return <Note>{t("district.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <p>
          <a href={linkTo(address, "districts")}>{t("district.all")}</a>
        </p>
        <h2>{localized(district.name)}</h2>
      </header>
      <div class="stack">
        <Loaded query={matrix} lines={14}>
          {(data) => (
            <>
              <Standing matrix={data} district={district.code} />
              {notes.data && !district.city && <Asked view={view} missing={notes.data.missing} />}
              <section class="card">
                <h2>{t("district.numbers")}</h2>
                <Numbers view={view} district={district.code} name={localized(district.name)} matrix={data} notes={notes.data} />
                <p class="hint">{t("share.note", { by: sharedBy(data.shared_by) })}</p>
              </section>
            </>
          )}
        </Loaded>
        <section class="card">
          <h2>{t("district.reports")}</h2>
          <Loaded query={receipts} lines={2}>{(data) => <ReportSummary receipts={data} />}</Loaded>
          <p>
            <a href={linkTo(address, "receipts", district.code)}>{t("district.to_receipts")}</a>
          </p>
        </section>
      </div>
    </>
  );
}

interface NumbersProps {
  view: View;
  district: string;
  name: string;
  matrix: DistrictMatrix;
  notes: CellNotes | undefined;
}

const ORDER = ["red", "amber", "green", "met"];

interface Compared {
  row: MatrixRow;
  cell: MatrixCell;
  place: number;
}

/** What can be compared, the worst first; the rest folds away. */
function Numbers(props: NumbersProps): JSX.Element {
  const { matrix, district } = props;
  const rows = matrix.indicators.flatMap((row): Compared[] => {
    const cell = row.districts.find(({ district: code }) => code === district);
    return cell ? [{ row, cell, place: ORDER.indexOf(compared(cell, matrix)?.tone ?? "") }] : [];
  });
  const comparable = rows.filter(({ place }) => place >= 0).toSorted((a, b) => a.place - b.place);
  const others = rows.filter(({ place }) => place < 0);
  return (
    <>
      {comparable.length > 0 && <NumberTable {...props} rows={comparable} />}
      {others.length > 0 && (
        <details class="table" open={!comparable.length && isWide()}>
          <summary>{t("district.others", { count: others.length })}</summary>
          <NumberTable {...props} rows={others} />
        </details>
      )}
    </>
  );
}

function NumberTable({ view, name, matrix, notes, rows }: NumbersProps & { rows: Compared[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("district.numbers")}>
      <table class="cards-on-phone">
        <thead>
          <tr>
            <th scope="col">{t("value.indicator")}</th>
            <th scope="col">{t("asked.period")}</th>
            <th scope="col" class="n">{name}</th>
            <th scope="col">{t("district.target")}</th>
            <th scope="col" class="n">{t("asked.whole")}</th>
            <th scope="col" class="n">{t("ranking.share")}</th>
            <th scope="col">{t("district.city_signal")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ row, cell }) => (
            <NumberRow key={row.id} view={view} matrix={matrix} row={row} cell={cell} name={name} note={notes && noteOn(notes.notes, row.id, row.period, cell.district)} asked={notes && noteOn(notes.missing, row.id, row.period, cell.district)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface NumberRowProps {
  view: View;
  matrix: DistrictMatrix;
  row: MatrixRow;
  cell: MatrixCell;
  name: string;
  note: CellNote | undefined;
  asked: MissingNote | undefined;
}

function NumberRow({ view, matrix, row, cell, name, note, asked }: NumberRowProps): JSX.Element {
  const { id, unit, whole } = row;
  const share = cell.denominator === null && whole.value && cell.value !== null ? cell.value / whole.value : null;
  const standing = compared(cell, matrix);
  const href = linkTo(view.address, "measure", row.measure, { indicator: id, period: row.period, district: cell.district ?? "" });
  return (
    <tr>
      <th scope="row">
        <a href={href}>
          {id} {localized(row.name)}
        </a>
        <NoteLine note={note} asked={asked} href={href} />
      </th>
      <td data-name={t("asked.period")}>{periodName(row.period)}</td>
      <td class="n" data-name={name}>
        <b>{cell.value === null ? t("value.no_data") : achieved(cell, unit)}</b> <small>{cell.value === null ? "" : unitName(unit, view.plan.units)}</small>
      </td>
      <td data-name={t("district.target")}>
        {cell.target ? targetText(cell.target, unit) : <small class={standing?.indicative ? `indicative ${standing.tone}` : undefined}>{shareText(cell, whole, unit) || DASH}</small>}{" "}
        {cell.signal !== "none" && <SignalPill signal={cell.signal} />}
      </td>
      <td class="n" data-name={t("asked.whole")}>
        {achieved(whole, unit)}
      </td>
      <td class="n" data-name={t("ranking.share")}>
        {percent(share)}
      </td>
      <td data-name={t("district.city_signal")}>{whole.signal === "none" ? DASH : <SignalPill signal={whole.signal} />}</td>
    </tr>
  );
}
