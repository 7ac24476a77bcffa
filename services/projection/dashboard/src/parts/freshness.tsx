// Whether the page is live: connected, as of when, and how many facts are not counted yet.
import type { JSX } from "preact";
import type { Connection } from "../api/stream";
import { clock } from "../texts/format";
import { t } from "../texts/language";

/** One event of the stream; `behind` is null while a service does not answer. */
export interface Beat {
  moved: boolean;
  day: string;
  behind: number | null;
}

interface FreshnessProps {
  connection: Connection;
  beat: Beat | null;
  /** When the last beat came. */
  at: Date;
  /** Whether the numbers are those known at an instant, which do not move. */
  fixed: boolean;
}

function connectionText({ connection, beat, at, fixed }: FreshnessProps): string {
  if (connection === "lost") return t("live.lost", { at: clock(at) });
  if (connection === "connecting" || !beat) return t("live.connecting");
  return fixed ? t("live.fixed") : t("live.live", { at: clock(at) });
}

function backlogText({ behind }: Beat): string {
  if (behind === null) return t("live.unknown");
  return behind ? t("live.behind", { count: behind }) : "";
}

export function Freshness({ connection, beat, at, fixed }: FreshnessProps): JSX.Element {
  const backlog = connection === "live" && beat ? backlogText(beat) : "";
  return (
    <p class={`fresh ${connection}`} data-connection={connection}>
      <i aria-hidden="true" />
      <span>{connectionText({ connection, beat, at, fixed })}</span>
      {backlog && <em>{backlog}</em>}
      {/* Announced only when the connection changes, not with every beat. */}
      <span class="unseen" role="status">
        {connection === "lost" ? t("live.lost", { at: clock(at) }) : ""}
      </span>
    </p>
  );
}
