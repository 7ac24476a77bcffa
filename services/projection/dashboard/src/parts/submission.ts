// What became of each row of a table, asked anew each time, and the sending of what was never decided: nothing twice.
//
// A row's report has an id made of the row. Where that id was decided with another content the next one is `<id>.2`: a
// correction where the earlier one stands, the row reported anew where it was refused (RULES A4, A5, B8).
import { Problem } from "../api/client";
import { type Receipt, receiptsOf, type Report, report as send, validate } from "../api/tables";

export type State = "new" | "changed" | "settled" | "retracted";

/** `standing`: the ids under which this row stands, each but the first a correction of the one before; `next`: that of
 * what is sent next. */
export interface Outcome {
  state: State;
  receipt: Receipt | null;
  id: string | null;
  standing: string[];
  next: string;
}

interface Walk {
  report: Report;
  step: number;
  standing: string[];
  accepted: string | null; // the last id that was ever accepted, taken back since or not
  settled: { id: string; receipt: Receipt; retracted: boolean } | null;
}

const MOST_PAIRS = 1000;
const BATCH = 50;
const PAUSES_MS = [1000, 2000, 5000, 10_000];

function idAt(id: string, step: number): string {
  return step === 1 ? id : `${id}.${step}`;
}

export function retractionId(id: string): string {
  return `${id}.r`;
}

function stands(receipt: Receipt): boolean {
  return receipt.status === "accepted" || receipt.status === "waiting";
}

/** How many of the reports have a receipt already, whatever they said. */
export async function knownBefore(reports: Report[]): Promise<number> {
  let known = 0;
  for (const part of parts(reports, MOST_PAIRS)) known += (await receiptsOf(part[0]!.source, part.map(({ id }) => id))).size;
  return known;
}

/** What became of each report, in order. */
export async function outcomesOf(reports: Report[]): Promise<Outcome[]> {
  const walks = reports.map((report): Walk => ({ report, step: 1, standing: [], accepted: null, settled: null }));
  let open = walks;
  while (open.length) {
    const going: Walk[] = [];
    for (const part of parts(open, MOST_PAIRS / 2)) going.push(...(await advance(part)));
    open = going;
  }
  return walks.map(outcomeOf);
}

function outcomeOf({ report, step, standing, settled }: Walk): Outcome {
  const next = idAt(report.id, step);
  if (settled) return { state: settled.retracted ? "retracted" : "settled", receipt: settled.receipt, id: settled.id, standing, next };
  return { state: standing.length ? "changed" : "new", receipt: null, id: null, standing, next };
}

/** Take every walk one id further; return those whose id was in use. */
async function advance(walks: Walk[]): Promise<Walk[]> {
  const idOf = ({ report, step }: Walk): string => idAt(report.id, step);
  const receipts = await receiptsOf(walks[0]!.report.source, walks.flatMap((walk) => [idOf(walk), retractionId(idOf(walk))]));
  const used = walks.filter((walk) => receipts.has(idOf(walk)));
  const going: Walk[] = [];
  for (const part of parts(used, BATCH)) {
    const answers = await compared(part, idOf);
    part.forEach((walk, at) => {
      const answer = answers[at];
      const first = answer?.first;
      const id = idOf(walk);
      if (!answer || !first) return; // it binds nothing (RULES A3): the same id may be sent
      const retracted = receipts.get(retractionId(id))?.status === "accepted";
      if (answer.status === "duplicate") walk.settled = { id, receipt: first, retracted };
      else if (stands(first)) walk.settled = null;
      if (stands(first)) {
        walk.accepted = id;
        if (!retracted) walk.standing = [...walk.standing, id];
      }
      walk.step += 1;
      going.push(walk);
    });
  }
  return going;
}

/** What each row would be answered under an id that is in use: as a correction of what stands, of what stood when it was
 * sent, or of nothing. The first of these that was sent is a duplicate. */
async function compared(walks: Walk[], idOf: (walk: Walk) => string): Promise<(Receipt | null)[]> {
  const tried = walks.map(({ standing, accepted }) => [...new Set([standing.at(-1) ?? null, accepted, null])]);
  const answers: (Receipt | null)[] = walks.map(() => null);
  for (let open = walks.map((_, at) => at), turn = 0; open.length; turn += 1) {
    const results = await patiently(() => validate(open.map((at) => eventOf(walks[at]!.report, idOf(walks[at]!), tried[at]![turn] ?? null))));
    open.forEach((at, place) => { answers[at] = results[place] ?? null; });
    open = open.filter((at) => answers[at]?.first && answers[at]?.status !== "duplicate" && turn + 1 < tried[at]!.length);
  }
  return answers;
}

function eventOf(report: Report, id: string, corrects: string | null): Report {
  return corrects ? { ...report, id, corrects } : { ...report, id };
}

/** The report that is to be sent for a row: in the place of what stands, where something does. */
export function nextReport(report: Report, outcome: Outcome): Report {
  return eventOf(report, outcome.next, outcome.standing.at(-1) ?? null);
}

export function retractionOf(report: Report, id: string, reason: string): Report {
  return {
    specversion: "1.0",
    id: retractionId(id),
    source: report.source,
    type: `skillplan.${report.type.split(".")[1]}.report-retracted.v1`,
    subject: report.subject,
    time: new Date().toISOString(),
    district: report.district,
    data: { report_id: id, reason },
  };
}

/** Send reports in batches, again and again until each has its receipt; `onReceipt` gets each one as it comes.
 *
 * A service that is away, a gateway that restarts and a laptop that was closed cost time and nothing else: the same
 * report again is the same report. Ends early when `stopped` says so; throws Problem for what no patience mends. */
export async function sendAll(reports: Report[], onReceipt: (at: number, receipt: Receipt) => void, onWait: (waiting: boolean) => void, stopped: () => boolean): Promise<void> {
  let left = reports.map((_, at) => at);
  for (let failures = 0; left.length && !stopped(); ) {
    const part = left.slice(0, BATCH);
    let answers: (Receipt | null)[] = [];
    try {
      answers = await send(part.map((at) => reports[at]!));
    } catch (error) {
      if (!(error instanceof Problem && mayPass(error))) throw error;
    }
    const done = new Set<number>();
    part.forEach((at, place) => {
      const receipt = answers[place];
      if (!receipt) return;
      done.add(at);
      onReceipt(at, receipt);
    });
    // What could not be decided now goes to the end, so that one service that is away keeps nobody from the others.
    left = [...left.slice(part.length), ...part.filter((at) => !done.has(at))];
    failures = done.size ? 0 : failures + 1;
    onWait(done.size === 0);
    if (!done.size) await pause(failures);
  }
}

export function mayPass(problem: Problem): boolean {
  return problem.temporary || problem.status === 408 || problem.status === 429;
}

async function patiently<T>(request: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof Problem && mayPass(error)) || failures > PAUSES_MS.length) throw error;
      await pause(failures);
    }
  }
}

function pause(failures: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, PAUSES_MS[Math.min(failures, PAUSES_MS.length) - 1]); });
}

function parts<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
