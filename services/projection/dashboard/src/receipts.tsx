// Decides how a district learns what became of its reports: how many, which not, why, and what to do about it.
import type { JSX } from "preact";
import { asking, query, to } from "./address";
import type { Receipt, Receipts } from "./answers";
import { useAnswer } from "./api";
import { typeName } from "./facts";
import { day, instant, number } from "./format";
import { type Key, said, t } from "./language";
import type { View } from "./main";
import { Note, Shown } from "./parts";

const STATUSES = ["accepted", "waiting", "refused", "invalid", "misdirected"] as const;
const STATUS_TEXT: Record<string, Key> = {
  accepted: "status.accepted",
  waiting: "status.waiting",
  refused: "status.refused",
  invalid: "status.invalid",
  misdirected: "status.misdirected",
};
// The colours of the signals mean the same here: well, wait, act.
const TONES: Record<string, string> = { accepted: "green", waiting: "amber", refused: "red", invalid: "red", misdirected: "red" };
const FILTERS = ["status", "type", "day", "code"];

export function statusText(status: string): string {
  return STATUS_TEXT[status] ? t(STATUS_TEXT[status]!) : status;
}

export function Strip({ statuses }: { statuses: Record<string, number> }): JSX.Element {
  const total = Object.values(statuses).reduce((sum, count) => sum + count, 0) || 1;
  const says = STATUSES.filter((one) => statuses[one]).map((one) => `${statusText(one)} ${number(statuses[one])}`).join(" · ");
  return (
    <span class="strip" role="img" aria-label={says} title={says}>
      {STATUSES.map((one) => (statuses[one] ? <i key={one} class={TONES[one]!} style={{ width: `${(statuses[one]! / total) * 100}%` }} /> : null))}
    </span>
  );
}

export function ReceiptsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const code = address.id || address.asked["district"] || plan.districts.find((one) => !one.city)?.code || "";
  const district = plan.districts.find((one) => one.code === code);
  const answer = useAnswer<Receipts>(district ? `./v1/districts/${code}/receipts${query(address, "status", "type", "day", "code", "after")}` : null);
  if (!district) return <Note>{t("district.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <h2>{t("receipts.title", { name: said(district.name) })}</h2>
        <nav class="tabs" aria-label={t("asked.district")}>
          {plan.districts.map((one) => (
            <a key={one.code} href={to(address, "receipts", one.code)} aria-current={one.code === code ? "true" : undefined}>
              {said(one.name)}
            </a>
          ))}
        </nav>
      </header>
      <Shown of={answer}>{(data) => <Desk view={view} data={data} />}</Shown>
    </>
  );
}

function Desk({ view, data }: { view: View; data: Receipts }): JSX.Element {
  const { address } = view;
  const { counts } = data;
  const go = (asked: Record<string, string>): string => asking(address, { after: "", ...asked });
  const filtered = FILTERS.some((name) => address.asked[name]);
  const nothing = !Object.keys(counts.statuses).length;
  if (nothing && !filtered) return <Note title={t("receipts.none.title")}>{t("receipts.none.text")}</Note>;
  return (
    <div class="stack">
      <div class="counts">
        {STATUSES.map((status) => (
          <a
            key={status}
            class={`count ${TONES[status]}`}
            href={go({ status: address.asked["status"] === status ? "" : status })}
            aria-current={address.asked["status"] === status ? "true" : undefined}
          >
            <b>{number(counts.statuses[status] ?? 0)}</b>
            <span>{statusText(status)}</span>
          </a>
        ))}
      </div>
      {filtered && (
        <p class="filter">
          {FILTERS.filter((name) => address.asked[name])
            .map((name) => (name === "status" ? statusText(address.asked[name]!) : name === "type" ? typeName(address.asked[name]) : name === "day" ? day(address.asked[name]) : address.asked[name]))
            .join(" · ")}{" "}
          <a href={go({ status: "", type: "", day: "", code: "" })}>{t("overview.show_all")}</a>
        </p>
      )}
      <div class="split">
        {counts.reasons.length > 0 && (
          <section class="card">
            <h2>{t("receipts.reasons")}</h2>
            <ul class="reports">
              {counts.reasons.slice(0, 8).map((reason) => (
                <li key={reason.code}>
                  <div class="what">
                    <b>{number(reason.reports)}</b>
                    <a href={go({ code: reason.code })}>
                      <code>{reason.code}</code>
                    </a>
                  </div>
                  {reason.fix && <p>{said(reason.fix)}</p>}
                </li>
              ))}
            </ul>
          </section>
        )}
        <section class="card">
          <h2>{t("receipts.days")}</h2>
          <Table
            rows={counts.days.slice(0, 14).map((row) => ({ name: day(row.day), href: go({ day: row.day }), statuses: row.statuses }))}
            head={t("receipts.day")}
          />
        </section>
        <section class="card">
          <h2>{t("receipts.types")}</h2>
          <Table
            rows={counts.types.slice(0, 14).map((row) => ({
              name: row.type ? typeName(row.type) : t("receipts.no_type"),
              href: row.type ? go({ type: row.type }) : "",
              statuses: row.statuses,
            }))}
            head={t("receipts.type")}
          />
        </section>
      </div>
      <section class="card">
        <h2>{t("receipts.list")}</h2>
        {data.receipts.length === 0 && <p class="hint">{t("receipts.list.none")}</p>}
        <ul class="reports">
          {data.receipts.map((receipt, index) => (
            <OneReceipt key={`${receipt.source} ${receipt.id} ${index}`} receipt={receipt} />
          ))}
        </ul>
        <p class="pages">
          {address.asked["after"] && (
            <a class="button" href={asking(address, { after: "" })}>
              {t("receipts.first")}
            </a>
          )}
          {data.next && (
            <a class="button" href={asking(address, { after: data.next })}>
              {t("receipts.next")}
            </a>
          )}
        </p>
      </section>
    </div>
  );
}

function Table({ rows, head }: { rows: { name: string; href: string; statuses: Record<string, number> }[]; head: string }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={head}>
      <table>
        <thead>
          <tr>
            <th scope="col">{head}</th>
            <th scope="col" class="n">{t("receipts.sent")}</th>
            <th scope="col" class="n">{t("receipts.not_counted")}</th>
            <th scope="col">
              <span class="unseen">{t("receipts.shares")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const sent = Object.values(row.statuses).reduce((sum, count) => sum + count, 0);
            return (
              <tr key={row.name}>
                <th scope="row">{row.href ? <a href={row.href}>{row.name}</a> : row.name}</th>
                <td class="n">{number(sent)}</td>
                <td class="n">{number(sent - (row.statuses["accepted"] ?? 0))}</td>
                <td>
                  <Strip statuses={row.statuses} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function OneReceipt({ receipt }: { receipt: Receipt }): JSX.Element {
  return (
    <li>
      <div class="what">
        <span class={`status ${TONES[receipt.status] ?? "none"}`}>{statusText(receipt.status)}</span>
        <code>{receipt.id ?? t("receipts.no_id")}</code>
        <span>{typeName(receipt.type)}</span>
        {receipt.subject && <code>{receipt.subject}</code>}
        <small>
          {receipt.source} · {instant(receipt.received_at)}
        </small>
      </div>
      {receipt.waits_for && <p class="why">{t("receipts.waits_for", { what: receipt.waits_for })}</p>}
      {receipt.flags.length > 0 && <p class="why">{t("receipts.flags", { flags: receipt.flags.join(", ") })}</p>}
      {receipt.reasons.map((reason, index) => (
        <div key={index} class="why">
          <p>
            <code>{reason.code}</code> {said(reason)}
            {reason.pointer && (
              <>
                {" "}
                <code>{reason.pointer}</code>
              </>
            )}
          </p>
          {reason.fix && (
            <p>
              <b>{t("receipts.fix")}</b> {said(reason.fix)}
            </p>
          )}
        </div>
      ))}
    </li>
  );
}
