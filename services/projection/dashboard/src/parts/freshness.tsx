// Whether the page is live: connected, as of when, and how many facts are not counted yet.
import type { JSX } from "preact";
import type { StreamEvent } from "../api/schema";
import type { Connection } from "../api/stream";
import { clock } from "../texts/format";
import { t } from "../texts/language";

interface FreshnessProps {
  connection: Connection;
  event: StreamEvent | null;
  /** When the last event arrived; its `behind` is null while a service does not answer. */
  at: Date;
  /** Whether the numbers are those known at an instant, which do not move. */
  fixed: boolean;
}

function connectionText({ connection, event, at, fixed }: FreshnessProps): string {
  if (connection === "lost") return t("live.lost", { at: clock(at) });
  if (connection === "connecting" || !event) return t("live.connecting");
  return fixed ? t("live.fixed") : t("live.live", { at: clock(at) });
}

function backlogText({ behind }: StreamEvent): string {
  if (behind === null) return t("live.unknown");
  return behind ? t("live.behind", { count: behind }) : "";
}

export function Freshness({ connection, event, at, fixed }: FreshnessProps): JSX.Element {
  const backlog = connection === "live" && event ? backlogText(event) : "";
  return (
    <p class={`fresh ${connection}`} data-connection={connection}>
      <i aria-hidden="true" />
      <span>{connectionText({ connection, event, at, fixed })}</span>
      {backlog && <em>{backlog}</em>}
      {/* Announced only when the connection changes, not with every event. */}
      <span class="unseen" role="status">
        {connection === "lost" ? t("live.lost", { at: clock(at) }) : ""}
      </span>
    </p>
  );
}
