// Hides how answers are had: one key a session, one fetch a question, what is shown stays until the next answer is there.
import { useEffect, useState } from "preact/hooks";

export interface Bilingual {
  zh: string;
  en: string;
}

/** An error as the API says it (problem+json), or as the network does. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly says: Bilingual | null,
  ) {
    super(says?.en ?? `status ${status}`);
  }
}

const KEY = "skillplan-key";
const UNAUTHORIZED = 401;

/** Keys are kept for the session of this tab only. */
export function keepKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}


function headers(): Record<string, string> {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Ask a route; raises Problem. */
export async function ask(path: string, signal?: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { headers: headers(), ...(signal ? { signal } : {}) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, null);
  }
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => null)) as Bilingual | null;
  throw new Problem(answer.status, said?.zh && said.en ? { zh: said.zh, en: said.en } : null);
}

// An answer that takes longer is none: the line is half open, and would leave its part of the page waiting for ever.
const PATIENCE_MS = 15_000;
const asking = new Map<string, Promise<unknown>>();

/** What several parts of a page want to know at once is asked once. */
function together(path: string): Promise<unknown> {
  const already = asking.get(path);
  if (already) return already;
  const asked = ask(path, AbortSignal.timeout(PATIENCE_MS))
    .then((answer) => answer.json() as Promise<unknown>)
    .catch((error: unknown) => {
      throw error instanceof Problem ? error : new Problem(0, null); // the line is dead, or broke in the midst of an answer
    })
    .finally(() => asking.get(path) === asked && asking.delete(path));
  asking.set(path, asked);
  return asked;
}

/** Begin to ask what a page is about to want. */
export function askAhead(path: string): void {
  together(path).then(
    (data) => keep(path, data),
    () => undefined, // whoever wants it asks again and is told
  );
}

function keep(path: string, data: unknown): void {
  kept.delete(path);
  kept.set(path, data);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as string);
}

export interface Answer<T> {
  data: T | undefined;
  problem: Problem | undefined;
  /** No answer yet, and none is shown. */
  waiting: boolean;
}

const MOST_KEPT = 60;
// What failed by no fault of the question is asked again by itself.
const ASK_AGAIN_MS = 3000;
const kept = new Map<string, unknown>();
let moved = 0;
const listeners = new Set<() => void>();
let refused: (() => void) | undefined;

/** What to do when a key is asked for. */
export function onRefused(act: () => void): void {
  refused = act;
}

/** Every question that is shown is asked again. */
export function askAgain(): void {
  moved += 1;
  asking.clear(); // what was asked before may be answered from before
  for (const listener of listeners) listener();
}

/** The answer of a route, asked again whenever numbers have moved, or had `once`; `null` asks nothing. */
export function useAnswer<T>(path: string | null, once = false): Answer<T> {
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<[string, Problem] | undefined>();
  const data = path === null ? undefined : (kept.get(path) as T | undefined);
  useEffect(() => {
    if (path === null) return;
    // What was asked ahead may have come since this was drawn; nobody else would draw it.
    if (data === undefined && kept.has(path)) redraw((count) => count + 1);
    let stopped = false;
    let running = false;
    let asked = -1;
    let again: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      if (running) return; // it looks again when it is done
      running = true;
      while (!stopped && asked !== moved && !(once && kept.has(path))) {
        asked = moved;
        try {
          const data = await together(path);
          if (stopped) break;
          keep(path, data);
          setProblem(undefined);
          redraw((count) => count + 1);
        } catch (error) {
          if (stopped) break;
          if (!(error instanceof Problem)) throw error;
          if (error.status === UNAUTHORIZED) refused?.();
          setProblem([path, error]);
          if (error.status === 0 || error.status >= 500) {
            again = setTimeout(() => {
              asked = -1;
              void run();
            }, ASK_AGAIN_MS);
          }
        }
      }
      running = false;
    };
    const listener = (): void => void run();
    listeners.add(listener);
    void run();
    return () => {
      stopped = true;
      clearTimeout(again);
      listeners.delete(listener);
    };
  }, [path, once]);
  const own = problem !== undefined && problem[0] === path ? problem[1] : undefined;
  return { data, problem: own, waiting: path !== null && data === undefined && own === undefined };
}

/** What was answered last, without asking. */
export function peek<T>(path: string): T | undefined {
  return kept.get(path) as T | undefined;
}

export type Connection = "connecting" | "live" | "lost";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
// The server sends a heartbeat every few seconds; a line that is silent for longer is dead.
const SILENCE_MS = 20_000;

/** Follow a stream of events by fetch, which unlike EventSource can send the key; comes back by itself. */
export function follow(path: string, tell: (state: Connection) => void, take: (data: unknown) => void): () => void {
  let stopped = false;
  let abort = new AbortController();
  let tries = 0;
  let wake: (() => void) | undefined;

  const once = async (): Promise<void> => {
    abort = new AbortController();
    let silence = 0;
    const heard = (): void => {
      clearTimeout(silence);
      silence = window.setTimeout(() => abort.abort(), SILENCE_MS);
    };
    heard();
    try {
      const answer = await ask(path, abort.signal);
      tell("live");
      tries = 0;
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const data = block.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice(5)] : []));
          if (data.length) take(JSON.parse(data.join("\n")));
        }
      }
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  };

  void (async () => {
    while (!stopped) {
      try {
        await once();
      } catch (error) {
        if (error instanceof Problem && error.status === UNAUTHORIZED) refused?.();
      }
      if (stopped) return;
      tell("lost");
      const pause = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]!;
      tries += 1;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  })();
  const online = (): void => wake?.();
  window.addEventListener("online", online);
  return () => {
    stopped = true;
    window.removeEventListener("online", online);
    abort.abort();
    wake?.();
  };
}
