// What became of a district's reports, in one line: how many of each status.
import type { JSX } from "preact";
import type { DistrictReceipts } from "../api/schema";
import { instant, number } from "../texts/format";
import { t } from "../texts/language";
import { statusName } from "../texts/names";

export type StatusCounts = Readonly<Record<string, number>>;

export const STATUSES = ["accepted", "waiting", "refused", "invalid", "misdirected"] as const;
/** The colours of the signals mean the same here: well, wait, act. */
export const STATUS_COLOURS: Readonly<Record<string, string>> = {
  accepted: "green",
  waiting: "amber",
  refused: "red",
  invalid: "red",
  misdirected: "red",
};

export function totalOf(counts: StatusCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

export function notAccepted(counts: StatusCounts): number {
  return totalOf(counts) - (counts["accepted"] ?? 0);
}

/** A bar of the statuses' shares. */
export function StatusStrip({ counts }: { counts: StatusCounts }): JSX.Element {
  const total = totalOf(counts) || 1;
  const present = STATUSES.flatMap((status) => (counts[status] ? [{ status, count: counts[status] }] : []));
  const label = present.map(({ status, count }) => `${statusName(status)} ${number(count)}`).join(" · ");
  return (
    <span class="strip" role="img" aria-label={label} title={label}>
      {present.map(({ status, count }) => (
        <i key={status} class={STATUS_COLOURS[status]!} style={{ width: `${(count / total) * 100}%` }} />
      ))}
    </span>
  );
}

export function ReportSummary({ receipts }: { receipts: DistrictReceipts }): JSX.Element {
  const { statuses } = receipts.counts;
  const sent = totalOf(statuses);
  const latest = receipts.receipts[0];
  if (!sent) return <p class="hint">{t("receipts.none.title")}</p>;
  return (
    <>
      <p>{t("district.reported", { sent: number(sent), not: number(notAccepted(statuses)) })}</p>
      <StatusStrip counts={statuses} />
      {latest && <small>{t("district.last", { at: instant(latest.received_at) })}</small>}
    </>
  );
}
