// Numbers, units and dates as text in the current language; a missing value is a dash, never a 0.
import type { BilingualText, TargetValue } from "../api/schema";
import { language, localized, t } from "./language";

const locale = (): string => (language() === "zh" ? "zh-CN" : "en-GB");
export const DASH = "–";
const FEN = 100;
const MANY_YUAN = 10_000;
const EXACT = 6; // decimals of 10,000 yuan down to the fen
const MOST_ROUNDED = 4;
const ALMOST = 99.9;

type Rounding = (value: number) => number;

const formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

/** A format of the current language, made once: making one takes longer than writing hundreds of numbers with it. */
function formatOf<Format extends Intl.NumberFormat | Intl.DateTimeFormat, Options>(
  make: new (locale: string, options: Options) => Format,
  options: Options,
): Format {
  const key = `${locale()} ${make.name} ${JSON.stringify(options)}`;
  const format = (formats.get(key) as Format | undefined) ?? new make(locale(), options);
  formats.set(key, format);
  return format;
}

/** `least`: decimals that are written though they are 0. */
export function number(value: number | null | undefined, digits = 1, round: Rounding = Math.round, least = 0): string {
  if (value === null || value === undefined) return DASH;
  const scale = 10 ** digits;
  // 0.29 * 100 is a little less than 29: what only a double's last digits say is no difference.
  const rounded = digits > MOST_ROUNDED ? value : round(Number((value * scale).toPrecision(15))) / scale;
  return formatOf(Intl.NumberFormat, { minimumFractionDigits: least, maximumFractionDigits: digits }).format(rounded);
}

/** An amount of fen in yuan; in Chinese large sums in ten thousands. */
export function money(fen: number, round: Rounding = Math.round, exact = false): string {
  const yuan = fen / FEN;
  if (language() === "zh" && Math.abs(yuan) >= MANY_YUAN) {
    return t("money.many", { amount: number(yuan / MANY_YUAN, exact ? EXACT : 2, round) });
  }
  const whole = Number.isInteger(round(Math.abs(fen)) / FEN);
  return t("money.yuan", { amount: number(yuan, 2, round, whole ? 0 : 2) });
}

export function amount(value: number | null | undefined, unit: string, round: Rounding = Math.round): string {
  if (value === null || value === undefined) return DASH;
  if (unit === "fen") return money(value, round);
  return unit === "%" ? `${number(value, 1, round)}%` : number(value, 1, round);
}

/** What is judged by a target: a cell, a row of a ranking. */
export interface Judged {
  value: number | null;
  met: boolean | null;
  target: TargetValue | null;
}

/** A value beside its target: while that is not met it is rounded towards "not yet", never to the target's own figure. */
export function achieved({ value, met, target }: Judged, unit: string): string {
  if (met !== false || value === null) return amount(value, unit);
  return amount(value, unit, target?.op === "=" && value > target.value ? Math.ceil : Math.floor);
}

/** A value without its target, of another month or instant: never more than it is. */
export function reached(value: number | null | undefined, unit: string): string {
  return amount(value, unit, Math.floor);
}

/** What was to be there by now: of what is counted the next whole one, of a ratio or of money all digits. */
export function expectedText({ expected, denominator }: { expected: number | null; denominator: number | null }, unit: string): string {
  return denominator === null && unit !== "fen" ? number(expected, 0, Math.ceil) : amount(expected, unit, Math.ceil);
}

/** How much more there is than was to be there by now: of what is counted whole, as both numbers are shown. */
export function gapText(gap: number, { denominator }: { denominator: number | null }, unit: string): string {
  return signed(denominator === null && unit !== "fen" ? Math.floor(gap) : gap, unit);
}

/** A progress in percent; never 100 % while the target is not met. */
export function progressText({ progress, met }: { progress: number | null; met: boolean | null }): string {
  if (progress === null || met !== false) return percent(progress);
  return `${progress > 1 ? number(progress * 100, 1, Math.ceil) : number(Math.min(progress * 100, ALMOST), 1, Math.floor)}%`;
}

/** The unit to stand beside a number, where the number does not carry it already. */
export function unitName(unit: string, units: Record<string, BilingualText>): string {
  return unit === "%" || unit === "fen" ? "" : localized(units[unit]);
}

export function signed(value: number, unit: string): string {
  return (value > 0 ? "+" : value < 0 ? "−" : "±") + amount(Math.abs(value), unit);
}

/** How much more and how much less, what is 0 left out. */
export function movement({ more, less }: { more: number; less: number }, unit: string): string {
  const moved = [...(more ? [signed(more, unit)] : []), ...(less ? [signed(-less, unit)] : [])];
  return moved.join(" ") || DASH;
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return DASH;
  return formatOf(Intl.NumberFormat, { style: "percent", maximumFractionDigits: 1 }).format(share);
}

/** A figure of the plan, with all its digits. */
function planned(value: number, unit: string): string {
  if (unit === "fen") return money(value, Math.round, true);
  return unit === "%" ? `${number(value, EXACT)}%` : number(value, EXACT);
}

export function targetText(target: TargetValue | null, unit: string): string {
  if (!target) return t("target.none");
  const value = planned(target.value, unit);
  switch (target.op) {
    case "range":
      return `${value}–${target.upper === null ? DASH : planned(target.upper, unit)}`;
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
  return formatOf(Intl.DateTimeFormat, style).format(new Date(`${iso}-01T00:00:00Z`));
}

/** An instant, in the city's time. */
export function instant(iso: string | null | undefined): string {
  if (!iso) return DASH;
  const style = { dateStyle: "medium", timeStyle: "medium", timeZone: "Asia/Shanghai" } as const;
  return formatDate(new Date(iso), style);
}

/** An address may hold any text for a date: the API explains what is wrong with it, the page must not break. */
function formatDate(date: Date, style: Intl.DateTimeFormatOptions): string {
  return Number.isNaN(date.getTime()) ? DASH : formatOf(Intl.DateTimeFormat, style).format(date);
}

export function clock(at: Date): string {
  return formatOf(Intl.DateTimeFormat, { timeStyle: "medium", timeZone: "Asia/Shanghai" }).format(at);
}

let exampleDay: string | null = null;

/** Set the day of made-up data, which stands for today where there is one. */
export function setExampleDay(iso: string | null): void {
  exampleDay = iso;
}

/** That the numbers are made up; empty where they are not. */
export function exampleText(): string {
  return exampleDay ? t("picture.example", { day: day(exampleDay) }) : "";
}

/** Today in the city; of made-up data its last day. */
export function today(): string {
  return exampleDay ?? dayOf(new Date());
}

/** The date of an instant in the city, `YYYY-MM-DD`. */
export function dayOf(at: Date): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(at);
}
