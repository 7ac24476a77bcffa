// A table dropped, matched to fields, checked, mended and sent, with what became of every row.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { type CheckedTable, checkTable, type ColumnUse, currentSession, type DroppedTable, markedTable, type Session } from "../api/tables";
import { Columns } from "../parts/columns";
import { type Act, Outcomes, type SentRow } from "../parts/outcomes";
import { rememberedUses, rememberUses } from "../parts/remembered";
import { Sheet } from "../parts/sheet";
import { Sentence } from "../parts/states";
import { knownBefore, nextReport, type Outcome, outcomesOf, retractionOf, sendAll } from "../parts/submission";
import type { View } from "../parts/view";
import { number } from "../texts/format";
import { localized, t } from "../texts/language";

const LARGEST = 20 * 1024 * 1024;

/** How far the sending is. */
interface Progress {
  done: number;
  total: number;
  waiting: boolean;
}

function contentOf(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result).replace(/^[^,]*,/, "")));
    reader.addEventListener("error", () => reject(new Problem(0)));
    reader.readAsDataURL(file);
  });
}

/** The district and the system of the first source that a key speaks for. */
function ownPlace(session: Session | null): { district?: string; system?: string } {
  const [, , district, system] = (session?.sources[0] ?? "").split("/");
  return { ...(district ? { district } : {}), ...(system ? { system } : {}) };
}

export function TablesPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const usual = address.params["district"] || plan.districts.find((district) => !district.city)?.code || "";
  const [session, setSession] = useState<Session | null>(null);
  const [dropped, setDropped] = useState<DroppedTable | null>(null);
  const [table, setTable] = useState<CheckedTable | null>(null);
  const [problem, setProblem] = useState<Problem | string | null>(null);
  const [known, setKnown] = useState(0);
  const [sent, setSent] = useState<SentRow[] | null>(null);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [busy, setBusy] = useState(false);
  const latest = useRef(0); // of the readings: an earlier one that comes late is not shown
  const gone = useRef(false);
  useEffect(() => {
    gone.current = false;
    currentSession().then(setSession, () => undefined);
    return () => { gone.current = true; };
  }, []);
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    if (progress) window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [progress]);

  const guarded = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0));
    } finally {
      setBusy(false);
    }
  };

  const read = (next: DroppedTable): Promise<void> =>
    guarded(async () => {
      const turn = (latest.current += 1);
      setDropped(next);
      let result = await checkTable(next);
      const before = next.columns === null ? rememberedUses(session?.key ?? "", result.type, result.headers) : null;
      if (before) result = await checkTable({ ...next, type: result.type, columns: before });
      if (turn !== latest.current) return;
      setTable(result);
      setSent(null);
      setKnown(0);
      const reports = reportsOf(result);
      if (reports.length) setKnown(await knownBefore(reports.map(({ report }) => report)));
    });

  const drop = (file: File | undefined): void => {
    if (!file) return;
    setTable(null);
    setSent(null);
    setDropped(null);
    if (file.size > LARGEST) {
      setProblem(t("tables.too_large", { most: LARGEST / 1024 / 1024 }));
      return;
    }
    void contentOf(file).then((content) => {
      const place = { district: usual, system: "table", ...ownPlace(session) };
      return read({ name: file.name, content, ...place, type: null, sheet: null, header: null, hidden: "leave", columns: null, edits: {} });
    }, setProblem);
  };

  /** Ask what became of every row, then send those of them that `chosen` says, and show what they were answered. */
  const send = (rows: Pick<SentRow, "row" | "report">[], chosen: (outcome: Outcome, row: number) => boolean): Promise<void> =>
    guarded(async () => {
      const outcomes = await outcomesOf(rows.map(({ report }) => report));
      const all = rows.map(({ row, report }, at): SentRow => ({ row, report, outcome: outcomes[at]! }));
      const due = all.filter(({ outcome, row }) => chosen(outcome, row));
      setProgress({ done: 0, total: due.length, waiting: false });
      let done = 0;
      try {
        await sendAll(
          due.map(({ report, outcome }) => nextReport(report, outcome)),
          (at, receipt) => {
            const { outcome } = due[at]!;
            const final = receipt.first ?? receipt;
            const standing = ["accepted", "waiting"].includes(final.status) ? [...outcome.standing, outcome.next] : outcome.standing;
            due[at]!.outcome = { ...outcome, state: "settled", receipt: final, id: outcome.next, standing };
            done += 1;
            setProgress({ done, total: due.length, waiting: false });
          },
          (waiting) => setProgress({ done, total: due.length, waiting }),
          () => gone.current,
        );
      } finally {
        setProgress(null);
        setSent(all);
      }
    });

  const act = (row: SentRow, what: Act, reason: string): void => {
    if (!table) return;
    const rows = reportsOf(table);
    if (what !== "retract") {
      void send(rows, (_, number_) => number_ === row.row);
      return;
    }
    void guarded(async () => {
      // A correction taken back alone would let what it corrected stand again (RULES B1): the latest first, all of them.
      const taken = [...row.outcome.standing].reverse().map((id) => retractionOf(row.report, id, reason));
      for (const each of taken) await sendAll([each], () => undefined, () => undefined, () => gone.current);
      await send(rows, () => false);
    });
  };

  const takeMarked = (): void => {
    if (!dropped || !table) return;
    void guarded(async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await markedTable({ ...dropped, type: table.type, columns: usesOf(table) }));
      link.download = dropped.name.replace(/(\.\w+)?$/, "-marked.xlsx");
      link.click();
      URL.revokeObjectURL(link.href);
    });
  };

  const again = (change: Partial<DroppedTable>): void => {
    if (dropped) void read({ ...dropped, ...change });
  };
  const reports = table ? reportsOf(table) : [];
  return (
    <>
      <header class="head">
        <h2>{t("tables.title")}</h2>
        <p class="hint">{t("tables.hint")}</p>
      </header>
      <div class="stack">
        <DropZone onFile={drop} name={dropped?.name ?? ""} busy={busy} />
        {problem && <Sentence problem={problem} />}
        {table && dropped && (
          <>
            <Reading view={view} table={table} dropped={dropped} onChange={again} />
            <Columns table={table} onUse={(column, use) => again({ type: table.type, columns: { ...usesOf(table), [column]: use } })} />
            <Sheet
              table={table}
              edits={dropped.edits}
              onEdit={(cell, text) => again({ type: table.type, columns: usesOf(table), edits: { ...dropped.edits, [cell]: text } })}
            />
            <section class="card send">
              <p>
                {t("tables.ready", { right: number(table.right), wrong: number(table.wrong) })}
                {known > 0 && ` ${t("tables.known", { count: number(known) })}`}
              </p>
              <button
                type="button"
                class="main"
                disabled={busy || reports.length === 0}
                onClick={() => {
                  rememberUses(session?.key ?? "", table);
                  void send(reports, ({ state }) => state === "new");
                }}
              >
                {t("tables.send", { count: number(reports.length) })}
              </button>
              {table.wrong > 0 && (
                <button type="button" disabled={busy} onClick={takeMarked}>
                  {t("tables.marked")}
                </button>
              )}
              {progress && <Sending progress={progress} />}
            </section>
            {sent && <Outcomes rows={sent} busy={busy} onAct={act} />}
          </>
        )}
      </div>
    </>
  );
}

function usesOf(table: CheckedTable): Record<string, ColumnUse> {
  return Object.fromEntries(table.columns.map(({ column, use }) => [column, use]));
}

function reportsOf(table: CheckedTable): Pick<SentRow, "row" | "report">[] {
  return table.rows.flatMap(({ row, report }) => (report ? [{ row, report }] : []));
}

function DropZone({ onFile, name, busy }: { onFile: (file: File | undefined) => void; name: string; busy: boolean }): JSX.Element {
  const [over, setOver] = useState(false);
  return (
    <label
      class={`drop card${over ? " over" : ""}`}
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onFile(event.dataTransfer?.files[0]);
      }}
    >
      <b>{name || t("tables.drop")}</b>
      <small data-busy={busy}>{busy ? t("tables.busy") : t("tables.drop.hint")}</small>
      <input
        type="file"
        accept=".xlsx,.xlsm,.csv,.tsv,.txt,.xls,.et"
        onChange={({ currentTarget }) => {
          onFile(currentTarget.files?.[0]);
          currentTarget.value = ""; // the same file may be chosen again
        }}
      />
    </label>
  );
}

interface ReadingProps {
  view: View;
  table: CheckedTable;
  dropped: DroppedTable;
  onChange: (change: Partial<DroppedTable>) => void;
}

/** How the file was read: what it reports, for whom, from which sheet and row on; and what of it was left out. */
function Reading({ view, table, dropped, onChange }: ReadingProps): JSX.Element {
  return (
    <section class="card">
      <h2>{t("tables.reading")}</h2>
      {table.question && <p class="why" role="alert">{localized(table.question)}</p>}
      <div class="fields">
        <label>
          <span>{t("tables.type")}</span>
          <select value={table.type ?? ""} onChange={({ currentTarget }) => onChange({ type: currentTarget.value || null, columns: null })}>
            <option value="">{t("tables.nothing")}</option>
            {table.types.map(({ type, name }) => (
              <option key={type} value={type}>
                {localized(name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t("asked.district")}</span>
          <select value={dropped.district} onChange={({ currentTarget }) => onChange({ district: currentTarget.value })}>
            {view.plan.districts.map(({ code, name }) => (
              <option key={code} value={code}>
                {localized(name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t("tables.system")}</span>
          <input defaultValue={dropped.system} pattern="[A-Za-z0-9._\-]{1,40}" onChange={({ currentTarget }) => currentTarget.validity.valid && onChange({ system: currentTarget.value || "table" })} />
        </label>
        {table.sheets.length > 1 && (
          <label>
            <span>{t("tables.sheet")}</span>
            <select value={table.sheet ?? ""} onChange={({ currentTarget }) => onChange({ sheet: currentTarget.value, header: null, columns: null, edits: {} })}>
              {table.sheets.map((sheet) => (
                <option key={sheet} value={sheet}>
                  {sheet}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          <span>{t("tables.header_row")}</span>
          <input type="number" min={1} max={1000} defaultValue={String(table.header_row)} onChange={({ currentTarget }) => currentTarget.validity.valid && onChange({ header: Number(currentTarget.value) || null, columns: null })} />
        </label>
        <label class="check">
          <input type="checkbox" checked={dropped.hidden === "include"} onChange={({ currentTarget }) => onChange({ hidden: currentTarget.checked ? "include" : "leave" })} />
          <span>{t("tables.hidden")}</span>
        </label>
      </div>
      <ul class="notices">
        {table.notices.map((notice, at) => (
          <li key={at}>{localized(notice)}</li>
        ))}
      </ul>
    </section>
  );
}

function Sending({ progress: { done, total, waiting } }: { progress: Progress }): JSX.Element {
  return (
    <p role="status">
      <progress max={total || 1} value={done} aria-label={t("tables.sending", { done: number(done), total: number(total) })} />
      {waiting ? t("tables.waiting") : t("tables.sending", { done: number(done), total: number(total) })}
    </p>
  );
}
