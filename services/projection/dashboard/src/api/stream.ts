// Server-sent events by fetch, which unlike EventSource can send the key; reconnects by itself.
import { createParser } from "eventsource-parser";
import { get } from "./client";

export type Connection = "connecting" | "live" | "lost";

const RECONNECT_MS = [500, 1000, 2000, 4000, 8000];
// The server sends an event every two seconds as long as the database answers, at most two seconds after it did; silence
// means that nothing is known, and is told within ten seconds of the last answer.
const SILENCE_MS = 7_000;

export interface StreamHandlers {
  onConnection: (state: Connection) => void;
  onEvent: (data: unknown) => void;
}

/** Follow a stream until the returned function is called. */
export function follow(path: string, handlers: StreamHandlers): () => void {
  let stopped = false;
  let connection = new AbortController();
  let failures = 0;
  let wake: (() => void) | undefined;

  const readOnce = async (): Promise<void> => {
    connection = new AbortController();
    let silence = 0;
    const restartSilence = (): void => {
      clearTimeout(silence);
      silence = window.setTimeout(() => connection.abort(), SILENCE_MS);
    };
    restartSilence();
    try {
      // Only an event counts: what keeps a connection open says nothing of the database.
      const parser = createParser({
        onEvent: ({ data }) => {
          restartSilence();
          failures = 0;
          handlers.onConnection("live");
          handlers.onEvent(JSON.parse(data));
        },
      });
      const response = await get(path, connection.signal);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        parser.feed(value);
      }
    } finally {
      clearTimeout(silence);
      connection.abort();
    }
  };

  void (async () => {
    while (!stopped) {
      try {
        await readOnce();
      } catch {
        // Any failure ends in another attempt.
      }
      if (stopped) return;
      handlers.onConnection("lost");
      const pause = RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)]!;
      failures += 1;
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
    connection.abort();
    wake?.();
  };
}
