// HTTP requests to the API: each carries the session of this browser, or the key of this tab; what fails is a Problem.
import type { BilingualText } from "./schema";

export interface FileFault extends BilingualText {
  line: number | null;
  path: string;
}

/** An error as the API describes it (problem+json); status 0 where there was no answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly text: BilingualText | null = null,
    /** What is wrong in a file that was sent, line by line. */
    readonly faults: readonly FileFault[] = [],
  ) {
    super(text?.en ?? `status ${status}`);
  }

  /** The network or the server failed, so the same request may succeed later. */
  get temporary(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

const STORAGE_KEY = "skillplan-key";
// Beside the session's cookie, which no script can read: what a request that changes something must say.
const TOKEN_COOKIE = "skillplan-csrf";
// A half-open connection would leave its part of the page loading for ever.
const TIMEOUT_MS = 15_000;
const LONG_TIMEOUT_MS = 120_000;
const UNAUTHORIZED = 401;
// Requests go out before the page is drawn: one may have been refused before there is anybody to say so to.
let refusedEarly = false;
let onUnauthorized = (): void => {
  refusedEarly = true;
};

/** Set what happens when the API refuses a request for want of a good key, or has refused one. */
export function setOnUnauthorized(act: () => void): void {
  onUnauthorized = act;
  if (refusedEarly) act();
  refusedEarly = false;
}

function sessionToken(): string | undefined {
  return new RegExp(`(?:^|; )${TOKEN_COOKIE}=([0-9a-f]+)`).exec(document.cookie)?.[1];
}

/** Sign in: the gateway keeps the key in a cookie, for this session or 30 days; any other service has none, and the key
 * stays in this tab. Throws Problem. */
export async function signIn(key: string, keep: boolean): Promise<void> {
  sessionStorage.removeItem(STORAGE_KEY);
  const path = `./v1/session?days=${keep ? 30 : 0}`;
  const response = await answered(path, { method: "POST", headers: { Authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status === 404 || response.status === 405) sessionStorage.setItem(STORAGE_KEY, key);
  else if (!response.ok) throw await problemOf(response);
}

/** Forget the key and all that was read with it. */
export async function signOut(): Promise<void> {
  sessionStorage.removeItem(STORAGE_KEY);
  if (hasSession()) await send("DELETE", "./v1/session").catch(() => undefined);
  window.location.reload();
}

/** Whether the gateway holds a session for this browser. */
export function hasSession(): boolean {
  return sessionToken() !== undefined;
}

export function hasKey(): boolean {
  return hasSession() || sessionStorage.getItem(STORAGE_KEY) !== null;
}

/** Whether the key is kept in this tab, so that a plain link would go without it. */
export function keyOfTab(): boolean {
  return sessionStorage.getItem(STORAGE_KEY) !== null;
}

/** Save what a path answers as a file, by the name that the API gives it; throws Problem. */
export async function save(path: string): Promise<void> {
  const response = await get(path, AbortSignal.timeout(LONG_TIMEOUT_MS));
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
  saveBlob(await response.blob(), name ?? "skillplan.html");
}

/** Save a file by a name. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function credentials(): Record<string, string> {
  const key = sessionStorage.getItem(STORAGE_KEY);
  if (key) return { Authorization: `Bearer ${key}` };
  const token = sessionToken();
  return token ? { "X-CSRF-Token": token } : {};
}

async function answered(path: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(path, request);
  } catch (error) {
    throw request.signal?.aborted && (error as Error).name !== "TimeoutError" ? error : new Problem(0);
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as (Partial<BilingualText> & { faults?: FileFault[] }) | null;
  return new Problem(response.status, body?.zh && body.en ? { zh: body.zh, en: body.en } : null, body?.faults);
}

async function good(response: Response): Promise<Response> {
  if (response.ok) return response;
  if (response.status === UNAUTHORIZED) onUnauthorized();
  throw await problemOf(response);
}

/** GET a path of the API; throws Problem, or the signal's reason when that aborts it. */
export async function get(path: string, signal: AbortSignal): Promise<Response> {
  return good(await answered(path, { headers: credentials(), signal }));
}

/** GET a JSON body, complete within 15 seconds; throws Problem. */
export async function getJson(path: string): Promise<unknown> {
  try {
    return await (await get(path, AbortSignal.timeout(TIMEOUT_MS))).json();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0); // timed out, or broken off in the middle of the body
  }
}

async function sent(method: string, path: string, body: unknown, type: string): Promise<Response> {
  const headers = { ...credentials(), ...(body === undefined ? {} : { "Content-Type": type }) };
  const request = { method, headers, signal: AbortSignal.timeout(LONG_TIMEOUT_MS), ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  return good(await answered(path, request));
}

/** Send a request that changes something, or whose question is a body; throws Problem. */
export async function send(method: "POST" | "DELETE", path: string, body?: unknown, type = "application/json"): Promise<unknown> {
  try {
    const response = await sent(method, path, body, type);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0);
  }
}

/** POST a file as it is and return what is said of it; throws Problem. */
export async function sendFile(path: string, file: File, type: string): Promise<unknown> {
  try {
    const headers = { ...credentials(), "Content-Type": type };
    return await (await good(await answered(path, { method: "POST", headers, body: file, signal: AbortSignal.timeout(LONG_TIMEOUT_MS) }))).json();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0);
  }
}

/** POST what is decided: the receipt, whether it was accepted or refused; throws Problem where nothing was decided. */
export async function sendForReceipt(path: string, body: unknown): Promise<unknown> {
  const headers = { ...credentials(), "Content-Type": "application/json" };
  const response = await answered(path, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(LONG_TIMEOUT_MS) });
  const answer = (await response.clone().json().catch(() => null)) as { status?: unknown } | null;
  if (typeof answer?.status === "string") return answer;
  await good(response);
  throw new Problem(0);
}

/** POST a body whose answer is a file; throws Problem. */
export async function sendFor(path: string, body: unknown): Promise<Blob> {
  try {
    return await (await sent("POST", path, body, "application/json")).blob();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0);
  }
}
