// The answers of the API, by path: cached and shared by TanStack Query, requested again whenever numbers have moved.
import { type Query as CachedQuery, QueryClient, QueryObserver, type QueryObserverOptions } from "@tanstack/query-core";
import { useEffect, useRef, useState } from "preact/hooks";
import { getJson, Problem } from "./client";
import type { Path } from "./routes";

export interface Query<T> {
  data: T | undefined;
  problem: Problem | undefined;
}

interface Failure {
  path: string;
  problem: Problem;
}

const RETRY_MS = 3000;
/** How long the first page may take to use what was requested for it; what moves meanwhile is requested again anyway. */
const PREFETCHED_MS = 10_000;
const client = new QueryClient({
  defaultOptions: {
    queries: {
      queryFn: ({ queryKey: [path] }) => getJson(path as string),
      networkMode: "always", // the API may be on this machine
      refetchOnWindowFocus: false,
      notifyOnChangeProps: ["data", "error"],
      // A problem is shown at once; while it is temporary the request is repeated.
      retry: false,
      refetchInterval: ({ state: { error } }) => error instanceof Problem && error.temporary && RETRY_MS,
    },
  },
});

function optionsOf<T>(path: Path<T> | null, once: boolean): QueryObserverOptions<T, Problem> {
  return {
    queryKey: [path],
    enabled: path !== null,
    staleTime: ({ state }) => (once && state.data !== undefined ? "static" : path !== null && prefetched.has(path) ? PREFETCHED_MS : 0),
  };
}

const prefetched = new Set<string>();

/** Request what a page is about to need; its answer is not requested again when the page comes to use it. */
export function prefetch(path: string): void {
  prefetched.add(path);
  void client.prefetchQuery({ queryKey: [path] });
}

/** Request everything on the page again. */
export function refetchAll(): void {
  for (const query of client.getQueryCache().findAll({ type: "active" })) void refetch(query);
}

/** An answer under way may be from before a change, so another request follows it: cancelling it would starve the page
 * while numbers move faster than answers arrive. */
async function refetch({ queryKey, state: { fetchStatus } }: CachedQuery): Promise<void> {
  const request = (): Promise<void> => client.refetchQueries({ queryKey, exact: true, type: "active" }, { cancelRefetch: false });
  await request(); // joins a request under way
  if (fetchStatus !== "idle") await request();
}

/** The answer of a path, renewed by `refetchAll`, or requested only `once`; `null` requests nothing. */
export function useQuery<T>(path: Path<T> | null, once = false): Query<T> {
  const options = client.defaultQueryOptions(optionsOf<T>(path, once));
  const [observer] = useState(() => new QueryObserver(client, options));
  const [, redraw] = useState(0);
  const failure = useRef<Failure | null>(null);
  const { data, error, isPending } = observer.getOptimisticResult(options);
  useEffect(() => observer.setOptions(options), [path, once]);
  useEffect(() => {
    const drawAgain = (): void => redraw((count) => count + 1);
    const unsubscribe = observer.subscribe(drawAgain);
    // What was prefetched may have been answered after this was drawn, and before anybody listened.
    const now = observer.getCurrentResult();
    if (now.data !== data || now.error !== error) drawAgain();
    return unsubscribe;
  }, [observer]);
  if (path !== null && error) failure.current = { path, problem: error };
  // A query without data forgets its error while it is requested again; the page shows it until there is an answer.
  else if (!isPending || failure.current?.path !== path) failure.current = null;
  return { data, problem: failure.current?.problem };
}

/** The last answer of a path, without a request. */
export function cachedAnswer<T>(path: Path<T>): T | undefined {
  return client.getQueryData([path]);
}
