// The states of a part of a page: loading, failed, empty, loaded.
import type { ComponentChildren, JSX } from "preact";
import type { Problem } from "../api/client";
import { type Query, refetchAll } from "../api/queries";
import { localized, t } from "../texts/language";

export function Skeleton({ lines = 6 }: { lines?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label={t("state.loading")}>
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} style={{ width: `${92 - ((line * 23) % 47)}%` }} />
      ))}
    </div>
  );
}

function problemText({ status, text }: Problem): string {
  if (text) return localized(text);
  if (status === 0) return t("state.offline");
  return status === 404 ? t("state.no_page") : t("state.failed", { status });
}

/** Why something could not be done, in one sentence. */
export function Sentence({ problem }: { problem: Problem | string }): JSX.Element {
  return (
    <div class="state failed" role="alert">
      <p>{typeof problem === "string" ? problem : problemText(problem)}</p>
    </div>
  );
}

export function Failed({ problem }: { problem: Problem }): JSX.Element {
  return (
    <div class="state failed" role="alert">
      <p>{problemText(problem)}</p>
      <button type="button" onClick={refetchAll}>
        {t("state.retry")}
      </button>
    </div>
  );
}

interface LoadedProps<T> {
  query: Query<T>;
  lines?: number;
  children: (data: T) => ComponentChildren;
}

/** A query's data, or why there is none; data that could not be renewed stays, with the problem above it. */
export function Loaded<T>({ query, lines, children }: LoadedProps<T>): JSX.Element {
  if (query.data !== undefined) {
    return (
      <>
        {query.problem && <Failed problem={query.problem} />}
        {children(query.data)}
      </>
    );
  }
  return query.problem ? <Failed problem={query.problem} /> : <Skeleton {...(lines ? { lines } : {})} />;
}

export function Note({ title, children }: { title?: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="state note">
      {title && <h2>{title}</h2>}
      <p>{children}</p>
    </div>
  );
}
