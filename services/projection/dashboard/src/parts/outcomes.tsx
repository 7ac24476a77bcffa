// What became of each row: the refused first, each with its reason and, at the press of a button, what can be done.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Receipt, Report } from "../api/tables";
import { number } from "../texts/format";
import { type Key, localized, t } from "../texts/language";
import { flagName, statusName } from "../texts/names";
import { STATUS_COLOURS } from "./reports";
import type { Outcome } from "./submission";

export interface SentRow {
  row: number;
  report: Report;
  outcome: Outcome;
}

export type Act = "correct" | "again" | "retract";

interface Props {
  rows: SentRow[];
  busy: boolean;
  onAct: (row: SentRow, act: Act, reason: string) => void;
}

const MOST = 100;
const ORDER = ["invalid", "misdirected", "refused", "changed", "waiting", "new", "retracted", "accepted"];
const STATE_TEXTS: Partial<Record<string, Key>> = { new: "tables.state.new", changed: "tables.state.changed", retracted: "tables.state.retracted" };
const ACT_TEXTS: Record<Act, Key> = { correct: "tables.correct", again: "tables.again", retract: "tables.retract" };

function statusOf({ state, receipt }: Outcome): string {
  return state === "settled" ? (receipt?.status ?? "new") : state;
}

/** What can be done with a row: a receipt that binds no id is mended in the table and sent under the same one. */
function actsFor(outcome: Outcome): Act[] {
  const status = statusOf(outcome);
  if (status === "changed") return ["correct", "retract"];
  if (status === "accepted" || status === "waiting") return ["retract"];
  return status === "new" ? [] : ["again"];
}

export function Outcomes({ rows, busy, onAct }: Props): JSX.Element {
  const [most, setMost] = useState(MOST);
  const [reason, setReason] = useState("");
  const ordered = [...rows].sort((one, other) => ORDER.indexOf(statusOf(one.outcome)) - ORDER.indexOf(statusOf(other.outcome)) || one.row - other.row);
  const counts = new Map<string, number>();
  for (const { outcome } of rows) counts.set(statusOf(outcome), (counts.get(statusOf(outcome)) ?? 0) + 1);
  return (
    <section class="card outcomes">
      <h2>{t("tables.outcomes")}</h2>
      <p role="status">
        {ORDER.filter((status) => counts.has(status)).map((status) => (
          <span key={status} class={`status ${STATUS_COLOURS[status] ?? "none"}`} data-status={status} data-count={counts.get(status)}>
            {nameOf(status)} {number(counts.get(status))}
          </span>
        ))}
      </p>
      <label class="reason">
        <span>{t("tables.reason")}</span>
        <input value={reason} maxLength={200} onInput={({ currentTarget }) => setReason(currentTarget.value)} />
      </label>
      <ul class="reports">
        {ordered.slice(0, most).map((row) => (
          <li key={row.row} data-row={row.row} data-state={statusOf(row.outcome)}>
            <div class="what">
              <span class={`status ${STATUS_COLOURS[statusOf(row.outcome)] ?? "none"}`}>{nameOf(statusOf(row.outcome))}</span>
              <span>{t("tables.row_number", { row: row.row })}</span>
              <code>{row.outcome.id ?? row.outcome.next}</code>
              {actsFor(row.outcome).map((act) => (
                <button key={act} type="button" disabled={busy} data-act={act} onClick={() => onAct(row, act, reason.trim() || t("tables.reason.usual"))}>
                  {t(ACT_TEXTS[act])}
                </button>
              ))}
            </div>
            {row.outcome.receipt && row.outcome.state === "settled" && <Why receipt={row.outcome.receipt} />}
          </li>
        ))}
      </ul>
      {ordered.length > most && (
        <button type="button" onClick={() => setMost(most + MOST)}>
          {t("tables.more", { count: number(ordered.length - most) })}
        </button>
      )}
    </section>
  );
}

function nameOf(status: string): string {
  const key = STATE_TEXTS[status];
  return key ? t(key) : statusName(status);
}

function Why({ receipt }: { receipt: Receipt }): JSX.Element {
  return (
    <>
      {receipt.waits_for && <p class="why">{t("receipts.waits_for", { what: receipt.waits_for })}</p>}
      {(receipt.flags ?? []).length > 0 && <p class="why">{t("receipts.flags", { flags: receipt.flags!.map(flagName).join(t("list.comma")) })}</p>}
      {(receipt.reasons ?? []).map((reason, at) => (
        <p key={at} class="why">
          <code>{reason.code}</code> {localized(reason)}
        </p>
      ))}
    </>
  );
}
