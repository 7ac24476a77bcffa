// What became of a district's reports: how many of each status, which were not counted, why, and what to do about it.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { DistrictReceipts, ReceiptWithRemedies } from "../api/schema";
import { type Address, linkTo, type Params, pick, withParams } from "../parts/address";
import { GoesOn } from "../parts/goes_on";
import { notAccepted, STATUS_COLOURS, type StatusCounts, STATUSES, StatusStrip, totalOf } from "../parts/reports";
import { Loaded, Note } from "../parts/states";
import { isWide, receiptsOf, type View } from "../parts/view";
import { day, instant, number } from "../texts/format";
import { localized, t } from "../texts/language";
import { flagName, statusName, typeName } from "../texts/names";

const FILTERS = ["status", "type", "day", "code"] as const;

/** The value of a filter as the page writes it. */
function filterText(name: (typeof FILTERS)[number], value: string): string {
  switch (name) {
    case "status":
      return statusName(value);
    case "type":
      return typeName(value);
    case "day":
      return day(value);
    case "code":
      return value;
  }
}

export function ReceiptsPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const code = receiptsOf(view);
  const district = plan.districts.find((candidate) => candidate.code === code);
  const receipts = useQuery(district ? pathOf("/v1/districts/{district}/receipts", { district: code, ...pick(address.params, "status", "type", "day", "code", "after"), limit: isWide() ? "40" : "15" }) : null);
  if (!district) return <Note>{t("district.unknown")}</Note>;
  return (
    <>
      <header class="head">
        <h2>{t("receipts.title", { name: localized(district.name) })}</h2>
        <nav class="tabs" aria-label={t("asked.district")}>
          {plan.districts.map((tab) => (
            <a key={tab.code} href={linkTo(address, "receipts", tab.code)} aria-current={tab.code === code ? "true" : undefined}>
              {localized(tab.name)}
            </a>
          ))}
        </nav>
      </header>
      <Loaded query={receipts}>{(data) => <Board view={view} data={data} />}</Loaded>
    </>
  );
}

function Board({ view, data }: { view: View; data: DistrictReceipts }): JSX.Element {
  const { address } = view;
  const { params } = address;
  const { counts } = data;
  const filterBy = (chosen: Params): string => withParams(address, { after: "", ...chosen });
  const filters = FILTERS.flatMap((name) => (params[name] ? [filterText(name, params[name])] : []));
  if (!Object.keys(counts.statuses).length && !filters.length) return <Note title={t("receipts.none.title")}>{t("receipts.none.text")}</Note>;
  return (
    <div class="stack">
      <div class="counts">
        {STATUSES.map((status) => (
          <a
            key={status}
            class={`count ${STATUS_COLOURS[status]}`}
            href={filterBy({ status: params["status"] === status ? "" : status })}
            aria-current={params["status"] === status ? "true" : undefined}
          >
            <b>{number(counts.statuses[status] ?? 0)}</b>
            <span>{statusName(status)}</span>
          </a>
        ))}
      </div>
      {filters.length > 0 && (
        <p class="filter">
          {filters.join(" · ")} <a href={filterBy({ status: "", type: "", day: "", code: "" })}>{t("overview.show_all")}</a>
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
                    <a href={filterBy({ code: reason.code })}>
                      <code>{reason.code}</code>
                    </a>
                  </div>
                  {reason.fix && <p>{localized(reason.fix)}</p>}
                </li>
              ))}
            </ul>
          </section>
        )}
        <section class="card">
          <h2>{t("receipts.days")}</h2>
          <CountTable
            rows={counts.days.slice(0, 14).map((row) => ({ name: day(row.day), href: filterBy({ day: row.day }), statuses: row.statuses }))}
            head={t("receipts.day")}
          />
        </section>
        <section class="card">
          <h2>{t("receipts.types")}</h2>
          <CountTable
            rows={counts.types.slice(0, 14).map((row) => ({
              name: row.type ? typeName(row.type) : t("receipts.no_type"),
              href: row.type ? filterBy({ type: row.type }) : "",
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
            <ReceiptRow key={`${receipt.source} ${receipt.id} ${index}`} address={address} receipt={receipt} />
          ))}
        </ul>
        <p class="pages">
          {params["after"] && (
            <a class="button" href={withParams(address, { after: "" })}>
              {t("receipts.first")}
            </a>
          )}
          {data.next && (
            <a class="button" href={withParams(address, { after: data.next })}>
              {t("receipts.next")}
            </a>
          )}
        </p>
      </section>
    </div>
  );
}

interface CountRow {
  name: string;
  href: string;
  statuses: StatusCounts;
}

/** Reports received and not accepted, a row a day or a type. */
function CountTable({ rows, head }: { rows: CountRow[]; head: string }): JSX.Element {
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
          {rows.map(({ name, href, statuses }) => (
            <tr key={name}>
              <th scope="row">{href ? <a href={href}>{name}</a> : name}</th>
              <td class="n">{number(totalOf(statuses))}</td>
              <td class="n">{number(notAccepted(statuses))}</td>
              <td>
                <StatusStrip counts={statuses} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ReceiptRow({ address, receipt }: { address: Address; receipt: ReceiptWithRemedies }): JSX.Element {
  return (
    <li>
      <div class="what">
        <span class={`status ${STATUS_COLOURS[receipt.status] ?? "none"}`}>{statusName(receipt.status)}</span>
        <code>{receipt.id ?? t("receipts.no_id")}</code>
        <span>{typeName(receipt.type)}</span>
        {receipt.subject && <code>{receipt.subject}</code>}
        <small>
          {receipt.source} · {instant(receipt.received_at)}
        </small>
      </div>
      {receipt.status === "accepted" && <GoesOn address={address} type={receipt.type} subject={receipt.subject} source={receipt.source ?? ""} id={receipt.id} />}
      {receipt.place && <p class="why">{t("receipts.place", { place: receipt.place })}</p>}
      {receipt.waits_for && <p class="why">{t("receipts.waits_for", { what: receipt.waits_for })}</p>}
      {receipt.flags.length > 0 && (
        <p class="why">{t("receipts.flags", { flags: receipt.flags.map(flagName).join(t("list.comma")) })}</p>
      )}
      {receipt.reasons.map((reason, index) => (
        <div key={index} class="why">
          <p>
            <code>{reason.code}</code> {localized(reason)}
            {reason.pointer && (
              <>
                {" "}
                <code>{reason.pointer}</code>
              </>
            )}
          </p>
          {reason.fix && (
            <p>
              <b>{t("receipts.fix")}</b> {localized(reason.fix)}
            </p>
          )}
        </div>
      ))}
    </li>
  );
}
