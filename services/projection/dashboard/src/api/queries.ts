// Queries: one request a path at a time, shared by all who need it; the last answer is shown until the next one arrives.
import { useEffect, useState } from "preact/hooks";
import { getJson, Problem } from "./client";

export interface Query<T> {
  data: T | undefined;
  problem: Problem | undefined;
}

const RETRY_MS = 3000;
const CACHE_SIZE = 60;
const cache = new Map<string, unknown>();
const inFlight = new Map<string, Promise<unknown>>();
const listeners = new Set<() => void>();
let version = 0;

function request(path: string): Promise<unknown> {
  const running = inFlight.get(path);
  if (running) return running;
  const started = getJson(path).finally(() => inFlight.get(path) === started && inFlight.delete(path));
  inFlight.set(path, started);
  return started;
}

function store(path: string, data: unknown): void {
  cache.delete(path);
  cache.set(path, data);
  if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value as string);
}

/** Request what a page is about to need. */
export function prefetch(path: string): void {
  request(path).then(
    (data) => store(path, data),
    () => undefined, // whoever needs it requests it again and shows the problem
  );
}

/** Request everything on the page again. */
export function refetchAll(): void {
  version += 1;
  inFlight.clear(); // a request under way may be answered with numbers from before
  for (const listener of listeners) listener();
}

/** The answer of a path, requested again whenever numbers have moved, or only `once`; `null` requests nothing. */
export function useQuery<T>(path: string | null, once = false): Query<T> {
  const [, redraw] = useState(0);
  const [failure, setFailure] = useState<{ path: string; problem: Problem } | undefined>();
  const data = path === null ? undefined : (cache.get(path) as T | undefined);
  useEffect(() => {
    if (path === null) return;
    // A prefetched answer may have arrived since this was drawn; nobody else would draw it.
    if (data === undefined && cache.has(path)) redraw((count) => count + 1);
    let stopped = false;
    let running = false;
    let requested = -1;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      if (running) return; // it looks again when it is done
      running = true;
      while (!stopped && requested !== version && !(once && cache.has(path))) {
        requested = version;
        try {
          const body = await request(path);
          if (stopped) break;
          store(path, body);
          setFailure(undefined);
          redraw((count) => count + 1);
        } catch (error) {
          if (stopped) break;
          if (!(error instanceof Problem)) throw error;
          setFailure({ path, problem: error });
          if (error.temporary) {
            timer = setTimeout(() => {
              requested = -1;
              void run();
            }, RETRY_MS);
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
      clearTimeout(timer);
      listeners.delete(listener);
    };
  }, [path, once]);
  return { data, problem: failure?.path === path ? failure?.problem : undefined };
}

/** The last answer of a path, without a request. */
export function cachedAnswer<T>(path: string): T | undefined {
  return cache.get(path) as T | undefined;
}
