// The rows of a dropped table: every faulty cell marked, and mended below its row, beside the reason and what to do: a
// cell far to the right would be out of sight.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CheckedTable, TableRow } from "../api/tables";
import { number } from "../texts/format";
import { localized, t } from "../texts/language";

const PAGE = 50;

interface Props {
  table: CheckedTable;
  edits: Record<string, string>;
  onEdit: (cell: string, text: string) => void;
}

/** The name of a cell as a spreadsheet shows it. */
function cellName(column: number, row: number): string {
  let letters = "";
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters;
  return `${letters}${row}`;
}

export function Sheet({ table, edits, onEdit }: Props): JSX.Element {
  const [all, setAll] = useState(false);
  const [page, setPage] = useState(0);
  const faulty = table.rows.filter(({ faults }) => faults.length > 0);
  const rows = all || !faulty.length ? table.rows : faulty;
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(page, pages - 1);
  return (
    <section class="card">
      <h2>{t("tables.rows")}</h2>
      {faulty.length > 0 && (
        <label class="check">
          <input type="checkbox" checked={!all} onChange={({ currentTarget }) => setAll(!currentTarget.checked)} />
          <span>{t("tables.only_wrong", { count: number(faulty.length) })}</span>
        </label>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label={t("tables.rows")}>
        <table class="sheet">
          <thead>
            <tr>
              <th scope="col">{t("tables.row")}</th>
              {table.headers.map((header, column) => (
                <th key={column} scope="col">
                  {header || <span class="unseen">{t("tables.no_header")}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(at * PAGE, (at + 1) * PAGE).map((row) => (
              <Row key={row.row} row={row} headers={table.headers} edits={edits} onEdit={onEdit} />
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 && (
        <p class="pages">
          <button type="button" disabled={at === 0} onClick={() => setPage(at - 1)}>
            {t("tables.page.before")}
          </button>
          <span>{t("tables.page", { page: at + 1, pages })}</span>
          <button type="button" disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
            {t("tables.page.after")}
          </button>
        </p>
      )}
    </section>
  );
}

interface RowProps extends Pick<Props, "edits" | "onEdit"> {
  row: TableRow;
  headers: string[];
}

function Row({ row, headers, edits, onEdit }: RowProps): JSX.Element {
  const wrong = new Set(row.faults.map(({ cell }) => cell));
  return (
    <>
      <tr class={row.faults.length > 0 ? "wrong" : undefined}>
        <th scope="row">{row.row}</th>
        {row.cells.map((text, column) => {
          const name = cellName(column, row.row);
          return <td key={column} class={wrong.has(name) ? "red faulty" : name in edits ? "mended" : undefined}>{text}</td>;
        })}
      </tr>
      {row.faults.length > 0 && (
        <tr class="reasons">
          <td colSpan={headers.length + 1}>
            {[...wrong].map((cell) => {
              const column = headers.findIndex((_, at) => cellName(at, row.row) === cell);
              return (
                <div key={cell}>
                  {cell === null ? (
                    <b>{t("tables.row_number", { row: row.row })}</b>
                  ) : (
                    <label>
                      <b>{cell}</b> {headers[column]}
                      <input
                        aria-label={t("tables.mend", { cell })}
                        defaultValue={edits[cell] ?? row.cells[column] ?? ""} // a page drawn anew must not undo what is being typed
                        data-cell={cell}
                        onChange={({ currentTarget }) => onEdit(cell, currentTarget.value)}
                      />
                    </label>
                  )}
                  {row.faults.filter((fault) => fault.cell === cell).map((fault, at) => (
                    <p key={at}>
                      {localized(fault)} {fault.fix && <>→ {localized(fault.fix)}</>} <code>{fault.code}</code>
                    </p>
                  ))}
                </div>
              );
            })}
          </td>
        </tr>
      )}
    </>
  );
}
