// Decides how the things look that every page shows: signals, meters, states of waiting, error and emptiness.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Period, Signal } from "./answers";
import { type Answer, type Problem, askAgain } from "./api";
import { amount, number, percent } from "./format";
import { type Key, language, said, t } from "./language";

export const SIGNALS: readonly Signal[] = ["red", "amber", "green", "met", "none"];
export const SIGNAL_TEXT: Record<Signal, Key> = {
  met: "signal.met",
  green: "signal.green",
  amber: "signal.amber",
  red: "signal.red",
  none: "signal.none",
};
const SIGNAL_LONG: Record<Signal, Key> = {
  met: "signal.met.long",
  green: "signal.green.long",
  amber: "signal.amber.long",
  red: "signal.red.long",
  none: "signal.none.long",
};
// A shape besides the colour, for those who do not see it and for paper.
const SHAPES: Record<Signal, string> = {
  met: "M3 8.5l3.2 3.2L13 5",
  green: "M3 10l5-5 5 5",
  amber: "M3 8h10",
  red: "M3 6l5 5 5-5",
  none: "M5 8h6",
};

export function signalLong(signal: Signal): string {
  return t(SIGNAL_LONG[signal]);
}

export function Mark({ signal }: { signal: Signal }): JSX.Element {
  return (
    <svg class={`mark ${signal}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <circle cx="8" cy="8" r="8" />
      <path d={SHAPES[signal]} />
    </svg>
  );
}

export function SignalPill({ signal }: { signal: Signal }): JSX.Element {
  return (
    <span class={`pill ${signal}`} title={signalLong(signal)}>
      <Mark signal={signal} />
      {t(SIGNAL_TEXT[signal])}
    </span>
  );
}

/** A number that shows that it has just moved. */
export function Live({ children }: { children: string }): JSX.Element {
  const before = useRef(children);
  const [moves, setMoves] = useState(0);
  useEffect(() => {
    if (before.current !== children) {
      before.current = children;
      setMoves((count) => count + 1);
    }
  }, [children]);
  return (
    <span key={moves} class={moves ? "moved" : undefined}>
      {children}
    </span>
  );
}

/** How far a value is towards its target, with a tick where it should be by now. */
export function Meter({ period, unit }: { period: Period; unit: string }): JSX.Element | null {
  const { target, value, expected } = period;
  if (!target || target.value === null) return null;
  const scale = Math.max(target.value, target.upper ?? 0) || 1;
  const share = (of: number): number => Math.max(0, Math.min(1, of / scale)) * 100;
  const says = `${t("value.progress")} ${percent(period.progress)}${
    expected === null ? "" : ` · ${t("overview.of_expected", { expected: amount(expected, unit) })}`
  }`;
  return (
    <span class="meter" role="img" aria-label={says} title={says}>
      <i class={`fill ${period.signal}`} style={{ width: `${value === null ? 0 : share(value)}%` }} />
      {expected !== null && <i class="tick" style={{ left: `${share(expected)}%` }} />}
    </span>
  );
}

export function Parts({ period }: { period: Period }): JSX.Element | null {
  if (period.denominator === null || !period.computable) return null;
  const { numerator, denominator } = period;
  return (
    <small class="parts">
      {t("value.parts", { numerator: number(numerator), denominator: number(denominator) })}
    </small>
  );
}

export function Value({ period, unit, name }: { period: Period; unit: string; name: string }): JSX.Element {
  if (period.value === null) return <span class="no-data">{t("value.no_data")}</span>;
  return (
    <span class="value">
      <b>
        <Live>{amount(period.value, unit)}</Live>
      </b>
      {name && <small>{name}</small>}
    </span>
  );
}

export function Skeleton({ lines = 6 }: { lines?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label={t("state.loading")}>
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} style={{ width: `${92 - ((line * 23) % 47)}%` }} />
      ))}
    </div>
  );
}

export function Failed({ problem }: { problem: Problem }): JSX.Element {
  const text = problem.says
    ? said(problem.says)
    : problem.status === 0
      ? t("state.offline")
      : problem.status === 404
        ? t("state.no_page")
        : t("state.failed", { status: problem.status });
  return (
    <div class="state failed" role="alert">
      <p>{text}</p>
      <button type="button" onClick={askAgain}>
        {t("state.retry")}
      </button>
    </div>
  );
}

/** What is had, or why it is not had; what was had stays while it is asked again. */
export function Shown<T>({ of, lines, children }: {
  of: Answer<T>;
  lines?: number;
  children: (data: T) => ComponentChildren;
}): JSX.Element {
  if (of.data !== undefined) {
    return (
      <>
        {of.problem && <Failed problem={of.problem} />}
        {children(of.data)}
      </>
    );
  }
  return of.problem ? <Failed problem={of.problem} /> : <Skeleton {...(lines ? { lines } : {})} />;
}

export function Note({ title, children }: { title?: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="state note">
      {title && <h2>{title}</h2>}
      <p>{children}</p>
    </div>
  );
}

/** The policy's own words, in its own language. */
export function Clause({ text }: { text: string }): JSX.Element {
  return (
    <blockquote class="clause" {...(language() === "en" ? { lang: "zh-CN" } : {})}>
      {text}
    </blockquote>
  );
}
