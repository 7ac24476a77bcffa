// Numbers, units and dates as text in the current language; a missing value is a dash, never a 0.
import type { BilingualText, TargetValue } from "../api/schema";
import { language, localized, t } from "./language";

const locale = (): string => (language() === "zh" ? "zh-CN" : "en-GB");
export const DASH = "–";
const FEN = 100;
const MANY_YUAN = 10_000;

export function number(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return DASH;
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

/** An amount of fen in yuan; in Chinese large sums in ten thousands. */
export function money(fen: number): string {
  const yuan = fen / FEN;
  if (language() === "zh" && Math.abs(yuan) >= MANY_YUAN) return t("money.many", { amount: number(yuan / MANY_YUAN, 2) });
  return t("money.yuan", { amount: number(yuan, 2) });
}

export function amount(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return DASH;
  if (unit === "fen") return money(value);
  return unit === "%" ? `${number(value)}%` : number(value);
}

/** The unit to stand beside a number, where the number does not carry it already. */
export function unitName(unit: string, units: Record<string, BilingualText>): string {
  return unit === "%" || unit === "fen" ? "" : localized(units[unit]);
}

export function signed(value: number, unit: string): string {
  return (value > 0 ? "+" : value < 0 ? "−" : "±") + amount(Math.abs(value), unit);
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return DASH;
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(share);
}

export function targetText(target: TargetValue | null, unit: string): string {
  if (!target) return t("target.none");
  const value = amount(target.value, unit);
  switch (target.op) {
    case "range":
      return `${value}–${amount(target.upper, unit)}`;
    case "all":
      return t("target.all", { count: value });
    case "=":
      return `= ${value}`;
    case ">":
      return `> ${value}`;
    default:
      return `≥ ${value}`;
  }
}

/** A date `YYYY-MM-DD`, whatever zone the browser is in. */
export function day(iso: string | null | undefined): string {
  if (!iso) return DASH;
  const style = { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" } as const;
  return formatDate(new Date(`${iso}T00:00:00Z`), style);
}

export function month(iso: string): string {
  const style = { year: "numeric", month: "short", timeZone: "UTC" } as const;
  return new Intl.DateTimeFormat(locale(), style).format(new Date(`${iso}-01T00:00:00Z`));
}

/** An instant, in the city's time. */
export function instant(iso: string | null | undefined): string {
  if (!iso) return DASH;
  const style = { dateStyle: "short", timeStyle: "medium", timeZone: "Asia/Shanghai" } as const;
  return formatDate(new Date(iso), style);
}

/** An address may hold any text for a date: the API explains what is wrong with it, the page must not break. */
function formatDate(date: Date, style: Intl.DateTimeFormatOptions): string {
  return Number.isNaN(date.getTime()) ? DASH : new Intl.DateTimeFormat(locale(), style).format(date);
}

export function clock(at: Date): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium", timeZone: "Asia/Shanghai" }).format(at);
}

/** Today in the city. */
export function today(): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date());
}
