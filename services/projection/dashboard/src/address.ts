// Decides what the address of a view is: `#/<plan>/<page>/<id>?as_of=…`, so that every view can be sent and kept.

export const PAGES = ["overview", "measure", "districts", "district", "facts", "receipts", "closings", "health"] as const;
export type Page = (typeof PAGES)[number];

export interface Address {
  plan: string;
  page: Page;
  id: string;
  asked: Readonly<Record<string, string>>;
}

/** What goes along from view to view; everything else belongs to one page. */
const LASTING = ["as_of", "known_at", "district"];

export function read(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [plan = "", page = "", id = ""] = path.split("/").map(decodeURIComponent);
  const known = (PAGES as readonly string[]).includes(page) ? (page as Page) : "overview";
  return { plan, page: known, id, asked: Object.fromEntries(new URLSearchParams(query)) };
}

export function write(address: Address): string {
  const path = [address.plan, ...(address.page === "overview" ? [] : [address.page]), ...(address.id ? [address.id] : [])];
  const query = new URLSearchParams(Object.entries(address.asked).filter(([, value]) => value !== "")).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** The address of another page, with the day, the instant and the district taken along. */
export function to(from: Address, page: Page, id = "", asked: Record<string, string> = {}): string {
  const lasting = Object.fromEntries(Object.entries(from.asked).filter(([name]) => LASTING.includes(name)));
  return write({ plan: from.plan, page, id, asked: { ...lasting, ...asked } });
}

/** The same page asked something else; an empty text takes a question back. */
export function asking(from: Address, asked: Record<string, string>): string {
  return write({ ...from, asked: { ...from.asked, ...asked } });
}

/** The query of an API route for what the address asks. */
export function query(address: Address, ...names: string[]): string {
  const wanted = names.flatMap((name) => (address.asked[name] ? [[name, address.asked[name]] as [string, string]] : []));
  const text = new URLSearchParams(wanted).toString();
  return text ? `?${text}` : "";
}
