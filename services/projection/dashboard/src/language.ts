// Decides in which language the page speaks; every text is in texts.json, in both.
import type { Bilingual } from "./api";
import catalogue from "./texts.json";

export type Language = "zh" | "en";
export type Key = keyof typeof catalogue;

const KEPT = "skillplan-language";
let current: Language = localStorage.getItem(KEPT) === "en" ? "en" : "zh";

export function language(): Language {
  return current;
}

export function speak(chosen: Language): void {
  current = chosen;
  localStorage.setItem(KEPT, chosen);
  show();
}

/** Tell the browser and screen readers, too. */
export function show(): void {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

/** A text of the catalogue; `{name}` in it is replaced. */
export function t(key: Key, words: Record<string, string | number> = {}): string {
  return catalogue[key][current].replace(/\{(\w+)\}/g, (_, name: string) => String(words[name] ?? ""));
}

/** What the API says in both languages. */
export function said(text: Bilingual | null | undefined): string {
  return text ? text[current] : "";
}
