// HTTP requests to the API: each carries the key of this tab; what fails is a Problem.
import type { BilingualText } from "./schema";

/** An error as the API describes it (problem+json); status 0 where there was no answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly text: BilingualText | null = null,
  ) {
    super(text?.en ?? `status ${status}`);
  }

  /** The network or the server failed, so the same request may succeed later. */
  get temporary(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

const STORAGE_KEY = "skillplan-key";
// A half-open connection would leave its part of the page loading for ever.
const TIMEOUT_MS = 15_000;
const UNAUTHORIZED = 401;
let onUnauthorized: (() => void) | undefined;

/** Set what happens when the API refuses a request for want of a good key. */
export function setOnUnauthorized(act: () => void): void {
  onUnauthorized = act;
}

/** Keep the key for the session of this tab only. */
export function storeKey(key: string): void {
  sessionStorage.setItem(STORAGE_KEY, key);
}

/** Forget the key and all that was read with it. */
export function signOut(): void {
  sessionStorage.removeItem(STORAGE_KEY);
  window.location.reload();
}

export function hasKey(): boolean {
  return sessionStorage.getItem(STORAGE_KEY) !== null;
}

/** GET a path of the API; throws Problem, or the signal's reason when that aborts it. */
export async function get(path: string, signal: AbortSignal): Promise<Response> {
  const key = sessionStorage.getItem(STORAGE_KEY);
  let response: Response;
  try {
    response = await fetch(path, { headers: key ? { Authorization: `Bearer ${key}` } : {}, signal });
  } catch (error) {
    throw signal.aborted ? error : new Problem(0);
  }
  if (response.ok) return response;
  if (response.status === UNAUTHORIZED) onUnauthorized?.();
  const body = (await response.json().catch(() => null)) as Partial<BilingualText> | null;
  throw new Problem(response.status, body?.zh && body.en ? { zh: body.zh, en: body.en } : null);
}

/** GET a JSON body, complete within 15 seconds; throws Problem. */
export async function getJson(path: string): Promise<unknown> {
  try {
    return await (await get(path, AbortSignal.timeout(TIMEOUT_MS))).json();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0); // timed out, or broken off in the middle of the body
  }
}
