// What fills each field of the reports: a column of the table, or one value for every row; and what its words mean.
import type { JSX } from "preact";
import type { CheckedTable, ColumnUse, FieldColumn } from "../api/tables";
import { language, localized, t } from "../texts/language";

const EVERY_ROW = "="; // no header is called that: the choice of one value for every row
const UNITS = ["yuan", "wan-yuan", "fen"] as const;
const UNIT_TEXTS = { yuan: "tables.unit.yuan", "wan-yuan": "tables.unit.wan", fen: "tables.unit.fen" } as const;

interface Props {
  table: CheckedTable;
  onUse: (column: string, use: ColumnUse) => void;
}

export function Columns({ table, onUse }: Props): JSX.Element {
  const open = table.columns.filter(({ needed, use, unknown }) => unknown.length > 0 || (needed && !use.header && use.constant === null));
  return (
    <details class="card" open={open.length > 0 || table.question !== null}>
      <summary>
        <h2>{t("tables.columns")}</h2>
      </summary>
      <p class="hint">{t("tables.columns.hint")}</p>
      <div class="fields">
        {table.columns.map((column) => (
          <Field key={column.column} column={column} headers={table.headers} onUse={(use) => onUse(column.column, use)} />
        ))}
      </div>
    </details>
  );
}

function Field({ column, headers, onUse }: { column: FieldColumn; headers: string[]; onUse: (use: ColumnUse) => void }): JSX.Element {
  const { use } = column;
  const name = localized(column.name);
  const chosen = use.constant === null ? (use.header ?? "") : EVERY_ROW;
  return (
    <div class={`field${column.needed && !chosen ? " red" : ""}`}>
      <label>
        <span>
          {name}
          {column.needed && <b title={t("tables.needed")}> *</b>}
        </span>
        <select
          value={chosen}
          onChange={({ currentTarget: { value } }) => onUse({ ...use, header: value && value !== EVERY_ROW ? value : null, constant: value === EVERY_ROW ? (column.choices[0]?.value ?? "") : null })}
        >
          <option value="">{t("tables.nothing")}</option>
          {headers.filter(Boolean).map((header, at) => (
            <option key={at} value={header}>
              {header}
            </option>
          ))}
          <option value={EVERY_ROW}>{t("tables.every_row")}</option>
        </select>
      </label>
      {use.constant !== null && (
        <label>
          <span class="unseen">{t("tables.value_of", { name })}</span>
          {column.choices.length > 0 ? (
            <select value={use.constant} onChange={({ currentTarget: { value } }) => onUse({ ...use, constant: value })}>
              <Values column={column} />
            </select>
          ) : (
            <input defaultValue={use.constant} onChange={({ currentTarget: { value } }) => onUse({ ...use, constant: value })} />
          )}
        </label>
      )}
      {column.is_money && chosen !== "" && (
        <label>
          <span class="unseen">{t("tables.unit_of", { name })}</span>
          <select value={use.unit ?? ""} onChange={({ currentTarget: { value } }) => onUse({ ...use, unit: value || null })}>
            <option value="">{t("tables.unit")}</option>
            {UNITS.map((unit) => (
              <option key={unit} value={unit}>
                {t(UNIT_TEXTS[unit])}
              </option>
            ))}
          </select>
        </label>
      )}
      {column.unknown.map((word) => (
        <label key={word}>
          <span>{t("tables.word", { word })}</span>
          <select value="" onChange={({ currentTarget: { value } }) => value && onUse({ ...use, meanings: { ...use.meanings, [word]: value } })}>
            <option value="">{t("tables.nothing")}</option>
            <Values column={column} />
          </select>
        </label>
      ))}
    </div>
  );
}

function Values({ column }: { column: FieldColumn }): JSX.Element {
  return (
    <>
      {column.choices.map(({ value, zh }) => (
        <option key={value} value={value}>
          {language() === "zh" ? zh : value}
        </option>
      ))}
    </>
  );
}
