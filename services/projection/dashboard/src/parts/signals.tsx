// The signals of a target: a shape, a colour and a word each.
import type { JSX } from "preact";
import type { CellState } from "../api/schema";
import { type Key, t } from "../texts/language";

export type Signal = CellState["signal"];
export const SIGNALS: readonly Signal[] = ["red", "amber", "green", "met", "none"];
const NAMES: Record<Signal, Key> = {
  met: "signal.met",
  green: "signal.green",
  amber: "signal.amber",
  red: "signal.red",
  none: "signal.none",
};
const MEANINGS: Record<Signal, Key> = {
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

export function signalName(signal: Signal): string {
  return t(NAMES[signal]);
}

export function signalMeaning(signal: Signal): string {
  return t(MEANINGS[signal]);
}

export function Mark({ signal }: { signal: Signal }): JSX.Element {
  return (
    <svg class={`mark ${signal}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <circle cx="8" cy="8" r="8" />
      <path d={SHAPES[signal]} />
    </svg>
  );
}

/** In place of a signal, where the whole has a target that is not split to the district. */
export function UnsplitPill(): JSX.Element {
  return (
    <span class="pill none" title={t("signal.unsplit.long")}>
      <Mark signal="none" />
      {t("signal.unsplit")}
    </span>
  );
}

export function SignalPill({ signal }: { signal: Signal }): JSX.Element {
  return (
    <span class={`pill ${signal}`} title={signalMeaning(signal)}>
      <Mark signal={signal} />
      {signalName(signal)}
    </span>
  );
}
