// Drafts of single reports: kept in this browser without anything personal, and sent once each when there is a network.
//
// A draft's id is the report's, so that however often it is sent, and from however many windows, it is one report.
// Receipts are asked first; what a browser remembers of the sending is trusted for nothing.
import { type Content, impersonal, type ReportForm } from "../api/forms";
import { Problem } from "../api/client";
import { type Receipt, receiptsOf, type Report, report as send } from "../api/tables";
import { mayPass, nextReport, outcomesOf } from "./submission";

export interface Draft {
  id: string;
  type: string;
  district: string;
  system: string;
  corrects: string | null;
  content: Content;
  /** Whether something personal was left out, so that it has to be filled in again. */
  lacking: boolean;
  /** Whether a person has pressed Send. */
  queued: boolean;
}

const STORAGE_KEY = "skillplan-drafts";
const SENT_KEY = "skillplan-sent";
const MOST_SENT = 50;
const LETTERS = "abcdefghijkmnpqrstuvwxyz";
const ID_LETTERS = 20;
const RETRY_MS = 3000;
const whole = new Map<string, Report>(); // of the queued ones: in memory alone, with what is not kept

/** An id that no other report has; letters alone, so that it reads like no number of a person. */
export function newId(): string {
  return `form-${Array.from(crypto.getRandomValues(new Uint8Array(ID_LETTERS)), (byte) => LETTERS[byte % LETTERS.length]).join("")}`;
}

export function drafts(): Draft[] {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]") as Draft[];
  } catch {
    return [];
  }
}

function store(all: Draft[]): void {
  if (all.length) localStorage.setItem(STORAGE_KEY, JSON.stringify(all));
  else localStorage.removeItem(STORAGE_KEY);
}

/** Keep a draft as it stands now, in the place of what was kept of it. */
export function keepDraft(form: ReportForm, draft: Omit<Draft, "lacking">): void {
  const content = impersonal(form, draft.content);
  const lacking = JSON.stringify(content) !== JSON.stringify(draft.content);
  store([...drafts().filter(({ id }) => id !== draft.id), { ...draft, content, lacking }]);
}

export function dropDraft(id: string): void {
  whole.delete(id);
  store(drafts().filter((draft) => draft.id !== id));
}

/** What stands is no draft any more; what does not can be mended and sent again. */
function settle(id: string, { status }: Receipt): void {
  if (["accepted", "waiting"].includes(status)) dropDraft(id);
  else {
    whole.delete(id);
    store(drafts().map((draft) => (draft.id === id ? { ...draft, queued: false } : draft)));
  }
}

/** Keep what a report that stands said, without anything personal, to begin from; the latest of this browser. */
export function keepSent(form: ReportForm, source: string, id: string, content: Content): void {
  const others = sentReports().filter(([name]) => name !== `${source} ${id}`);
  localStorage.setItem(SENT_KEY, JSON.stringify([...others.slice(1 - MOST_SENT), [`${source} ${id}`, impersonal(form, content)]]));
}

/** What a report said, as far as this browser sent it and may keep it. */
export function sentContent(source: string, id: string): Content {
  return sentReports().find(([name]) => name === `${source} ${id}`)?.[1] ?? {};
}

function sentReports(): [string, Content][] {
  try {
    return JSON.parse(localStorage.getItem(SENT_KEY) ?? "[]") as [string, Content][];
  } catch {
    return [];
  }
}

/** Whether this page is sending a draft, and so has the whole of it. */
export function pending(id: string): boolean {
  return whole.has(id);
}

/** Send a report until there is its receipt, however often the network goes; throws Problem for what no patience mends.
 * `onWait` is called with whether it waits. */
export async function deliver(report: Report, onWait: (waiting: boolean) => void): Promise<Receipt> {
  whole.set(report.id, report);
  for (;;) {
    try {
      const outcome = (await outcomesOf([report]))[0]!;
      const receipt = outcome.state === "settled" ? outcome.receipt : (await send([nextReport(report, outcome)]))[0];
      if (receipt) {
        const final = receipt.first ?? receipt;
        settle(report.id, final);
        return final;
      }
    } catch (error) {
      if (!(error instanceof Problem && mayPass(error))) {
        whole.delete(report.id);
        throw error;
      }
    }
    onWait(true);
    await network();
    onWait(false);
  }
}

/** Until the browser says that there is a network, or it is time to try. */
function network(): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      resolve();
    };
    const timer = setTimeout(go, RETRY_MS);
    window.addEventListener("online", go);
  });
}

/** The receipts of drafts that were sent before this page was opened, by id; those settle them. */
export async function settledDrafts(): Promise<Map<string, Receipt>> {
  const settled = new Map<string, Receipt>();
  for (const { id, district, system } of drafts().filter((draft) => draft.queued && !pending(draft.id))) {
    const receipt = (await receiptsOf(`/districts/${district}/${system}`, [id])).get(id);
    if (!receipt) continue;
    settled.set(id, receipt);
    settle(id, receipt);
  }
  return settled;
}
