// The address of a view: `#/<plan>/<page>/<id>?as_of=…`, so that every view can be sent and bookmarked.

export const PAGES = ["overview", "measure", "districts", "district", "bodies", "body", "facts", "receipts", "tables", "forms", "closings", "targets", "health", "difference", "unknown"] as const;
export type Page = (typeof PAGES)[number];
export type Params = Readonly<Record<string, string>>;

export interface Address {
  plan: string;
  page: Page;
  id: string;
  params: Params;
}

/** The pages that show numbers and decide nothing: what another page may have in a frame. */
const SHOWN_IN_FRAMES: readonly Page[] = ["overview", "measure", "districts", "district", "bodies", "body"];

export function fitsFrames(page: Page): boolean {
  return SHOWN_IN_FRAMES.includes(page);
}

/** Whether this page is shown within another one, where nobody can know what lies over a button. */
export const framed = window.self !== window.top;

/** Whether the server lets other pages show this one. */
export function mayBeFramed(): boolean {
  return document.querySelector('meta[name="skillplan-frames"]') !== null;
}

/** Parameters carried from page to page; the others belong to one page. */
const LASTING = ["as_of", "known_at", "district"];

export function parseHash(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [plan = "", name = "", id = ""] = path.split("/").map(decodeURIComponent);
  const page = name ? (PAGES.find((known) => known === name) ?? "unknown") : "overview";
  return { plan, page, id, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function formatHash(address: Address): string {
  const path = [address.plan, ...(address.page === "overview" ? [] : [address.page]), ...(address.id ? [address.id] : [])];
  const query = new URLSearchParams(Object.entries(address.params).filter(([, value]) => value !== "")).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** The address of another page, with the day, the instant and the district carried over. */
export function linkTo(from: Address, page: Page, id = "", params: Params = {}): string {
  const lasting = Object.fromEntries(Object.entries(from.params).filter(([name]) => LASTING.includes(name)));
  return formatHash({ plan: from.plan, page, id, params: { ...lasting, ...params } });
}

/** The same page with other parameters; an empty text removes one. */
export function withParams(from: Address, params: Params): string {
  return formatHash({ ...from, params: { ...from.params, ...params } });
}

/** Those of the named parameters that are set. */
export function pick<N extends string>(params: Params, ...names: N[]): Partial<Record<N, string>> {
  return Object.fromEntries(names.flatMap((name) => (params[name] ? [[name, params[name]]] : []))) as Partial<Record<N, string>>;
}
