// The language of the page; every text is in texts.json, in Chinese and English.
import type { BilingualText } from "../api/schema";
import catalogue from "./texts.json";

export type Language = "zh" | "en";
export type Key = keyof typeof catalogue;

const STORAGE_KEY = "skillplan-language";
let current: Language = localStorage.getItem(STORAGE_KEY) === "en" ? "en" : "zh";

export function language(): Language {
  return current;
}

export function setLanguage(chosen: Language): void {
  current = chosen;
  localStorage.setItem(STORAGE_KEY, chosen);
  applyLanguage();
}

/** Set the document's language, for the browser and screen readers. */
export function applyLanguage(): void {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

/** A text of the catalogue; each `{name}` in it is replaced by the value of that name. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return catalogue[key][current].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** A text of the catalogue in both languages, with values of each. */
export function bilingual(key: Key, values: (half: Language) => Record<string, string | number>): BilingualText {
  const filled = (half: Language): string => catalogue[key][half].replace(/\{(\w+)\}/g, (_, name: string) => String(values(half)[name] ?? ""));
  return { zh: filled("zh"), en: filled("en") };
}

/** The current language's half of a text that the API gives in both. */
export function localized(text: BilingualText | null | undefined): string {
  return text ? text[current] : "";
}
