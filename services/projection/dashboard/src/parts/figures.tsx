// A number of an indicator: its value, its numerator and denominator, and how far it is towards its target.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { CellState, IndicatorProgress, PeriodProgress } from "../api/schema";
import { achieved, expectedText, number, progressText } from "../texts/format";
import { t } from "../texts/language";

/** The latest period that has begun; an overview speaks of it. */
export function latestPeriod(indicator: IndicatorProgress): PeriodProgress | undefined {
  return indicator.periods.at(-1);
}

/** A number that flashes when it has changed. */
function Changing({ children }: { children: string }): JSX.Element {
  const before = useRef(children);
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    if (before.current !== children) {
      before.current = children;
      setChanges((count) => count + 1);
    }
  }, [children]);
  return (
    <span key={changes} class={changes ? "moved" : undefined}>
      {children}
    </span>
  );
}

/** How far a value is towards its target, with a tick where it should be by now. */
export function Meter({ period, unit }: { period: CellState; unit: string }): JSX.Element | null {
  const { target, value, expected } = period;
  if (!target) return null;
  const scale = Math.max(target.value, target.upper ?? 0) || 1;
  const share = (part: number): number => Math.max(0, Math.min(1, part / scale)) * 100;
  const label = `${t("value.progress")} ${progressText(period)}${
    expected === null ? "" : ` · ${t("overview.of_expected", { expected: expectedText(period, unit) })}`
  }`;
  return (
    <span class="meter" role="img" aria-label={label} title={label}>
      <i class={`fill ${period.signal}`} style={{ width: `${value === null ? 0 : share(value)}%` }} />
      {expected !== null && <i class="tick" style={{ left: `${share(expected)}%` }} />}
    </span>
  );
}

export function Parts({ period }: { period: CellState }): JSX.Element | null {
  if (period.denominator === null || !period.computable) return null;
  const { numerator, denominator } = period;
  return (
    <small class="parts">
      {t("value.parts", { numerator: number(numerator), denominator: number(denominator) })}
    </small>
  );
}

export function Value({ period, unit, name }: { period: CellState; unit: string; name: string }): JSX.Element {
  if (period.value === null) return <span class="no-data">{t("value.no_data")}</span>;
  return (
    <span class="value">
      <b>
        <Changing>{achieved(period, unit)}</Changing>
      </b>
      {name && <small>{name}</small>}
    </span>
  );
}
