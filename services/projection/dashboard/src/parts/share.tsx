// What can be taken away from a page: the month's briefing, the page's numbers, and a link that does not move.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { keyOfTab, save } from "../api/client";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import { language, t } from "../texts/language";
import { fitsFrames, formatHash, mayBeFramed, type Page, pick } from "./address";
import { findMeasure, receiptsOf, type View } from "./view";

/** The pages whose own rows are to be had as XLSX; the numbers of the others are in the workbook of the briefing. */
const LISTED: readonly Page[] = ["closings", "facts", "health", "measure", "receipts"];

/** Where the numbers of a page are to be had in a format; empty for a page that shows none. `closed`: the months that are. */
function rowsPath({ plan, address }: View, closed: string[], format: "csv" | "xlsx"): string {
  const { page, id, params } = address;
  const lasting = pick(params, "as_of", "known_at", "district");
  const { district: _, ...whole } = lasting;
  const lang = format === "xlsx" ? { lang: language() } : {};
  const rows = (route: string, values: Record<string, string>): string => `./v1/${route}?${new URLSearchParams({ ...values, format, ...lang })}`;
  const path = (route: string, values: Record<string, string>): string => rows(`plans/${encodeURIComponent(plan.id)}/${route}`, values);
  const indicator = params["indicator"] ?? findMeasure(plan, id)?.indicators[0]?.id ?? "";
  switch (page) {
    case "overview":
    case "body":
    case "targets":
      return path("progress", lasting);
    case "bodies":
      return path("measures", lasting);
    case "districts":
    case "district":
      return path("districts", whole);
    case "measure":
      return indicator ? path(`indicators/${encodeURIComponent(indicator)}/months`, { ...lasting, ...pick(params, "period") }) : "";
    case "facts":
      return id ? path(`indicators/${encodeURIComponent(id)}/facts`, { ...lasting, ...pick(params, "period", "month") }) : "";
    case "receipts":
      return rows(`districts/${receiptsOf({ plan, address })}/receipts`, pick(params, "status", "type", "day", "code"));
    case "closings": {
      const month = id || (closed.at(-1) ?? "");
      return closed.includes(month) ? path(`closings/${month}`, pick(params, "district")) : path("closings", {});
    }
    case "health":
      return path("logs", {});
    default:
      return "";
  }
}

/** The briefing of the month of the day that is asked for, for the district that is; the last full month outside the plan. */
function briefingPath({ plan, address, asOf }: View, format: string): string {
  const district = address.page === "district" ? address.id : address.params["district"];
  const month = asOf >= plan.period.from && asOf <= plan.period.to ? { month: asOf.slice(0, 7) } : {};
  const values = { ...month, ...(district ? { district } : {}), ...pick(address.params, "known_at"), format, lang: language() };
  return `./v1/plans/${encodeURIComponent(plan.id)}/briefing?${new URLSearchParams(values)}`;
}

/** What puts this page into another one. */
function frameOf(address: string): string {
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: address, width: "100%", height: "640", title: t("app.name") });
  return frame.outerHTML;
}

export function Share({ view }: { view: View }): JSX.Element {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = ({ target }: Event): void => {
      if (menu.current && !menu.current.contains(target as Node)) menu.current.open = false;
    };
    addEventListener("pointerdown", close);
    return () => removeEventListener("pointerdown", close);
  }, []);
  const { plan, address } = view;
  const months = useQuery(address.page === "closings" ? pathOf("/v1/plans/{plan}/closings", { plan: plan.id }) : null);
  const closed = months.data?.months.map(({ month }) => month) ?? [];
  const csv = rowsPath(view, closed, "csv");
  const fixed = { ...view.address, params: { known_at: new Date().toISOString(), ...view.address.params } };
  return (
    <details class="menu" ref={menu}>
      <summary class="button">{t("share.title")}</summary>
      <div class="card">
        <h2>{t("share.briefing")}</h2>
        <ul>
          <Take path={briefingPath(view, "html")} opens>{t("share.html")}</Take>
          <Take path={briefingPath(view, "pdf")}>{t("share.pdf")}</Take>
          <Take path={briefingPath(view, "docx")}>{t("share.docx")}</Take>
          <Take path={briefingPath(view, "xlsx")}>{t("share.xlsx")}</Take>
          {csv && <Take path={csv}>{t("share.csv")}</Take>}
          {LISTED.includes(address.page) && <Take path={rowsPath(view, closed, "xlsx")}>{t("share.rows")}</Take>}
        </ul>
        {!csv && <p class="hint">{t("share.none")}</p>}
        <label>
          <span>{t("share.link")}</span>
          <input readOnly value={new URL(formatHash(fixed), location.href).href} onFocus={({ currentTarget }) => currentTarget.select()} />
        </label>
        {mayBeFramed() && fitsFrames(view.address.page) && (
          <label>
            <span>{t("share.frame")}</span>
            <input readOnly value={frameOf(new URL(formatHash(view.address), location.href).href)} onFocus={({ currentTarget }) => currentTarget.select()} />
          </label>
        )}
      </div>
    </details>
  );
}

/** A file to take away; where the key is in this tab alone the request must carry it. */
function Take({ path, opens = false, children }: { path: string; opens?: boolean; children: string }): JSX.Element {
  const fetched = keyOfTab();
  return (
    <li>
      <a
        href={path}
        {...(opens && !fetched ? { target: "_blank", rel: "noreferrer" } : { download: "" })}
        onClick={(click) => {
          if (!fetched) return;
          click.preventDefault();
          void save(path);
        }}
      >
        {children}
      </a>
    </li>
  );
}
